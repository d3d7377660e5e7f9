"""Which keys want looking after, and why. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from logboom.keys.key import Key

DAY_MS: Final = 86_400_000
UNUSED_MS: Final = 7 * DAY_MS
IDLE_MS: Final = 90 * DAY_MS


class Concern(StrEnum):
    """What is wrong with a key, the worst first."""

    LEAKED = "leaked"
    SEEN_IN_ADDRESS = "seen_in_address"
    OLD_VALUE_IN_USE = "old_value_in_use"
    NEVER_USED = "never_used"
    IDLE = "idle"
    IMPORTED = "imported"
    NO_EXPIRY = "no_expiry"


ADVICE: Final = {
    Concern.LEAKED: "Its value was found in log lines, where it was redacted. Rotate it, and stop what writes it.",
    Concern.SEEN_IN_ADDRESS: "Its value was sent in an address, which proxies keep in their logs. "
    "Have it sent in a header, then rotate it.",
    Concern.OLD_VALUE_IN_USE: "It was rotated, and its old value is still used. "
    "Give the new one to whoever uses it before the overlap ends.",
    Concern.NEVER_USED: "Nobody has used it since it was created. Delete it if nobody is going to.",
    Concern.IDLE: "Nobody has used it for 90 days. Disable it, and delete it when nobody misses it.",
    Concern.IMPORTED: "It has the value that it had elsewhere, so others may know it. Rotate it when you can.",
    Concern.NO_EXPIRY: "It never expires. Give it an expiry, or rotate it now and then.",
}


@dataclass(frozen=True, kw_only=True)
class Signs:
    """What is known of a key beside itself: when it was last rotated, when a value of it was last seen in an address
    and in a line, and during an overlap when the old one was last used. A rotation mends what was before it.
    """

    key: Key
    rotated_ms: int | None = None
    url_seen_ms: int | None = None
    leaked_ms: int | None = None
    old_value_used_ms: int | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing to look after, since when it is so, and what to do."""

    key: Key
    concern: Concern
    since_ms: int
    advice: str


def findings(keys: Iterable[Signs], now_ms: int) -> list[Finding]:
    """All of them, the worst first, then the oldest."""
    found = [
        Finding(key=signs.key, concern=concern, since_ms=since_ms, advice=ADVICE[concern])
        for signs in keys
        for concern, since_ms in _concerns(signs, now_ms)
    ]
    worst = list(Concern)
    return sorted(found, key=lambda finding: (worst.index(finding.concern), finding.since_ms))


def _concerns(signs: Signs, now_ms: int) -> Iterator[tuple[Concern, int]]:
    key = signs.key
    for concern, seen_ms in (
        (Concern.LEAKED, signs.leaked_ms),
        (Concern.SEEN_IN_ADDRESS, signs.url_seen_ms),
        (Concern.OLD_VALUE_IN_USE, signs.old_value_used_ms),
    ):
        if seen_ms is not None and seen_ms > (signs.rotated_ms or 0):
            yield concern, seen_ms
    if key.last_used_ms is None and key.created_ms < now_ms - UNUSED_MS:
        yield Concern.NEVER_USED, key.created_ms
    if key.last_used_ms is not None and key.last_used_ms < now_ms - IDLE_MS:
        yield Concern.IDLE, key.last_used_ms
    if key.is_imported:
        yield Concern.IMPORTED, key.created_ms
    if key.expires_at_ms is None:
        yield Concern.NO_EXPIRY, key.created_ms
