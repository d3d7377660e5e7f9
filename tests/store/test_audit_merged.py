"""Many alike events become few: the first at once, the rest counted, and nothing lost without being counted."""

import threading

import pytest
import structlog
from audit_house import ACCOUNT_ID, NOW_MS, make_event, open_audit_log
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from logboom.audit.event import Action, EventFilter
from logboom.audit.merged import EVENTS_AT_ONCE, Merged
from logboom.database.engine import writing
from logboom.errors import Unavailable

WINDOW_S = 3600


@pytest.fixture
def log(database_url):
    log = open_audit_log(database_url)
    yield log
    log._engine.dispose()


class House:
    """The merged events of a test, with a clock that it moves."""

    def __init__(self, log, **arguments):
        self.log, self.now_s, self.dropped, self.woken = log, 0.0, 0, threading.Event()
        self.merged = Merged(
            log, window_s=WINDOW_S, now_s=lambda: self.now_s, woken=self.woken, on_dropped=self.drop, **arguments
        )

    def drop(self, times):
        self.dropped += times

    def note(self, kind="a", times=1, after=None):
        for _ in range(times):
            at_ms = NOW_MS + int(self.now_s * 1000)
            self.merged.note(kind, at_ms, lambda at_ms=at_ms: refused(kind, at_ms, after))

    def told(self):
        rows = self.log.list_events(ACCOUNT_ID, EventFilter(oldest_first=True, limit=100_000))
        return [(row.event.user_agent, row.event.after["times"]) for row in rows]


def refused(kind, at_ms, after):
    return make_event(action=Action.KEY_REFUSED, user_agent=kind, at_ms=at_ms, before=None, after=after)


def test_the_first_is_recorded_at_once_and_the_rest_when_the_window_ends(log):
    house = House(log)
    house.note(times=3, after={"refusal": "deleted"})
    assert house.woken.is_set()
    house.merged.record()
    assert house.told() == [("a", 1)]
    house.now_s = WINDOW_S - 1
    house.note()
    house.merged.record()
    assert house.told() == [("a", 1)]
    house.now_s = WINDOW_S
    house.merged.record()
    house.merged.record()
    assert house.told() == [("a", 1), ("a", 3)]
    last = log.list_events(ACCOUNT_ID, EventFilter(limit=1))[0].event
    assert last.after == {"refusal": "deleted", "times": 3, "since_ms": NOW_MS}
    assert last.at_ms == NOW_MS + (WINDOW_S - 1) * 1000


def test_one_that_comes_after_the_window_is_a_first_one_again(log):
    house = House(log)
    house.note(times=2)
    house.now_s = WINDOW_S
    house.note()
    house.merged.record()
    assert house.told() == [("a", 1), ("a", 1), ("a", 1)]
    house.now_s = 2 * WINDOW_S
    house.merged.record()
    assert len(house.told()) == 3


def test_kinds_are_merged_apart(log):
    house = House(log)
    for kind in "aba":
        house.note(kind)
    house.merged.finish()
    assert house.told() == [("a", 1), ("b", 1), ("a", 1)]


def test_all_of_it_is_told_at_the_end_in_short_transactions(log):
    house = House(log)
    for number in range(EVENTS_AT_ONCE + 1):
        house.note(str(number), times=2)
    assert house.merged.record() is True
    assert len(house.told()) == EVENTS_AT_ONCE
    house.merged.finish()
    assert sum(times for _, times in house.told()) == 2 * (EVENTS_AT_ONCE + 1)
    assert house.merged.record() is False


def test_too_many_kinds_are_counted_as_dropped(log):
    house = House(log, kinds_max=2)
    for kind in "abcca":
        house.note(kind)
    with structlog.testing.capture_logs() as said:
        house.merged.finish()
        house.merged.finish()
    assert (house.dropped, sum(times for _, times in house.told())) == (2, 3)
    assert [(event["event"], event["events"]) for event in said] == [("audit.refusals_dropped", 2)]
    house.note("c")
    house.merged.finish()
    assert house.told()[-1] == ("c", 1)


def rename(log, table, name):
    with writing(log._engine) as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO {name}"))


def test_a_database_that_fails_delays_events_within_bounds(log):
    house = House(log, kinds_max=2)
    rename(log, "audit_head", "away")
    for hour in range(6):
        house.now_s = hour * WINDOW_S
        house.note(times=2)
        with pytest.raises((Unavailable, ProgrammingError)):
            house.merged.record()
    rename(log, "away", "audit_head")
    house.merged.finish()
    recorded = sum(times for _, times in house.told())
    assert (recorded + house.dropped, recorded >= 2) == (12, True)
    assert house.dropped > 0


def test_noting_from_many_threads_loses_nothing(log):
    house, threads = House(log), 8
    note = [threading.Thread(target=house.note, args=(str(n % 3), 500)) for n in range(threads)]
    for thread in note:
        thread.start()
    while any(thread.is_alive() for thread in note):
        house.merged.record()
    house.merged.finish()
    assert sum(times for _, times in house.told()) == threads * 500
