"""Decides whether a value that is known opens the door now. Pure: what it needs stands in memory, the clock is given.

What is refused for good comes before what passes: who holds a deleted key must not be told to wait.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from logboom.errors import (
    AddressRefused,
    KeyHeld,
    LimitHeld,
    LimitRefused,
    LogboomError,
    NotAuthorized,
    ScopeMissing,
)
from logboom.keys.key import Caller, KeyState
from logboom.keys.scopes import Scope
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
    SCOPE_EXCEEDED = "The key may not give or read so much."
    ADDRESS = "The key is not used from this address."
    NARROWED = "The key may not send this."
    RATE = "The key is used too often."
    DAY_FULL = "The key has sent as much as it may on one day."


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
    """A value that is known and does not open the door; *caller* is who it would have been.

    *detail* says more than the refusal does; *is_held* is whether its user shall keep what it sends; in a *dry run* the
    key opens all the same.
    """

    caller: Caller
    refusal: Refusal
    retry_after_s: int | None = None
    detail: str = ""
    scopes: tuple[Scope, ...] = ()
    is_held: bool = False
    is_dry_run: bool = False


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
    """What a refused key is answered: *refusal*, which is the door's, unless something else says more."""
    reason, retry_after_s = refused.detail or refused.refusal.value, refused.retry_after_s or 1
    match refused.refusal:
        case Refusal.HELD:
            return KeyHeld(retry_after_s, reason=reason)
        case Refusal.RATE | Refusal.DAY_FULL:
            limit = LimitHeld if refused.is_held else LimitRefused
            return limit(retry_after_s, reason=reason)
        case Refusal.SCOPE_MISSING:
            return ScopeMissing(*refused.scopes)
        case Refusal.ADDRESS if refusal is NotAuthorized:
            return AddressRefused()  # Mezmo: 401 when a key cannot be used at all, 403 when not for this. mezmo-api 2.3
        case _:
            return refusal(reason=reason)


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
