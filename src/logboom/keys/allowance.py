"""Counts what somebody may do only so often an hour, in the memory of this process."""

from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Final

from logboom.errors import TooManyRequests

HOUR_MS: Final = 3_600_000
# More names than that within an hour are an attack from many places; the oldest are forgotten to bound the memory.
NAMES_MAX: Final = 10_000


class Allowance:
    """At most *per_hour* uses in any hour for each name."""

    def __init__(self, per_hour: int, *, now_ms: Callable[[], int]) -> None:
        self._per_hour, self._now_ms = per_hour, now_ms
        self._uses: dict[str, deque[int]] = {}
        self._lock = Lock()

    def use(self, name: str) -> None:
        """Count one use. Raises TooManyRequests, which says when the next one is free."""
        with self._lock:
            now_ms = self._now_ms()
            uses = self._uses.pop(name, deque())
            while uses and uses[0] <= now_ms - HOUR_MS:
                uses.popleft()
            self._uses[name] = uses  # behind the others, so that the first name is the one that was idle longest
            if len(self._uses) > NAMES_MAX:
                del self._uses[next(iter(self._uses))]
            if len(uses) >= self._per_hour:
                raise TooManyRequests((uses[0] + HOUR_MS - now_ms + 999) // 1000)
            uses.append(now_ms)
