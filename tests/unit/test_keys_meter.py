"""How much a key is used, against its limits. Evidence: issue 3, item 5."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logboom.keys.meter import DAY_MS, Meter, Used
from logboom.keys.terms import Limits

KEY, OTHER = "a" * 24, "b" * 24
NOON_MS = 1_700_000_000_000 - 1_700_000_000_000 % DAY_MS + DAY_MS // 2


class Clocks:
    """Both clocks of a meter."""

    def __init__(self):
        self.now_ms, self.s = NOON_MS, 0.0

    def make_meter(self):
        return Meter(now_ms=lambda: self.now_ms, monotonic_s=lambda: self.s)


@pytest.fixture
def clocks():
    return Clocks()


@given(st.integers(1, 20), st.lists(st.floats(0, 0.5), max_size=80))
def test_in_no_time_there_are_more_requests_than_the_bucket_holds_and_lets_out(per_s, pauses):
    clocks = Clocks()
    meter, admitted = clocks.make_meter(), []
    for pause in pauses:
        clocks.s += pause
        if meter.wait_s(KEY, per_s, is_counted=True) == 0:
            admitted.append(clocks.s)
    for first, start_s in enumerate(admitted):
        for last in range(first, len(admitted)):
            assert last - first + 1 <= per_s * (admitted[last] - start_s) + per_s + 1e-6


@given(st.integers(1, 20), st.integers(1, 100))
def test_whoever_keeps_the_pace_is_never_refused(per_s, requests):
    clocks = Clocks()
    meter = clocks.make_meter()
    for number in range(requests):
        clocks.s = number / per_s + 1e-9 * number
        assert meter.wait_s(KEY, per_s, is_counted=True) == 0


def test_a_look_counts_nothing(clocks):
    meter = clocks.make_meter()
    assert [meter.wait_s(KEY, 2, is_counted=False) for _ in range(9)] == [0] * 9
    assert [meter.wait_s(KEY, 2, is_counted=True) for _ in range(4)] == [0, 0, 1, 1]
    assert meter.wait_s(KEY, 2, is_counted=False) == 1
    assert meter.wait_s(OTHER, 2, is_counted=True) == 0
    clocks.s += 0.5
    assert [meter.wait_s(KEY, 2, is_counted=True) for _ in range(2)] == [0, 1]


def test_buckets_that_have_run_out_are_forgotten(clocks, monkeypatch):
    monkeypatch.setattr("logboom.keys.meter.BUCKETS_MAX", 2)
    meter = clocks.make_meter()
    meter.wait_s("one", 1, is_counted=True)
    clocks.s += 0.5
    meter.wait_s("two", 1, is_counted=True)
    clocks.s += 0.5
    assert meter.wait_s("three", 1, is_counted=True) == 0
    assert list(meter._buckets) == ["two", "three"]
    assert meter.wait_s("two", 1, is_counted=True) == 1


SENT = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 500)), max_size=30)


@given(SENT, st.none() | st.integers(1, 200), st.none() | st.integers(1, 2_000))
def test_the_day_is_never_exceeded_and_what_fits_is_accepted(sent, lines_max, bytes_max):
    meter = Clocks().make_meter()
    limits = Limits(lines_per_day=lines_max, bytes_per_day=bytes_max)
    lines = size = 0
    for more_lines, more_bytes in sent:
        fits = (lines_max is None or lines + more_lines <= lines_max) and (
            bytes_max is None or size + more_bytes <= bytes_max
        )
        assert meter.add(KEY, limits, lines=more_lines, body_bytes=more_bytes) is fits
        if fits:
            lines, size = lines + more_lines, size + more_bytes
        full = (lines_max is not None and lines >= lines_max) or (bytes_max is not None and size >= bytes_max)
        assert meter.is_full(KEY, limits) is full


@pytest.mark.parametrize("limits", [Limits(lines_per_day=10), Limits(bytes_per_day=10)])
def test_what_was_not_accepted_is_taken_back(clocks, limits):
    meter = clocks.make_meter()
    for _ in range(2):
        assert meter.add(KEY, limits, lines=10, body_bytes=10)
        assert not meter.add(KEY, limits, lines=1, body_bytes=1)
        meter.take_back(KEY, lines=10, body_bytes=10)
    meter.take_back(KEY, lines=10, body_bytes=10)
    assert meter.add(KEY, limits, lines=10, body_bytes=10)


@pytest.mark.parametrize("limits", [Limits(lines_per_day=10), Limits(bytes_per_day=10)])
def test_a_day_is_full_when_nothing_more_fits(clocks, limits):
    meter = clocks.make_meter()
    for is_full in (False, True):
        assert meter.is_full(KEY, limits) is is_full
        meter.add(KEY, limits, lines=10, body_bytes=10)
    meter.take_back(KEY, lines=1, body_bytes=1)
    assert not meter.is_full(KEY, limits)


def test_a_day_is_one_of_utc(clocks):
    meter, limits = clocks.make_meter(), Limits(lines_per_day=10)
    assert meter.add(KEY, limits, lines=10, body_bytes=0)
    assert meter.left_s() == 12 * 3600
    clocks.now_ms += DAY_MS // 2 - 1
    assert (meter.add(KEY, limits, lines=1, body_bytes=0), meter.left_s()) == (False, 1)
    clocks.now_ms += 1
    assert meter.add(KEY, limits, lines=10, body_bytes=0)
    assert (meter.day_ms, meter.left_s()) == (clocks.now_ms, 24 * 3600)
    meter.take_back(KEY, lines=99, body_bytes=99)
    assert meter.add(KEY, limits, lines=10, body_bytes=0)


def test_the_greater_of_what_we_and_what_all_have_counted_is_used(clocks):
    meter, limits = clocks.make_meter(), Limits(lines_per_day=100)
    meter.add(KEY, limits, lines=30, body_bytes=0)
    meter.learn(meter.day_ms, {KEY: Used(20, 0), OTHER: Used(95, 0)})
    assert meter.add(KEY, limits, lines=10, body_bytes=0)  # 40 of ours
    meter.learn(meter.day_ms, {KEY: Used(95, 0)})
    assert not meter.add(KEY, limits, lines=6, body_bytes=0)
    assert meter.add(KEY, limits, lines=5, body_bytes=0)
    assert not meter.add(OTHER, limits, lines=6, body_bytes=0)


def test_what_was_read_of_yesterday_does_not_count_today(clocks):
    meter, limits = clocks.make_meter(), Limits(lines_per_day=10)
    yesterday_ms = meter.day_ms
    clocks.now_ms += DAY_MS
    meter.learn(yesterday_ms, {KEY: Used(10, 0)})
    assert not meter.is_full(KEY, limits)


@given(st.lists(st.tuples(st.sampled_from(["count", "flush", "restart"]), st.integers(1, 20)), max_size=40))
def test_one_server_is_exact_whenever_it_writes_and_starts_again(steps):
    """What was counted is written now and then, all of it before a stop, and learned from there."""
    clocks, limits, accepted, written = Clocks(), Limits(lines_per_day=100), 0, 0
    meter = clocks.make_meter()
    for step, lines in steps:
        if step == "count":
            assert meter.add(KEY, limits, lines=lines, body_bytes=0) is (accepted + lines <= 100)
            accepted += lines if accepted + lines <= 100 else 0
        else:
            written = accepted
            meter = clocks.make_meter() if step == "restart" else meter
            meter.learn(meter.day_ms, {KEY: Used(written, 0)})


def test_bytes_are_taken_back_like_lines_and_of_one_key_only(clocks):
    meter, limits = clocks.make_meter(), Limits(bytes_per_day=10, lines_per_day=10)
    for key in (KEY, OTHER):
        assert meter.add(key, limits, lines=4, body_bytes=10)
    meter.take_back(KEY, lines=4, body_bytes=3)
    assert not meter.add(KEY, limits, lines=1, body_bytes=4)
    assert meter.add(KEY, limits, lines=1, body_bytes=3)
    assert meter.is_full(OTHER, limits)
    meter.take_back(KEY, lines=99, body_bytes=99)
    assert not meter.add(KEY, limits, lines=0, body_bytes=11)
    assert meter.add(KEY, limits, lines=10, body_bytes=10)
