"""Audit events become lines of their account: each once, on both databases, whatever fails in between."""

import json
import threading
import time

import pytest
import structlog
from audit_house import ACCOUNT_ID, NOW_MS, OTHER_ACCOUNT_ID, make_event, open_audit_log
from sqlalchemy import insert, text, update

from logboom.audit.clerk import Clerk
from logboom.audit.event import Action
from logboom.audit.heads import DAY_MS, Heads
from logboom.audit.lines import LINES_AT_ONCE, AuditLines
from logboom.audit.wire import render_event
from logboom.database.engine import writing
from logboom.database.tables import key_policies
from logboom.errors import Unavailable
from logboom.spool import Disk, Spool

PATIENCE_S = 20
INSERT_ACCOUNT = text("INSERT INTO accounts (id, created_ms) VALUES (:id, 1)")
POLICY = {
    "format": "classic",
    "reveal": "always",
    "on_leak_ingestion": "warn",
    "on_leak_service": "warn",
    "changed_ms": NOW_MS,
}


@pytest.fixture
def log(database_url):
    log = open_audit_log(database_url)
    yield log
    log._engine.dispose()


@pytest.fixture
def open_spool(tmp_path):
    """Opens the same spool again and again."""

    def open_it(bytes_max=10_000_000):
        disk = Disk(tmp_path, free_bytes_min=0, now_s=time.monotonic)
        return Spool(tmp_path / "spool.db", disk=disk, bytes_max=bytes_max, first_seq=1)

    return open_it


def want_lines(log, account_id=ACCOUNT_ID):
    with writing(log._engine) as connection:
        connection.execute(INSERT_ACCOUNT, {"id": account_id})
        connection.execute(insert(key_policies).values(account_id=account_id, audit_lines=True, **POLICY))


def want_no_lines(log, account_id=ACCOUNT_ID):
    with writing(log._engine) as connection:
        policy = update(key_policies).where(key_policies.c.account_id == account_id)
        connection.execute(policy.values(audit_lines=False))


def bring_all(log, spool):
    counted = []
    lines = AuditLines(log, spool, host="logs-1", now_ms=lambda: NOW_MS + 5, on_lines=counted.append)
    while lines.bring():
        pass
    return sum(counted)


def batches(spool):
    return spool.read(0, 2**62)


def seqs(spool, account_id=ACCOUNT_ID):
    """The numbers of the events that are lines of the account, in their order."""
    bodies = [json.loads(batch.body) for batch in batches(spool) if batch.envelope.account_id == account_id]
    return [json.loads(line["line"])["seq"] for body in bodies for line in body]


def test_an_event_becomes_a_line_that_tells_all_of_it(log, open_spool):
    want_lines(log)
    row = log.record(make_event(at_ms=NOW_MS))
    log.record(make_event(action=Action.KEY_EXPOSED))
    with open_spool() as spool:
        assert bring_all(log, spool) == 2
        (batch,) = batches(spool)
        lines = json.loads(batch.body)
        assert json.loads(lines[0]["line"]) == render_event(row)
        assert [(line["level"], line["timestamp"]) for line in lines] == [("info", NOW_MS), ("warn", NOW_MS)]
        envelope = batch.envelope
        assert (envelope.account_id, envelope.app, envelope.hostname) == (ACCOUNT_ID, "logboom-audit", "logs-1")
        assert (envelope.lines_count, envelope.received_ms) == (2, NOW_MS + 5)


def test_only_accounts_that_want_lines_have_them_and_only_their_own(log, open_spool):
    for account_id in (ACCOUNT_ID, OTHER_ACCOUNT_ID, None, ACCOUNT_ID):
        log.record(make_event(account_id=account_id))
    with open_spool() as spool:
        bring_all(log, spool)
        assert batches(spool) == []
        want_lines(log)
        bring_all(log, spool)
        assert (seqs(spool), seqs(spool, OTHER_ACCOUNT_ID)) == ([2, 5], [])


def test_an_account_that_comes_back_misses_nothing(log, open_spool):
    want_lines(log)
    with open_spool() as spool:
        for want in (lambda _log: None, want_no_lines):
            want(log)
            log.record(make_event())
            bring_all(log, spool)
        assert seqs(spool) == [2]
        with writing(log._engine) as connection:
            connection.execute(update(key_policies).values(audit_lines=True))
        bring_all(log, spool)
        assert seqs(spool) == [2, 3]


def test_each_event_is_a_line_once_over_restarts_and_in_each_spool(log, open_spool, tmp_path):
    want_lines(log)
    for _ in range(3):
        log.record(make_event())
        with open_spool() as spool:
            bring_all(log, spool)
            bring_all(log, spool)
    with open_spool() as spool:
        assert seqs(spool) == [2, 3, 4]
    disk = Disk(tmp_path, free_bytes_min=0, now_s=time.monotonic)
    with Spool(tmp_path / "other.db", disk=disk, bytes_max=10_000_000, first_seq=1) as spool:
        bring_all(log, spool)
        assert seqs(spool) == [2, 3, 4]


def test_many_events_come_in_several_batches(log, open_spool):
    want_lines(log)
    log.record_all([make_event()] * (2 * LINES_AT_ONCE + 1))
    with open_spool() as spool:
        bring_all(log, spool)
        assert [batch.envelope.lines_count for batch in batches(spool)] == [LINES_AT_ONCE, LINES_AT_ONCE, 1]
        assert seqs(spool) == list(range(2, 2 * LINES_AT_ONCE + 3))


def test_a_full_spool_only_delays_lines(log, open_spool):
    want_lines(log)
    log.record(make_event())
    with open_spool(bytes_max=10) as spool:
        lines = AuditLines(log, spool, host="logs-1", now_ms=lambda: NOW_MS, on_lines=int)
        with pytest.raises(Unavailable):
            lines.bring()
    with open_spool() as spool:
        assert seqs(spool) == []
        bring_all(log, spool)
        assert seqs(spool) == [2]


def test_a_database_that_was_put_back_gives_new_lines_all_the_same(log, open_spool):
    want_lines(log)
    log.record(make_event())
    with open_spool() as spool, structlog.testing.capture_logs() as said:
        spool.rewind(f"audit:{ACCOUNT_ID}", 50)
        bring_all(log, spool)
        bring_all(log, spool)
        log.record(make_event())
        bring_all(log, spool)
        assert seqs(spool) == [3]
    assert [event["event"] for event in said] == ["audit.put_back"]


def test_nothing_is_asked_of_the_spool_while_nothing_is_new(log, open_spool):
    want_lines(log)
    log.record(make_event())
    with open_spool() as spool:
        lines = AuditLines(log, spool, host="logs-1", now_ms=lambda: NOW_MS, on_lines=int)
        assert [lines.bring(), lines.bring()] == [False, False]
    log.record(make_event(account_id=OTHER_ACCOUNT_ID))
    log.record(make_event(account_id=None))
    with open_spool() as spool:
        lines = AuditLines(log, spool, host="logs-1", now_ms=lambda: NOW_MS, on_lines=int)
        assert lines.bring() is False
        assert seqs(spool) == [2]


# -- the thread -------------------------------------------------------------------------------------------------------


def test_the_thread_brings_a_line_as_soon_as_its_event_is_committed(database_url, open_spool):
    woken = threading.Event()
    log = open_audit_log(database_url, listener=lambda _row: woken.set())
    want_lines(log)
    with open_spool() as spool:
        lines = AuditLines(log, spool, host="logs-1", now_ms=lambda: NOW_MS, on_lines=int)
        clerk = Clerk([lines.bring], last=[lines.bring], woken=woken)
        clerk.start()
        log.record(make_event())
        assert spool.arrived.wait(PATIENCE_S)
        log.record(make_event())
        clerk.stop()
        assert seqs(spool) == [2, 3]
    log._engine.dispose()


def test_a_duty_that_fails_keeps_no_other_from_being_done():
    done, failed, woken = threading.Event(), [], threading.Event()

    def fail():
        failed.append(1)
        raise Unavailable

    clerk = Clerk([fail, done.set], last=[fail, lambda: failed.append(2)], woken=woken)
    with structlog.testing.capture_logs() as said:
        clerk.start()
        assert done.wait(PATIENCE_S)
        clerk.stop()
    assert failed[-1] == 2
    assert {event["event"] for event in said} == {"audit.duty_failed"}


# -- the head ---------------------------------------------------------------------------------------------------------


def test_the_head_is_told_once_a_day_and_whenever_asked(log):
    times = iter([DAY_MS, 2 * DAY_MS - 1, 2 * DAY_MS])
    heads = Heads(log, now_ms=lambda: next(times))
    row = log.record(make_event())
    with structlog.testing.capture_logs() as said:
        for _ in range(3):
            heads.tell_daily()
        heads.tell()
    assert [(event["event"], event["seq"], event["hash"]) for event in said] == [("audit.head", 2, row.hash.hex())] * 3


def test_a_forged_head_is_told_of(log):
    with writing(log._engine) as connection:
        connection.execute(text("UPDATE audit_head SET seq = 5"))
    with structlog.testing.capture_logs() as said:
        Heads(log, now_ms=lambda: 0).tell()
    assert [event["event"] for event in said] == ["audit.broken"]
