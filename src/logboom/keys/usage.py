"""Counts the use of keys in memory: who uses which value of which key, and how much. No I/O, no write per request.

A request costs one look-up in a dict. The key of that dict is all that tells one user from another, so that the counts
of hours and the list of users are both made from it later, when they are written (`usage_flush.py`). Memory is bounded:
users that are too many between two writes are still counted, without saying who they are.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock
from typing import Final, NamedTuple

from logboom.database.tables import AUDIT_NAME_CHARACTERS_MAX, USER_AGENT_CHARACTERS_MAX

HOUR_MS: Final = 3_600_000
USES_MAX: Final = 20_000  # distinct users between two writes; about 10 MB
KNOWN_USERS_MAX: Final = 20_000  # who counts as new beyond that is written a few seconds early, and nothing else
# How much of a sender's texts is counted by. It is more than is kept: a key value across the cut must be found before.
AGENT_READ_MAX: Final = 2 * USER_AGENT_CHARACTERS_MAX
HOST_READ_MAX: Final = 2 * AUDIT_NAME_CHARACTERS_MAX
HOURS_KEPT_MAX: Final = 100_000  # of counts that could not be written yet

# The members of `User`, then the beginning of the hour. A plain tuple costs a tenth of a named one.
Use = tuple[str, int, str, str, str, str, str, int]

OPENED, REFUSED, LINES, BYTES, FIRST_MS, LAST_MS = range(6)
NO_CARRIER: Final = ""  # of users that were too many to be told apart


class User(NamedTuple):
    """One user of one value of a key. *dialect* is the family of addresses that it asked."""

    key_id: str
    generation: int
    address: str
    agent: str
    host: str
    carrier: str
    dialect: str


class Hour(NamedTuple):
    """What is counted together: one value of a key in one hour."""

    key_id: str
    generation: int
    hour_ms: int


class HourCount(NamedTuple):
    """*requests* are those that the value opened the door to; *bytes* are of decoded bodies."""

    requests: int = 0
    refusals: int = 0
    lines: int = 0
    bytes: int = 0

    def plus(self, other: "HourCount") -> "HourCount":
        return HourCount(*(one + another for one, another in zip(self, other, strict=True)))


class UserCount(NamedTuple):
    """*requests* are all of them, the refused ones too."""

    requests: int
    refusals: int
    lines: int
    first_ms: int
    last_ms: int

    def plus(self, other: "UserCount") -> "UserCount":
        counted = (self.requests + other.requests, self.refusals + other.refusals, self.lines + other.lines)
        return UserCount(*counted, min(self.first_ms, other.first_ms), max(self.last_ms, other.last_ms))


@dataclass(frozen=True)
class Counts:
    """What was counted in some time. Two of them add up to the same in whatever order."""

    hours: Mapping[Hour, HourCount] = field(default_factory=dict)
    users: Mapping[User, UserCount] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.hours)

    def plus(self, other: "Counts") -> "Counts":
        hours, users = dict(self.hours), dict(self.users)
        for hour, count in other.hours.items():
            hours[hour] = hours.get(hour, HourCount()).plus(count)
        for user, seen in other.users.items():
            users[user] = users[user].plus(seen) if user in users else seen
        return Counts(hours, users)

    def with_texts(self, keep: Callable[[str], str]) -> "Counts":
        """The same with what *keep* leaves of programs and hosts, which senders choose."""
        users: dict[User, UserCount] = {}
        for user, seen in self.users.items():
            agent, host = keep(user.agent)[:USER_AGENT_CHARACTERS_MAX], keep(user.host)[:AUDIT_NAME_CHARACTERS_MAX]
            kept = user._replace(agent=agent, host=host)
            users[kept] = users[kept].plus(seen) if kept in users else seen
        return Counts(self.hours, users)

    def newest(self, *, hours_max: int = HOURS_KEPT_MAX, users_max: int = USES_MAX) -> "Counts":
        """The same within bounds; what is oldest is left out."""
        hours = sorted(self.hours.items(), key=lambda counted: -counted[0].hour_ms)
        users = sorted(self.users.items(), key=lambda seen: -seen[1].last_ms)
        return Counts(dict(islice(hours, hours_max)), dict(islice(users, users_max)))


class Counters:
    """Counts of this server since they were last taken. Any thread may count.

    *on_new* is called, under the lock, when somebody uses a key who was not seen here before.
    """

    def __init__(self, *, on_new: Callable[[], None] = lambda: None, uses_max: int = USES_MAX) -> None:
        self._on_new, self._uses_max = on_new, uses_max
        self._lock = Lock()
        self._rows: dict[Use, list[int]] = {}
        self._known: dict[int, None] = {}  # hashes of users, as the texts that senders chose are not kept for long

    def opened(self, use: Use, now_ms: int) -> None:
        """A request that the key opened the door to."""
        with self._lock:
            row = self._rows.get(use) or self._begin(use, now_ms)
            row[OPENED] += 1
            row[LAST_MS] = now_ms

    def refused(self, use: Use, now_ms: int) -> None:
        """A request that was refused although the value is known."""
        with self._lock:
            row = self._rows.get(use) or self._begin(use, now_ms)
            row[REFUSED] += 1
            row[LAST_MS] = now_ms

    def accepted(self, use: Use, now_ms: int, *, lines: int, body_bytes: int) -> None:
        """What a request brought that was counted before."""
        with self._lock:
            row = self._rows.get(use) or self._begin(use, now_ms)
            row[LINES] += lines
            row[BYTES] += body_bytes

    def take(self) -> Counts:
        """All that was counted since the last time."""
        with self._lock:
            rows, self._rows = self._rows, {}
        return _counts_of(rows.items())

    def _begin(self, use: Use, now_ms: int) -> list[int]:
        user = hash(use[:-1])
        if user not in self._known:
            self._on_new()
        self._known.pop(user, None)
        self._known[user] = None
        if len(self._known) > KNOWN_USERS_MAX:
            del self._known[next(iter(self._known))]
        if len(self._rows) >= self._uses_max:
            use = (use[0], use[1], "", "", "", NO_CARRIER, "", use[-1])
        return self._rows.setdefault(use, [0, 0, 0, 0, now_ms, now_ms])


def _counts_of(rows: Iterable[tuple[Use, list[int]]]) -> Counts:
    hours: dict[Hour, HourCount] = {}
    users: dict[User, UserCount] = {}
    for use, row in rows:
        hour, user = Hour(use[0], use[1], use[-1]), User(*use[:-1])
        counted = HourCount(requests=row[OPENED], refusals=row[REFUSED], lines=row[LINES], bytes=row[BYTES])
        hours[hour] = hours.get(hour, HourCount()).plus(counted)
        if user.carrier != NO_CARRIER:
            requests = row[OPENED] + row[REFUSED]
            seen = UserCount(requests, row[REFUSED], row[LINES], row[FIRST_MS], row[LAST_MS])
            users[user] = users[user].plus(seen) if user in users else seen
    return Counts(hours, users)
