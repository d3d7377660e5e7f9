"""Reveals and refusals over time: alike ones are counted, and no value is shown without an event."""

import threading
from dataclasses import dataclass, field

import pytest
import structlog
from audit_house import ACCOUNT_ID, KEY_ID, NOW_MS, open_audit_log
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from starlette.requests import Request

from logboom.audit.event import EventFilter
from logboom.database.engine import writing
from logboom.errors import KeyLimitReached, Unavailable
from logboom.keys.change import Actor, ActorKind
from logboom.keys.credentials import Carrier
from logboom.keys.key import Caller, Key, KeyKind
from logboom.keys.verdict import Refusal, Refused
from logboom.records import KeyRecords

HOUR_S = 3600
TERRAFORM = Actor(kind=ActorKind.SERVICE_KEY, key_id="d" * 24, address="192.0.2.1", user_agent="terraform/1")


@dataclass
class House:
    """The records of a test, with clocks that it moves."""

    log: object
    now_s: float = 0.0
    woken: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self):
        self.records = KeyRecords(
            self.log,
            now_ms=lambda: NOW_MS + int(self.now_s * 1000),
            now_s=lambda: self.now_s,
            woken=self.woken,
            on_dropped=pytest.fail,
        )

    def told(self):
        rows = self.log.list_events(ACCOUNT_ID, EventFilter(oldest_first=True))
        return [(row.event.action.value, (row.event.after or {}).get("times")) for row in rows]

    def reveal(self, *keys, route="/v1/config/keys", actor=TERRAFORM):
        with structlog.contextvars.bound_contextvars(route=route):
            self.records.record_reveals(keys or [key()], actor)

    def refuse(self, refusal=Refusal.DELETED, address="192.0.2.7", generation=1):
        caller = Caller(account_id=ACCOUNT_ID, key_id=KEY_ID, kind=KeyKind.INGESTION, generation=generation)
        scope = {"type": "http", "headers": [(b"user-agent", b"old/1")], "client": (address, 1)}
        self.records.note_refused(Request(scope), Refused(caller=caller, refusal=refusal), Carrier.HEADER)


def key(**members):
    usual = {"id": KEY_ID, "account_id": ACCOUNT_ID, "kind": KeyKind.INGESTION, "name": "web", "created_ms": NOW_MS}
    return Key(**(usual | members))


@pytest.fixture
def house(database_url):
    log = open_audit_log(database_url)
    yield House(log)
    log._engine.dispose()


REVEALED = "key.revealed"


def test_what_the_compatible_api_shows_again_is_counted(house):
    for _ in range(4):
        house.reveal()
    house.records.record_merged()
    assert house.told() == [(REVEALED, None)]
    house.now_s = HOUR_S
    house.records.record_merged()
    assert house.told() == [(REVEALED, None), (REVEALED, 3)]
    house.reveal()
    assert house.told()[2:] == [(REVEALED, None)]


@pytest.mark.parametrize(
    "other",
    [
        {"actor": Actor(kind=ActorKind.SERVICE_KEY, key_id="e" * 24, address="192.0.2.1", user_agent="terraform/1")},
        {"actor": Actor(kind=ActorKind.SERVICE_KEY, key_id="d" * 24, address="192.0.2.2", user_agent="terraform/1")},
        {"actor": Actor(kind=ActorKind.SERVICE_KEY, key_id="d" * 24, address="192.0.2.1", user_agent="curl/8")},
        {"route": "/api/keys/{key_id}"},
    ],
)
def test_another_reader_is_news(house, other):
    house.reveal()
    house.reveal(**other)
    assert house.told() == [(REVEALED, None)] * 2


def test_another_value_of_the_key_is_news(house):
    house.reveal()
    house.reveal(key(generation=2), key(id="e" * 24))
    assert house.told() == [(REVEALED, None)] * 3


def test_a_value_is_not_shown_when_that_cannot_be_recorded(house):
    rename(house, "audit_head", "away")
    for route in ("/v1/config/keys", "/api/keys/{key_id}"):
        with pytest.raises((Unavailable, ProgrammingError)):
            house.reveal(route=route)
    rename(house, "away", "audit_head")
    house.reveal()
    house.records.finish()
    assert house.told() == [(REVEALED, None)]


def rename(house, table, name):
    with writing(house.log._engine) as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO {name}"))


def test_refusals_are_merged_by_value_reason_and_address(house):
    for _ in range(3):
        house.refuse()
    house.refuse(generation=2)
    house.refuse(refusal=Refusal.EXPIRED)
    house.refuse(address="192.0.2.8")
    house.refuse(refusal=Refusal.NOT_YET_VALID)
    assert house.woken.is_set()
    house.records.finish()
    ended, refused = "key.used_after_end", "key.refused"
    assert house.told() == [(ended, 1)] * 4 + [(refused, 1), (ended, 2)]


def test_a_hold_is_no_refusal_to_tell_of(house):
    house.refuse(refusal=Refusal.HELD)
    house.records.finish()
    assert (house.told(), house.woken.is_set()) == ([], False)


def test_keys_too_many_are_merged_by_actor_and_kind_within_a_minute(house):
    for kind in (KeyKind.INGESTION, KeyKind.INGESTION, KeyKind.SERVICE):
        house.records.note_not_made(key(kind=kind), TERRAFORM, KeyLimitReached())
    house.now_s = 60
    house.records.note_not_made(key(), TERRAFORM, KeyLimitReached())
    house.records.finish()
    assert house.told() == [("key.limit_refused", 1)] * 4
    rows = house.log.list_events(ACCOUNT_ID, EventFilter(oldest_first=True))
    assert [row.event.after["keys_max"] for row in rows] == [10, 20, 10, 10]
    assert [("since_ms" in row.event.after) for row in rows] == [False, False, True, False]
