"""Builds the audit log of a test on a migrated database, and the events that go into it."""

import hmac
import threading
from functools import partial

import pytest

from logboom.audit.chain import one_key
from logboom.audit.event import Action, Actor, ActorKind, AuditEvent, Door, SubjectKind
from logboom.audit.repository import AuditLog
from logboom.database.engine import open_database
from logboom.database.migrate import migrate
from logboom.records import KeyRecords

AUDIT_KEY = b"a" * 32
ACCOUNT_ID = "a" * 10
OTHER_ACCOUNT_ID = "b" * 10
KEY_ID = "c" * 24
NOW_MS = 1_700_000_000_000


def open_audit_log(url, *, audit_key=AUDIT_KEY, now_ms=NOW_MS, **arguments):
    """One server's audit log; two of them on one URL are two servers."""
    engine = open_database(url)
    migrate(engine)
    log = AuditLog(engine, one_key(partial(sign, audit_key)), lambda: now_ms, **arguments)
    log.begin()
    return log


def make_records(log, now_ms):
    """The listeners that write into the *log*, and merge nothing by themselves."""
    return KeyRecords(log, now_ms=now_ms, now_s=lambda: 0.0, woken=threading.Event(), on_dropped=pytest.fail)


def sign(audit_key, message):
    return hmac.digest(audit_key, message, "sha256")


def make_event(**members):
    usual = {
        "account_id": ACCOUNT_ID,
        "action": Action.KEY_RENAMED,
        "actor": Actor(kind=ActorKind.SERVICE_KEY, id="d" * 24, name="terraform"),
        "door": Door.API,
        "address": "192.0.2.1",
        "user_agent": "curl/8",
        "request_id": "r" * 16,
        "subject_kind": SubjectKind.KEY,
        "subject_id": KEY_ID,
        "before": {"name": "web"},
        "after": {"name": "edge"},
        "at_ms": NOW_MS,
    }
    return AuditEvent(**(usual | members))
