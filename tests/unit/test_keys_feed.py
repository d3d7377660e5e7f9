"""When memory may be believed: the lease, the probe, and what waits. Threads are real, the clock is not."""

import asyncio
import threading
import time

import pytest

from logboom.errors import Unavailable
from logboom.keys.feed import ANSWER_WAIT_S, LEASE_S, Feed

PATIENCE_S = 10


class World:
    """A database that answers or not, and a monotonic clock that stands."""

    def __init__(self):
        self.now_s = 100.0
        self.seq = 0
        self.questions = 0
        self.mark = 0
        self.answering = threading.Event()
        self.answering.set()
        self.is_broken = False

    def catch_up(self):
        self.questions += 1
        assert self.answering.wait(PATIENCE_S)
        if self.is_broken:
            raise Unavailable
        return self.seq

    def monotonic_s(self):
        return self.now_s


@pytest.fixture
def world():
    return World()


@pytest.fixture
def start(world):
    """Starts a feed that does not ask without a reason."""
    started = []

    def start(*, has_probe=False, **options):
        probe = (lambda: world.mark) if has_probe else None
        feed = Feed(world.catch_up, probe=probe, monotonic_s=world.monotonic_s, poll_s=PATIENCE_S, **options)
        feed.start()
        started.append(feed)
        wait_until(lambda: not feed.is_failing)
        return feed

    yield start
    world.answering.set()
    for feed in started:
        feed.stop()


def wait_until(holds):
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_an_answer_gives_a_lease_from_when_the_question_was_sent(world, start):
    feed = start()
    world.now_s += LEASE_S
    asyncio.run(feed.ensure())
    assert world.questions == 1
    world.now_s += 0.001
    asyncio.run(feed.ensure())
    assert world.questions == 2


def test_a_slow_answer_gives_less(world, start):
    feed = start()
    world.answering.clear()
    feed.wake()
    wait_until(lambda: world.questions == 2)
    world.now_s += LEASE_S + 1
    world.answering.set()
    asyncio.run(feed.ensure())
    assert world.questions == 3


def test_without_an_answer_nobody_is_admitted(world, start):
    feed = start()
    world.answering.clear()
    world.now_s += LEASE_S + 1
    began_s = time.monotonic()
    with pytest.raises(Unavailable):
        asyncio.run(feed.ensure())
    assert time.monotonic() - began_s < ANSWER_WAIT_S + 1


def test_a_broken_database_is_told_at_once_and_forgotten_when_it_heals(world, start):
    feed = start()
    world.is_broken = True
    world.now_s += LEASE_S + 1
    with pytest.raises(Unavailable):
        asyncio.run(feed.ensure())
    assert feed.is_failing
    world.is_broken = False
    asyncio.run(feed.ensure())
    assert not feed.is_failing


def test_many_requests_share_one_question(world, start):
    feed = start()

    async def ask_often():
        await asyncio.gather(*(feed.ensure_newer() for _ in range(500)))

    asyncio.run(ask_often())
    assert world.questions <= 3


def test_strangers_make_it_ask_fifty_times_a_second_at_most(world, start):
    feed = start()

    async def ask_in_turn(until_s):
        while time.monotonic() < until_s:
            await feed.ensure_newer()

    began_s = time.monotonic()
    asyncio.run(ask_in_turn(began_s + 0.5))
    assert world.questions <= 2 + 50 * (time.monotonic() - began_s)


def test_what_is_newer_was_asked_for_after_the_call(world, start):
    """The question that is on its way when somebody asks may have been answered before; it does not count."""
    feed = start()
    world.answering.clear()
    feed.wake()
    wait_until(lambda: world.questions == 2)

    async def ask():
        waiting = asyncio.ensure_future(feed.ensure_newer())
        await asyncio.sleep(0)
        world.answering.set()
        await waiting

    asyncio.run(ask())
    assert world.questions == 3


def test_a_probe_that_says_the_same_needs_no_question(world, start):
    feed = start(has_probe=True)
    asyncio.run(feed.ensure())
    asked = world.questions
    world.now_s += 1_000
    for _ in range(100):
        asyncio.run(feed.ensure())
        asyncio.run(feed.ensure_newer())
    assert world.questions == asked


def test_a_probe_that_says_something_else_asks_once(world, start):
    feed = start(has_probe=True)
    asyncio.run(feed.ensure())
    asked = world.questions
    world.mark += 1
    for _ in range(10):
        asyncio.run(feed.ensure())
    assert world.questions == asked + 1


def test_a_probe_is_not_believed_while_the_feed_fails(world, start):
    feed = start(has_probe=True)
    asyncio.run(feed.ensure())
    world.is_broken = True
    feed.wake()
    wait_until(lambda: feed.is_failing)
    with pytest.raises(Unavailable):
        asyncio.run(feed.ensure())


def test_a_probe_that_fails_admits_nobody(world):
    def broken():
        raise OSError

    feed = Feed(world.catch_up, probe=broken, monotonic_s=world.monotonic_s)
    with pytest.raises(Unavailable):
        asyncio.run(feed.ensure())


def test_it_tells_what_it_has_seen(world, start):
    told = []
    world.seq = 7
    start(on_seq=told.append)
    wait_until(lambda: told)
    assert set(told) == {7}


def test_who_waits_when_it_stops_is_told(world, start):
    feed = start()
    feed.stop()
    world.now_s += LEASE_S + 1
    with pytest.raises(Unavailable):
        asyncio.run(feed.ensure())
