"""Strangers get so many turns a second after a burst, wait no longer than a bound, and are forgotten afterwards."""

import asyncio

import pytest

from logboom.keys.slowdown import Slowdown
from logboom.limits import UNKNOWN_KEY_WAIT_S_MAX, UNKNOWN_KEYS_BURST, UNKNOWN_KEYS_PER_S


class StandingClock:
    """Stands still unless it is moved; what is asked to sleep is written down instead."""

    def __init__(self):
        self.now_s, self.slept_s = 1_000.0, []

    def __call__(self):
        return self.now_s

    async def sleep(self, seconds):
        self.slept_s.append(seconds)


@pytest.fixture
def clock():
    return StandingClock()


@pytest.fixture
def ask(clock):
    slowdown = Slowdown(monotonic_s=clock, sleep=clock.sleep)

    async def take_turns(times):
        for _ in range(times):
            await slowdown.wait_for_turn()

    def ask(times):
        """The waits of so many calls at once."""
        clock.slept_s.clear()
        asyncio.run(take_turns(times))
        return clock.slept_s

    return ask


def test_a_burst_is_not_kept_waiting(ask):
    assert ask(UNKNOWN_KEYS_BURST) == []


def test_what_follows_gets_its_turn_one_after_the_other(ask):
    ask(UNKNOWN_KEYS_BURST)
    assert ask(3) == pytest.approx([n / UNKNOWN_KEYS_PER_S for n in (1, 2, 3)])


def test_nobody_waits_longer_than_the_bound(ask):
    ask(UNKNOWN_KEYS_BURST + UNKNOWN_KEYS_PER_S * UNKNOWN_KEY_WAIT_S_MAX)
    assert ask(2) == pytest.approx([UNKNOWN_KEY_WAIT_S_MAX] * 2)


def test_turns_come_back_with_time(ask, clock):
    ask(UNKNOWN_KEYS_BURST)
    clock.now_s += 3 / UNKNOWN_KEYS_PER_S
    assert ask(3) == []
    assert ask(1) == pytest.approx([1 / UNKNOWN_KEYS_PER_S])


def test_a_flood_is_forgotten_soon(ask, clock):
    ask(UNKNOWN_KEYS_BURST + 10 * UNKNOWN_KEYS_PER_S * UNKNOWN_KEY_WAIT_S_MAX)
    clock.now_s += UNKNOWN_KEY_WAIT_S_MAX + UNKNOWN_KEYS_BURST / UNKNOWN_KEYS_PER_S
    assert ask(UNKNOWN_KEYS_BURST) == []
