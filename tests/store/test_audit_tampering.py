"""Whoever can write to the database, but does not know the audit key, is found out, on both databases."""

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pytest
from audit_house import ACCOUNT_ID, NOW_MS, make_event, open_audit_log, sign
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from logboom.audit.chain import SIGNED_COLUMNS, START_HASH, Chain, Head
from logboom.audit.event import EventFilter
from logboom.audit.repository import AuditLog
from logboom.database.engine import writing
from logboom.database.tables import audit_events

ROWS = 7  # the beginning, and six events
TEXT_COLUMNS = [name for name in SIGNED_COLUMNS if name not in ("seq", "at_ms")]
TRIGGERS = {
    "sqlite": ("audit_events_no_update", "audit_events_no_delete", "audit_events_no_replace"),
    "postgresql": ("audit_events_append_only ON audit_events",),
}
COPY = """
    INSERT INTO audit_events
    SELECT {seq}, account_id, action, actor_kind, actor_id, actor_name, door, address, user_agent, request_id,
        subject_kind, subject_id, before, after, at_ms, hash
    FROM audit_events WHERE seq = {of}
"""


@dataclass
class Intruder:
    """Somebody with every right on the database, who has taken the triggers away first."""

    log: AuditLog

    def do(self, *statements, **values):
        with writing(self.log._engine) as connection:
            for statement in statements:
                connection.execute(text(statement), values if ":" in statement else {})

    def see(self, seq):
        with writing(self.log._engine) as connection:
            return dict(connection.execute(select(audit_events).where(audit_events.c.seq == seq)).mappings().one())

    def put(self, seq, row):
        with writing(self.log._engine) as connection:
            connection.execute(audit_events.delete().where(audit_events.c.seq == seq))
            connection.execute(audit_events.insert().values(row))

    def move(self, seq, to):
        self.do("UPDATE audit_events SET seq = :to WHERE seq = :seq", seq=seq, to=to)

    @contextmanager
    def altered(self, seq, **columns):
        row = self.see(seq)
        self.put(seq, row | columns)
        yield
        self.put(seq, row)


@pytest.fixture
def log(database_url):
    log = open_audit_log(database_url)
    for number in range(ROWS - 1):
        log.record(make_event(subject_id=f"{number:024}", at_ms=NOW_MS + number))
    yield log
    log._engine.dispose()


@pytest.fixture
def intruder(log):
    intruder = Intruder(log)
    intruder.do(*(f"DROP TRIGGER {name}" for name in TRIGGERS[log._engine.dialect.name]))
    return intruder


@pytest.fixture
def next_server(log):
    """A server that was started afterwards and remembers nothing."""
    return AuditLog(log._engine, log._keys, lambda: NOW_MS)


def swap(intruder, first, second):
    rows = {seq: intruder.see(seq) for seq in (first, second)}
    intruder.put(first, rows[second] | {"seq": 0})
    intruder.put(second, rows[first] | {"seq": second})
    intruder.move(0, first)


def renumber(intruder):
    intruder.do("DELETE FROM audit_events WHERE seq = 4")
    for seq in range(5, ROWS + 1):
        intruder.move(seq, seq - 1)


def make_room(intruder):
    for seq in range(ROWS, 3, -1):
        intruder.move(seq, seq + 1)
    intruder.do(COPY.format(seq=4, of=3))


def chain_anew(intruder):
    """Alter a row and make every hash from there on fit, with a key of their own."""
    chain, previous = Chain(partial(sign, b"another audit key")), intruder.see(3)["hash"]
    for seq in range(4, ROWS + 1):
        row = intruder.see(seq) | {"user_agent": "nobody"}
        previous = chain.link(previous, row)
        intruder.put(seq, row | {"hash": previous})


TAMPERINGS = {
    "a row is removed": (4, "DELETE FROM audit_events WHERE seq = 4"),
    "the first row is removed": (1, "DELETE FROM audit_events WHERE seq = 1"),
    "the last row is removed": (7, "DELETE FROM audit_events WHERE seq = 7"),
    "the tail is removed": (4, "DELETE FROM audit_events WHERE seq > 3"),
    "the tail is removed and the head says so": (
        4,
        "DELETE FROM audit_events WHERE seq > 3",
        "UPDATE audit_head SET seq = 3, hash = (SELECT hash FROM audit_events WHERE seq = 3)",
    ),
    "all rows are removed": (1, "DELETE FROM audit_events"),
    "everything is removed": (1, "DELETE FROM audit_events", "DELETE FROM audit_head"),
    "the head is removed": (8, "DELETE FROM audit_head"),
    "the head points behind": (8, "UPDATE audit_head SET seq = 8"),
    "the head points before": (8, "UPDATE audit_head SET seq = 6"),
    "the head has another signature": (8, "UPDATE audit_head SET signature = hash"),
    "a row is repeated at the end": (8, COPY.format(seq=8, of=7)),
    "a row is moved to the end": (4, "UPDATE audit_events SET seq = 8 WHERE seq = 4"),
    "two rows have changed places": (3, lambda intruder: swap(intruder, 3, 5)),
    "a row is removed and the others closed up": (4, renumber),
    "a row is slipped in": (4, make_room),
    "everything is chained anew": (4, chain_anew),
}


@pytest.mark.parametrize("what", TAMPERINGS)
def test_tampering_is_found_at_its_place(log, next_server, intruder, what):
    first_bad_seq, *steps = TAMPERINGS[what]
    for step in steps:
        intruder.do(step) if isinstance(step, str) else step(intruder)
    for server in (log, next_server):
        found = server.verify()
        proven = first_bad_seq - 1
        assert (found.ok, found.first_bad_seq, found.rows, found.head.seq) == (False, first_bad_seq, proven, proven)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seq=st.integers(1, ROWS),
    column=st.one_of(
        st.tuples(st.sampled_from(TEXT_COLUMNS), st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)),
        st.tuples(st.just("at_ms"), st.integers(-(2**63), 2**63 - 1)),
    ),
)
def test_no_column_of_any_row_can_be_altered(log, intruder, seq, column):
    name, altered = column
    before = intruder.see(seq)
    with intruder.altered(seq, **{name: altered}):
        found = log.verify()
        assert found.first_bad_seq == (None if altered == before[name] else seq)
    assert log.verify().ok


@pytest.mark.parametrize("columns", [{"hash": START_HASH}, {"after": None}, {"after": '{"name": "edge"}'}], ids=str)
def test_neither_the_hash_nor_the_spelling_of_the_json_can_be_altered(log, intruder, columns):
    with intruder.altered(4, **columns):
        assert log.verify().first_bad_seq == 4


def put_back(log, intruder):
    """Rows and head as they were three events ago; returns the head that was seen before."""
    kept = intruder.see(4)
    head = Head(seq=4, hash=kept["hash"])
    seen = log.verify().head
    intruder.do("DELETE FROM audit_events WHERE seq > 4")
    values = {"hash": head.hash, "signature": log._alive()[0].sign_head(head)}
    intruder.do("UPDATE audit_head SET seq = 4, hash = :hash, signature = :signature", **values)
    return seen


def test_an_older_state_is_found_by_the_server_that_wrote_the_newer_one(log, intruder):
    put_back(log, intruder)
    assert log.verify().first_bad_seq == 5


def test_an_older_state_is_found_by_a_witness_alone_after_a_start(log, next_server, intruder):
    """Nothing within a database can tell that all of it is older than it was: the limit that the guide speaks of."""
    seen = put_back(log, intruder)
    assert next_server.verify().ok
    assert next_server.verify(witness=seen).first_bad_seq == 5
    for number in range(5):
        next_server.record(make_event(request_id=str(number)))
    assert next_server.verify().ok
    assert next_server.verify(witness=seen).first_bad_seq == 7


def test_an_older_state_cannot_be_written_over_by_the_server_that_wrote_the_newer_one(log, next_server, intruder):
    put_back(log, intruder)
    for _ in range(5):
        log.record(make_event())
    assert log.verify().first_bad_seq == next_server.verify().first_bad_seq == 5


def test_an_emptied_log_that_begins_again_says_how_young_it_is(log, next_server, intruder):
    seen = log.verify().head
    intruder.do("DELETE FROM audit_events", "DELETE FROM audit_head")
    next_server._now_ms = lambda: NOW_MS + 99
    next_server.begin()
    assert (next_server.verify().ok, next_server.verify().since_ms) == (True, NOW_MS + 99)
    assert next_server.verify(witness=seen).ok is False
    assert log.verify().ok is False


@pytest.mark.parametrize("what", TAMPERINGS)
def test_after_the_damage_events_are_kept_and_the_damage_stays(log, next_server, intruder, what, capfd):
    first_bad_seq, *steps = TAMPERINGS[what]
    for step in steps:
        intruder.do(step) if isinstance(step, str) else step(intruder)
    rows = [server.record(make_event(request_id="after")) for server in (next_server, log, next_server, log)]
    listed = log.list_events(ACCOUNT_ID, EventFilter(limit=4))
    assert listed == rows[::-1]
    assert next_server.verify().first_bad_seq == first_bad_seq


def test_an_older_head_beside_all_rows_hides_nothing_and_is_found_by_the_next_event(log, next_server, intruder):
    head = Head(seq=4, hash=intruder.see(4)["hash"])
    values = {"hash": head.hash, "signature": log._alive()[0].sign_head(head)}
    intruder.do("UPDATE audit_head SET seq = 4, hash = :hash, signature = :signature", **values)
    assert (next_server.verify().ok, next_server.verify().rows) == (True, ROWS)
    next_server.record(make_event())
    assert next_server.verify().first_bad_seq == ROWS + 1


def test_the_damage_is_told_in_the_servers_log(log, intruder, capfd):
    intruder.do("DELETE FROM audit_head")
    log.record(make_event())
    assert "audit.broken" in capfd.readouterr().out


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET user_agent = 'nobody' WHERE seq = 4",
        "DELETE FROM audit_events WHERE seq = 4",
        "DELETE FROM audit_events",
    ],
)
def test_the_database_refuses_by_itself_what_happens_by_mistake(log, statement):
    with pytest.raises(DBAPIError, match="audit events are only ever added"), writing(log._engine) as connection:
        connection.execute(text(statement))
    assert (log.verify().ok, log.verify().rows) == (True, ROWS)


def test_each_database_refuses_its_own_way_around(log):
    ways = {"sqlite": COPY.format(seq=4, of=3).replace("INSERT", "REPLACE"), "postgresql": "TRUNCATE audit_events"}
    statement = ways[log._engine.dialect.name]
    with pytest.raises(DBAPIError, match="audit events are only ever added"), writing(log._engine) as connection:
        connection.execute(text(statement))
    assert log.verify().ok
