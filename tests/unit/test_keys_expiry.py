"""When to warn of an expiry, and whether the clock was put back: pure rules. Evidence: keys.md 5.4, 5.8."""

from dataclasses import replace

import pytest

from logboom.keys import life
from logboom.keys.expiry import DAY_MS, days_left, due_warning, nearest_warning
from logboom.keys.keeper import Clock
from logboom.keys.key import Caller, Key, KeyKind
from logboom.keys.native_wire import render_key, render_self

NOW = 1_700_000_000_000
KEY = Key(id="k", account_id="a", kind=KeyKind.INGESTION, name="web", created_ms=NOW - 100 * DAY_MS)


def expiring(after_ms, **members):
    return replace(KEY, expires_at_ms=NOW + after_ms, **members)


@pytest.mark.parametrize(
    ("after_ms", "nearest", "left"),
    [
        (30 * DAY_MS + 1, None, None),
        (30 * DAY_MS, 30, 30),
        (7 * DAY_MS + 1, 30, 8),
        (7 * DAY_MS, 7, 7),
        (DAY_MS + 1, 7, 2),
        (DAY_MS, 1, 1),
        (1, 1, 1),
        (0, None, None),
        (-1, None, None),
    ],
)
def test_the_nearest_warning_counts(after_ms, nearest, left):
    assert nearest_warning(expiring(after_ms), NOW) == nearest
    assert days_left(expiring(after_ms), NOW) == left


def test_a_key_without_expiry_is_never_warned_of():
    assert (nearest_warning(KEY, NOW), due_warning(KEY, NOW), days_left(KEY, NOW)) == (None, None, None)


@pytest.mark.parametrize(
    ("life_ms", "nearest"), [(DAY_MS, None), (DAY_MS + 1, 1), (7 * DAY_MS, 1), (7 * DAY_MS + 1, 1), (31 * DAY_MS, 1)]
)
def test_a_key_is_not_warned_of_before_it_was_made(life_ms, nearest):
    assert nearest_warning(expiring(1, created_ms=NOW + 1 - life_ms), NOW) == nearest
    assert nearest_warning(expiring(life_ms, created_ms=NOW), NOW) in (None, 30)


@pytest.mark.parametrize(("warned", "due"), [(None, 7), (30, 7), (7, None), (1, None)])
def test_a_warning_that_was_given_is_not_due_again(warned, due):
    assert due_warning(expiring(5 * DAY_MS, expiry_warned_days=warned), NOW) == due


def test_another_expiry_is_warned_of_anew():
    key = expiring(5 * DAY_MS, expiry_warned_days=7)
    assert life.edited(key, {"name": "edge"}, NOW).expiry_warned_days == 7
    assert life.edited(key, {"expires_at_ms": NOW + 20 * DAY_MS}, NOW).expiry_warned_days is None


def test_a_key_and_its_holder_are_told_of_the_days_left():
    key = expiring(5 * DAY_MS)
    caller = Caller(account_id="a", key_id="k", kind=KeyKind.INGESTION)
    assert render_key(key, NOW)["expiry_warning"] == 5
    assert render_self(key, caller, NOW)["expiry_warning"] == 5


class Time:
    wall_ms = NOW
    monotonic = 5.0

    def clock(self):
        return Clock(lambda: self.wall_ms, lambda: self.monotonic)


@pytest.mark.parametrize("step_ms", [0, -6_000, 3_600_000])
def test_the_clock_is_told_apart_from_the_time_that_passed(step_ms):
    time = Time()
    clock = time.clock()
    time.wall_ms += 15_000 + step_ms
    time.monotonic += 15.0
    assert clock.step_ms() == step_ms
    time.wall_ms += 15_000
    time.monotonic += 15.0
    assert clock.step_ms() == 0
