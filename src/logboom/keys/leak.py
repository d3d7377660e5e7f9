"""What is known of a leak: which value was found in whose lines, where, and how often. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b
from threading import Lock
from typing import Final

from logboom.database.tables import AUDIT_NAME_CHARACTERS_MAX
from logboom.keys.key import Caller
from logboom.keys.redaction import Source

DAY_MS: Final = 86_400_000
DIGEST_BYTES: Final = 16
# Of one server between two writes. Who sends lines can make up any number of apps and hosts.
LEAKS_UNWRITTEN_MAX: Final = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Leak:
    """A value of the *caller* found in lines of an account. App and host are '' in lines of another account."""

    caller: Caller
    account_id: str
    app: str
    host: str
    day_ms: int

    @property
    def is_own(self) -> bool:
        """Whether the lines belong to the account of the key."""
        return self.account_id == self.caller.account_id

    @property
    def place_digest(self) -> bytes:
        """What tells this place and day from others of the same key."""
        place = "\0".join((self.account_id, self.app, self.host, str(self.day_ms)))
        return blake2b(place.encode(), digest_size=DIGEST_BYTES).digest()

    def anywhere(self) -> "Leak":
        """The same leak without its place."""
        return replace(self, app="", host="")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """How often, and from when to when."""

    count: int
    first_ms: int
    last_ms: int

    def plus(self, other: "Tally | None") -> "Tally":
        if other is None:
            return self
        first_ms, last_ms = min(self.first_ms, other.first_ms), max(self.last_ms, other.last_ms)
        return Tally(count=self.count + other.count, first_ms=first_ms, last_ms=last_ms)


@dataclass(frozen=True, kw_only=True)
class KnownLeak:
    """What is kept of one place and day, as the owners of the key see it."""

    app: str
    host: str
    is_own: bool
    day_ms: int
    tally: Tally


class Tallies:
    """Counts what is found, in memory. Any thread may add; *on_news* is called each time and must not wait."""

    def __init__(self, *, now_ms: Callable[[], int], on_news: Callable[[], None]) -> None:
        self._now_ms, self._on_news = now_ms, on_news
        self._tallies: dict[Leak, Tally] = {}
        self._lock = Lock()

    def found(self, caller: Caller, source: Source) -> None:
        """A value of *caller* stood in a line from there."""
        now_ms = self._now_ms()
        is_own = source.account_id == caller.account_id
        leak = Leak(
            caller=caller,
            account_id=source.account_id,
            app=_storable(source.app) if is_own else "",
            host=_storable(source.host) if is_own else "",
            day_ms=now_ms - now_ms % DAY_MS,
        )
        self.add({leak: Tally(count=1, first_ms=now_ms, last_ms=now_ms)})
        self._on_news()

    def add(self, tallies: dict[Leak, Tally]) -> None:
        with self._lock:
            for leak, tally in tallies.items():
                is_known = leak in self._tallies or len(self._tallies) < LEAKS_UNWRITTEN_MAX
                counted = leak if is_known else leak.anywhere()
                self._tallies[counted] = tally.plus(self._tallies.get(counted))

    def take(self) -> dict[Leak, Tally]:
        """Everything that was counted since the last time."""
        with self._lock:
            taken, self._tallies = self._tallies, {}
        return taken


def _storable(text: str) -> str:
    """A text that both databases take, at the length of the column."""
    return text.replace("\0", "")[:AUDIT_NAME_CHARACTERS_MAX].encode("utf-8", errors="replace").decode()
