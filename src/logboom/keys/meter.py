"""Measures how much keys are used against their limits, in the memory of this server.

Requests fill a bucket for each key, of as many as may come in a second, and it runs out steadily: each server has its
own. Lines and bytes of a day are counted exactly here, and what all servers together have counted (`usage`) is learned
every few seconds: the greater of the two is what was used. With one server the bound is exact; of several each may
exceed it by what the others accepted in the seconds before. After a restart what was used is learned first.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Final, NamedTuple

from logboom.keys.terms import Limits

DAY_MS: Final = 86_400_000
BUCKETS_MAX: Final = 10_000  # before those that have run out are forgotten


class Used(NamedTuple):
    """What was accepted of a key on one day."""

    lines: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Bucket:
    """How many requests are in it, and since when."""

    fill: float
    at_s: float


class Meter:
    """Any thread may ask. *now_ms* tells the day, *monotonic_s* the seconds between two requests."""

    def __init__(self, *, now_ms: Callable[[], int], monotonic_s: Callable[[], float]) -> None:
        self._now_ms, self._monotonic_s = now_ms, monotonic_s
        self._buckets: dict[str, Bucket] = {}
        self._day_ms = 0
        self._used: dict[str, Used] = {}
        self._lock = Lock()

    def wait_s(self, key_id: str, per_s: int, *, is_counted: bool) -> int:
        """0 when another request may come now, which *is counted* or only looked at; else when to come back."""
        with self._lock:
            now_s = self._monotonic_s()
            bucket = self._buckets.get(key_id) or self._begin(key_id, now_s)
            bucket.fill = max(0.0, bucket.fill - (now_s - bucket.at_s) * per_s)
            bucket.at_s = now_s
            if bucket.fill > per_s - 1:
                return 1  # a bucket runs out within a second
            bucket.fill += is_counted
            return 0

    def is_full(self, key_id: str, limits: Limits) -> bool:
        """Whether nothing more is accepted today."""
        with self._lock:
            return _exceeds(self._of_today(key_id), limits, spare=1)

    def add(self, key_id: str, limits: Limits, *, lines: int, body_bytes: int) -> bool:
        """Count a batch, unless the day would be exceeded by it; returns whether it was counted."""
        with self._lock:
            used = self._of_today(key_id)
            used = Used(used.lines + lines, used.bytes + body_bytes)
            if _exceeds(used, limits):
                return False
            self._used[key_id] = used
            return True

    def take_back(self, key_id: str, *, lines: int, body_bytes: int) -> None:
        """A batch that was counted was not accepted after all."""
        with self._lock:
            used = self._of_today(key_id)
            self._used[key_id] = Used(max(0, used.lines - lines), max(0, used.bytes - body_bytes))

    def learn(self, day_ms: int, used: Mapping[str, Used]) -> None:
        """What all servers have counted since *day_ms*."""
        with self._lock:
            for key_id, theirs in used.items():
                ours = self._of_today(key_id)
                if day_ms == self._day_ms:
                    self._used[key_id] = Used(max(ours.lines, theirs.lines), max(ours.bytes, theirs.bytes))

    @property
    def day_ms(self) -> int:
        """When today began, UTC."""
        now_ms = self._now_ms()
        return now_ms - now_ms % DAY_MS

    def left_s(self) -> int:
        """How long today goes on, in whole seconds."""
        return (self.day_ms + DAY_MS - self._now_ms() + 999) // 1000

    def _of_today(self, key_id: str) -> Used:
        today_ms = self.day_ms
        if today_ms != self._day_ms:
            self._day_ms, self._used = today_ms, {}
        return self._used.get(key_id, Used())

    def _begin(self, key_id: str, now_s: float) -> Bucket:
        if len(self._buckets) >= BUCKETS_MAX:
            self._buckets = {name: bucket for name, bucket in self._buckets.items() if bucket.at_s > now_s - 1}
        bucket = self._buckets[key_id] = Bucket(fill=0.0, at_s=now_s)
        return bucket


def _exceeds(used: Used, limits: Limits, *, spare: int = 0) -> bool:
    lines_max, bytes_max = limits.lines_per_day, limits.bytes_per_day
    too_many_lines = lines_max is not None and used.lines + spare > lines_max
    return too_many_lines or (bytes_max is not None and used.bytes + spare > bytes_max)
