"""How often is too often: a sliding hour for each name, in bounded memory."""

import pytest

from logboom.errors import TooManyRequests
from logboom.keys import allowance
from logboom.keys.allowance import Allowance


def test_each_name_has_its_own_sliding_hour():
    clock = iter([0, 0, 1_800_000, 1_800_001, 3_599_999, 3_600_000, 3_600_001])
    uses = Allowance(2, now_ms=lambda: next(clock))
    uses.use("a")
    uses.use("b")
    uses.use("a")
    for left_s in (1_800, 1):
        with pytest.raises(TooManyRequests) as refused:
            uses.use("a")
        assert refused.value.retry_after_s == left_s
    uses.use("a")
    with pytest.raises(TooManyRequests):
        uses.use("a")


def test_names_are_forgotten_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(allowance, "NAMES_MAX", 2)
    uses = Allowance(1, now_ms=lambda: 0)
    for name in ("a", "b", "c", "a"):
        uses.use(name)
    with pytest.raises(TooManyRequests):
        uses.use("a")


@pytest.mark.parametrize(
    ("moment_ms", "left_s"), [(0, 3_600), (1, 3_600), (999, 3_600), (1_000, 3_599), (3_599_999, 1)]
)
def test_when_to_come_again_is_told_in_whole_seconds(moment_ms, left_s):
    clock = iter([0, moment_ms])
    uses = Allowance(1, now_ms=lambda: next(clock))
    uses.use("a")
    with pytest.raises(TooManyRequests) as refused:
        uses.use("a")
    assert refused.value.retry_after_s == left_s


def test_as_many_names_are_remembered_as_there_may_be(monkeypatch):
    monkeypatch.setattr(allowance, "NAMES_MAX", 2)
    uses = Allowance(1, now_ms=lambda: 0)
    for name in ("a", "b"):
        uses.use(name)
    for name in ("a", "b"):
        with pytest.raises(TooManyRequests):
            uses.use(name)
