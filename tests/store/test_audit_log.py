"""The audit log on both databases: what is appended is one with the change it tells of, and an account sees its own."""

import pytest
from audit_house import ACCOUNT_ID, KEY_ID, NOW_MS, OTHER_ACCOUNT_ID, make_event, open_audit_log
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from logboom.audit import repository
from logboom.audit.chain import Head, one_key
from logboom.audit.event import FORBIDDEN_MEMBERS, Action, Actor, ActorKind, Door, EventFilter, SubjectKind
from logboom.audit.repository import AuditLog
from logboom.database.engine import reading, writing

INSERT_ACCOUNT = text("INSERT INTO accounts (id, created_ms) VALUES (:id, 1)")
COUNT_ACCOUNTS = text("SELECT count(*) FROM accounts")

TEXTS = st.text(max_size=20)
CONTENTS = st.none() | st.dictionaries(TEXTS.filter(lambda name: name.lower() not in FORBIDDEN_MEMBERS), TEXTS)
EVENTS = st.builds(
    make_event,
    account_id=st.sampled_from([ACCOUNT_ID, OTHER_ACCOUNT_ID, None]),
    action=st.sampled_from(Action),
    actor=st.builds(Actor, kind=st.sampled_from(ActorKind), id=st.none() | TEXTS, name=TEXTS),
    door=st.sampled_from(Door),
    subject_kind=st.sampled_from(SubjectKind),
    subject_id=st.none() | TEXTS,
    address=TEXTS,
    user_agent=TEXTS,
    request_id=TEXTS,
    before=CONTENTS,
    after=CONTENTS,
    at_ms=st.integers(-(2**63), 2**63 - 1),
)


@pytest.fixture
def told():
    return []


@pytest.fixture
def log(database_url, told):
    log = open_audit_log(database_url, listener=told.append)
    told.clear()
    yield log
    log._engine.dispose()


# One log for all examples: that it has grown by earlier ones is part of the test.
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(EVENTS, max_size=5))
def test_whatever_happens_is_chained(log, events):
    before = log.verify()
    rows = [log.record(event) for event in events]
    assert [row.seq for row in rows] == [before.rows + 1 + number for number in range(len(events))]
    after = log.verify(witness=before.head)
    last = Head(seq=rows[-1].seq, hash=rows[-1].hash) if rows else before.head
    assert (after.ok, after.rows, after.head) == (True, before.rows + len(events), last)
    own = [row for row in rows if row.event.account_id == ACCOUNT_ID]
    exported = list(log.export(ACCOUNT_ID))
    assert exported[len(exported) - len(own) :] == own


def test_a_chain_begins_once_and_says_when(database_url, log):
    other = open_audit_log(database_url, now_ms=NOW_MS + 5)
    verification = other.verify()
    assert (verification.ok, verification.rows, verification.since_ms) == (True, 1, NOW_MS)
    assert log.list_events(ACCOUNT_ID, EventFilter()) == []
    other._engine.dispose()


def test_a_change_and_its_event_are_one(log, told):
    def change(account_id):
        with writing(log._engine) as connection:
            connection.execute(INSERT_ACCOUNT, {"id": account_id})
            row = log.append(connection, make_event())
            assert told == []
            if account_id == OTHER_ACCOUNT_ID:
                raise KeyError
        return row

    with pytest.raises(KeyError):
        change(OTHER_ACCOUNT_ID)
    assert (log.list_events(ACCOUNT_ID, EventFilter()), told) == ([], [])
    row = change(ACCOUNT_ID)
    with reading(log._engine) as connection:
        assert connection.execute(COUNT_ACCOUNTS).scalar_one() == 1
    assert log.list_events(ACCOUNT_ID, EventFilter()) == told == [row]
    assert log.verify().ok


def test_several_events_of_one_transaction_are_told_in_their_order(log, told):
    rows = log.record_all(make_event(request_id=str(number)) for number in range(3))
    assert told == rows
    assert [row.event.request_id for row in rows] == ["0", "1", "2"]
    assert log.verify().rows == 4


def test_a_listener_that_fails_changes_nothing(log, database_url, capfd):
    def fail(_row):
        raise OSError("disk full")

    failing = open_audit_log(database_url, listener=fail)
    row = failing.record(make_event())
    assert log.list_events(ACCOUNT_ID, EventFilter()) == [row]
    assert "audit.line_lost" in capfd.readouterr().out
    failing._engine.dispose()


def test_events_are_listed_newest_first_filtered_and_paged(log):
    cases = [
        {"action": Action.KEY_CREATED, "at_ms": 10},
        {"action": Action.KEY_HELD, "at_ms": 20, "subject_id": "e" * 24},
        {"action": Action.KEY_CREATED, "at_ms": 30, "account_id": OTHER_ACCOUNT_ID},
        {"action": Action.KEY_RELEASED, "at_ms": 40},
        {"action": Action.KEY_LEAKED, "at_ms": 50, "account_id": None},
    ]
    seqs = [log.record(make_event(**members)).seq for members in cases]
    assert seqs == [2, 3, 4, 5, 6]
    wanted = {
        EventFilter(): [5, 3, 2],
        EventFilter(limit=2): [5, 3],
        EventFilter(limit=2, after_seq=3): [2],
        EventFilter(actions=(Action.KEY_CREATED,)): [2],
        EventFilter(actions=(Action.KEY_CREATED, Action.KEY_HELD)): [3, 2],
        EventFilter(subject_id=KEY_ID): [5, 2],
        EventFilter(from_ms=20, to_ms=40): [5, 3],
        EventFilter(from_ms=21, to_ms=39): [],
    }
    found = {given: [row.seq for row in log.list_events(ACCOUNT_ID, given)] for given in wanted}
    assert found == wanted
    assert [row.seq for row in log.list_events(OTHER_ACCOUNT_ID, EventFilter())] == [4]


def test_export_and_proof_read_in_batches(log, monkeypatch):
    rows = [log.record(make_event(account_id=(ACCOUNT_ID, OTHER_ACCOUNT_ID)[number % 2])) for number in range(9)]
    for batch_rows in (1, 2, 3, 5):
        monkeypatch.setattr(repository, "BATCH_ROWS", batch_rows)
        assert list(log.export(ACCOUNT_ID)) == rows[::2]
        assert (log.verify().ok, log.verify().rows) == (True, 10)


def test_an_event_belongs_to_a_transaction_that_writes(log):
    with pytest.raises(KeyError), reading(log._engine) as connection:
        log.append(connection, make_event())
    assert log.verify().rows == 1


def test_another_audit_key_proves_nothing(log):
    other = AuditLog(log._engine, one_key(lambda message: message[:32]), lambda: NOW_MS)
    assert (other.verify().ok, other.verify().first_bad_seq) == (False, 1)
