"""Who has used keys on this server lately, and how much in the last minute. In memory, bounded.

The database keeps a few users of each key; this knows the whole fleet that sends to this server, until it restarts.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from logboom.keys.usage import User, UserCount

RECENT_USERS_MAX: Final = 10_000
SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000


@dataclass(frozen=True, kw_only=True)
class LastMinute:
    """What a user did in the last minute."""

    requests: int = 0
    lines: int = 0


@dataclass
class _Trace:
    seen: UserCount
    parts: deque[tuple[int, int, int]] = field(default_factory=deque)  # moment, requests, lines; one for a second

    def note(self, seen: UserCount) -> None:
        requests, lines = seen.requests, seen.lines
        if self.parts and self.parts[-1][0] // SECOND_MS == seen.last_ms // SECOND_MS:
            _, more_requests, more_lines = self.parts.pop()
            requests, lines = requests + more_requests, lines + more_lines
        self.parts.append((seen.last_ms, requests, lines))
        while self.parts[0][0] < seen.last_ms - MINUTE_MS:
            self.parts.popleft()


class Recent:
    """Any thread may add and ask."""

    def __init__(self, *, users_max: int = RECENT_USERS_MAX) -> None:
        self._users_max = users_max
        self._lock = Lock()
        self._traces: dict[User, _Trace] = {}  # who was seen last stands last

    def add(self, users: Mapping[User, UserCount]) -> None:
        """What was counted since the last time."""
        with self._lock:
            for user, seen in users.items():
                trace = self._traces.pop(user, None)
                trace = trace or _Trace(UserCount(0, 0, 0, seen.first_ms, seen.last_ms))
                trace.seen = trace.seen.plus(seen)
                trace.note(seen)
                self._traces[user] = trace
            while len(self._traces) > self._users_max:
                del self._traces[next(iter(self._traces))]

    def users(self, key_id: str, now_ms: int) -> dict[User, tuple[UserCount, LastMinute]]:
        """The users of a key in the last day, with all that was counted of them here, and the last minute of it."""
        with self._lock:
            return {
                user: (trace.seen, _last_minute(trace, now_ms))
                for user, trace in self._traces.items()
                if user.key_id == key_id and trace.seen.last_ms > now_ms - DAY_MS
            }


def _last_minute(trace: _Trace, now_ms: int) -> LastMinute:
    parts = [part for part in trace.parts if part[0] > now_ms - MINUTE_MS]
    return LastMinute(requests=sum(part[1] for part in parts), lines=sum(part[2] for part in parts))
