"""The audit key is rotated: what was signed stays proven, and who knows the earlier key can alter nothing any more."""

from functools import partial

import pytest
from audit_house import AUDIT_KEY, NOW_MS, make_event, open_audit_log, sign
from sqlalchemy import select, text, update

from logboom.audit.chain import AuditKeys, Chain, Head
from logboom.audit.repository import AuditLog
from logboom.database.engine import reading, writing
from logboom.database.tables import audit_events, audit_head

OLD, NEW = partial(sign, AUDIT_KEY), partial(sign, b"n" * 32)
BOTH = AuditKeys(alive=(OLD, NEW))
FINISHED = AuditKeys(alive=(NEW,), earlier=(OLD,))
TRIGGERS = {
    "sqlite": ("audit_events_no_update", "audit_events_no_delete", "audit_events_no_replace"),
    "postgresql": ("audit_events_append_only ON audit_events",),
}


@pytest.fixture
def before(database_url):
    """A server that knows one key, and three events."""
    log = open_audit_log(database_url)
    log.record_all(make_event() for _ in range(2))
    yield log
    log._engine.dispose()


def server(log, keys):
    return AuditLog(log._engine, lambda: keys, lambda: NOW_MS)


@pytest.fixture
def rotated(before):
    """A server that has brought the new key in with the fourth event, and written a fifth."""
    log = server(before, BOTH)
    log.begin_newest(make_event(request_id="rotated"))
    log.record(make_event())
    return log


def test_events_go_on_under_the_old_key_until_the_new_one_is_brought_in(before):
    log = server(before, BOTH)
    log.record(make_event())
    assert not log.is_signed_by_newest()
    assert before.verify().ok
    assert before.record(make_event()).seq == 5


def test_every_event_is_proven_after_the_rotation(rotated):
    assert rotated.is_signed_by_newest()
    for keys in (BOTH, FINISHED):
        verification = server(rotated, keys).verify()
        assert (verification.ok, verification.rows) == (True, 5)
    later = server(rotated, FINISHED)
    later.record(make_event())
    assert (later.verify().ok, rotated.verify().ok) == (True, True)


def test_bringing_it_in_again_changes_nothing(rotated):
    rotated.begin_newest(make_event())
    assert rotated.verify().rows == 5


def test_servers_that_know_both_write_side_by_side(rotated):
    other = server(rotated, BOTH)
    for log in (rotated, other, rotated, server(rotated, FINISHED)):
        log.record(make_event())
    assert (other.verify().ok, other.verify().rows) == (True, 9)


def test_neither_key_alone_proves_a_rotated_chain(rotated):
    assert server(rotated, AuditKeys(alive=(OLD,))).verify().ok is False
    assert server(rotated, AuditKeys(alive=(NEW,))).verify().first_bad_seq == 1


def test_who_knows_the_earlier_key_cannot_alter_what_it_has_signed(rotated):
    chain, intruder = Chain(OLD), Intruder(rotated)
    previous = intruder.see(1)["hash"]
    for seq in (2, 3):
        row = intruder.see(seq) | {"user_agent": "nobody"}
        previous = chain.link(previous, row)
        intruder.put(seq, {"user_agent": "nobody", "hash": previous})
    verification = server(rotated, FINISHED).verify()
    assert (verification.ok, verification.first_bad_seq) == (False, 4)


def test_who_knows_the_earlier_key_cannot_cut_off_what_came_after_it(rotated):
    intruder = Intruder(rotated)
    head = Head(seq=3, hash=intruder.see(3)["hash"])
    intruder.cut(head, Chain(OLD).sign_head(head))
    assert server(rotated, FINISHED).verify().ok is False
    assert rotated.verify().ok is False  # it remembers what it has written itself


def test_who_knows_the_earlier_key_cannot_go_on_with_it(rotated):
    intruder = Intruder(rotated)
    newest = intruder.see(5)
    row = newest | {"seq": 6}
    row["hash"] = Chain(OLD).link(newest["hash"], row)
    head = Head(seq=6, hash=row["hash"])
    intruder.add(row, head, Chain(OLD).sign_head(head))
    assert server(rotated, FINISHED).verify().first_bad_seq == 6
    assert rotated.verify().first_bad_seq == 6


class Intruder:
    """Writes to the database, past the server."""

    def __init__(self, log):
        self._engine = log._engine
        with writing(self._engine) as connection:
            for name in TRIGGERS[self._engine.dialect.name]:
                connection.execute(text(f"DROP TRIGGER {name}"))

    def see(self, seq):
        with reading(self._engine) as connection:
            row = connection.execute(select(audit_events).where(audit_events.c.seq == seq)).mappings().one()
        return dict(row)

    def put(self, seq, changed):
        with writing(self._engine) as connection:
            connection.execute(update(audit_events).where(audit_events.c.seq == seq).values(changed))

    def add(self, row, head, signature):
        with writing(self._engine) as connection:
            connection.execute(audit_events.insert().values(row))
        self._move(head, signature)

    def cut(self, head, signature):
        with writing(self._engine) as connection:
            connection.execute(audit_events.delete().where(audit_events.c.seq > head.seq))
        self._move(head, signature)

    def _move(self, head, signature):
        values = {"seq": head.seq, "hash": head.hash, "signature": signature}
        with writing(self._engine) as connection:
            connection.execute(update(audit_head).values(values))
