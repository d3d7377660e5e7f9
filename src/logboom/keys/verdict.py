"""Decides whether a value that is known opens the door now. Pure: what it needs stands in memory, the clock is given.

What is refused for good comes before what passes: who holds a deleted key must not be told to wait.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from logboom.errors import KeyHeld, LogboomError
from logboom.keys.key import Caller, KeyState
from logboom.limits import HELD_RETRY_AFTER_S_MAX


class Refusal(StrEnum):
    """Why a value is refused. The texts are told to nobody but the one who holds it."""

    DELETED = "The key was deleted."
    DISABLED = "The key is disabled."
    RETIRED = "The key was rotated, and this is its old value."
    EXPIRED = "The key has expired."
    NOT_YET_VALID = "The key is not valid yet."
    HELD = "The key is on hold for a while."
    WRONG_KIND = "The key is of the other kind."  # never a verdict: the door says so
    SCOPE_MISSING = "The key may not do this."


# What was once a key and is none any more, for now or for good.
ENDED: Final = frozenset({Refusal.DELETED, Refusal.DISABLED, Refusal.RETIRED, Refusal.EXPIRED})

# Nobody can take these back, so memory that is a moment old cannot be wrong about them.
FINAL: Final = frozenset({Refusal.DELETED, Refusal.RETIRED})

REFUSED_STATES: Final = {KeyState.DELETED: Refusal.DELETED, KeyState.DISABLED: Refusal.DISABLED}


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """One value of one key, with all that decides about it. *valid_until_ms* is the value's own end, not the key's.

    *pepper_version* says which pepper its digest was made with.
    """

    caller: Caller
    state: KeyState = KeyState.ACTIVE
    held_until_ms: int | None = None
    not_before_ms: int | None = None
    expires_at_ms: int | None = None
    valid_until_ms: int | None = None
    revision: int = 0
    pepper_version: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """A value that is known and does not open the door; *caller* is who it would have been."""

    caller: Caller
    refusal: Refusal
    retry_after_s: int | None = None


def decide(standing: Standing, now_ms: int) -> Caller | Refused:
    """The caller, or why not."""
    refusal = _find_refusal(standing, now_ms)
    if refusal is None:
        return standing.caller
    if refusal is not Refusal.HELD:
        return Refused(caller=standing.caller, refusal=refusal)
    left_s = ((standing.held_until_ms or 0) - now_ms + 999) // 1000
    return Refused(caller=standing.caller, refusal=refusal, retry_after_s=min(left_s, HELD_RETRY_AFTER_S_MAX))


def error_of(refused: Refused, refusal: type[LogboomError]) -> LogboomError:
    """What a refused key is answered: *refusal*, or to keep the lines."""
    if refused.refusal is Refusal.HELD:
        return KeyHeld(refused.retry_after_s or 1, reason=refused.refusal.value)
    return refusal(reason=refused.refusal.value)


def _find_refusal(standing: Standing, now_ms: int) -> Refusal | None:
    if standing.state in REFUSED_STATES:
        return REFUSED_STATES[standing.state]
    if standing.valid_until_ms is not None and standing.valid_until_ms <= now_ms:
        return Refusal.RETIRED
    if standing.expires_at_ms is not None and standing.expires_at_ms <= now_ms:
        return Refusal.EXPIRED
    if standing.not_before_ms is not None and standing.not_before_ms > now_ms:
        return Refusal.NOT_YET_VALID
    if standing.state is KeyState.HELD and (standing.held_until_ms or 0) > now_ms:
        return Refusal.HELD
    return None
