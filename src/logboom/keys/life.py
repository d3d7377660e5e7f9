"""The rules of a key's life: which change is allowed when, and what the key is afterwards. Pure.

Each rule takes the key as it is now and returns it as it shall be, or the same object when nothing is to change.
Raises KeyStateConflict where the key's state does not allow the change.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from logboom.errors import Detail, KeyStateConflict, ValidationFailed
from logboom.keys.key import Key, KeyKind, KeyState, NewKey, Reveal
from logboom.keys.scopes import FULL
from logboom.limits import HOLD_MS_MAX, OVERLAP_MS_MAX

DURATION: Final = re.compile(r"(0|[1-9][0-9]{0,8})(s|m|h|d)|0")
UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
REVEAL_MODES: Final = tuple(Reveal)
KIND_WORDS: Final = {KeyKind.INGESTION: "an ingestion key", KeyKind.SERVICE: "a service key"}


def held(key: Key, until_ms: int) -> Key:
    """On hold until then; a key that is held already gets the new end."""
    _refuse(key, KeyState.DISABLED, "The key is disabled. Enable it first.")
    return replace(key, state=KeyState.HELD, held_until_ms=until_ms)


def released(key: Key) -> Key:
    _refuse(key, KeyState.DISABLED, "The key is disabled, not held. Enable it instead.")
    return replace(key, state=KeyState.ACTIVE, held_until_ms=None) if key.state is KeyState.HELD else key


def disabled(key: Key) -> Key:
    return key if key.state is KeyState.DISABLED else replace(key, state=KeyState.DISABLED, held_until_ms=None)


def enabled(key: Key) -> Key:
    _refuse(key, KeyState.HELD, "The key is held, not disabled. Release it instead.")
    return replace(key, state=KeyState.ACTIVE) if key.state is KeyState.DISABLED else key


def deleted(key: Key, now_ms: int) -> Key:
    return replace(
        key,
        state=KeyState.DELETED,
        held_until_ms=None,
        retiring_until_ms=None,
        deleted_ms=now_ms,
        value=None,
        mask=None,
    )


def rotated(key: Key, now_ms: int, overlap_ms: int) -> Key:
    """The next generation; the value of this one goes on until the overlap or the key's own expiry ends."""
    _refuse(key, KeyState.HELD, "The key is held. Release it first.")
    _refuse(key, KeyState.DISABLED, "The key is disabled. Enable it first.")
    if key.expires_at_ms is not None and key.expires_at_ms <= now_ms:
        raise KeyStateConflict("The key has expired. Give it a later expiry first.")
    until_ms = now_ms + overlap_ms if key.expires_at_ms is None else min(now_ms + overlap_ms, key.expires_at_ms)
    return replace(
        key,
        generation=key.generation + 1,
        retiring_until_ms=until_ms if overlap_ms else None,
        is_imported=False,
        value=None,
        mask=None,
    )


def overlap_ended(key: Key) -> Key:
    return key if key.retiring_until_ms is None else replace(key, retiring_until_ms=None)


def edited(key: Key, changes: Mapping[str, Any], now_ms: int) -> Key:
    """The key with *changes* to its members. Raises ValidationFailed for a key that would never open again."""
    after = replace(key, **changes)
    if after.expires_at_ms != key.expires_at_ms or after.not_before_ms != key.not_before_ms:
        check_times(after.not_before_ms, after.expires_at_ms, now_ms)
    if after.expires_at_ms != key.expires_at_ms:
        after = replace(after, expiry_warned_days=None)
    if REVEAL_MODES.index(after.reveal) < REVEAL_MODES.index(key.reveal):
        # Who may edit a key could otherwise read what the mode keeps from them.
        raise ValidationFailed(Detail(message='"reveal" can only become stricter', key="reveal"))
    check_fit(after)
    if after.reveal is not Reveal.ALWAYS:
        after = replace(after, value=None)
    return key if after == key else after


def check_fit(key: Key | NewKey) -> None:
    """Raises ValidationFailed for what does not fit the kind of the key."""
    limits = key.limits
    if key.kind is KeyKind.INGESTION:
        misfits = {"scopes": key.scopes is not FULL}
    else:
        misfits = {
            "narrowing": key.narrowing is not None,
            "limits.bytes_per_day": limits is not None and limits.bytes_per_day is not None,
            "limits.lines_per_day": limits is not None and limits.lines_per_day is not None,
            "limits.on_excess": limits is not None and limits.on_excess is not None,
        }
    message = f"is not allowed for {KIND_WORDS[key.kind]}"
    broken = [Detail(message=f'"{member}" {message}', key=member) for member, is_misfit in misfits.items() if is_misfit]
    if broken:
        raise ValidationFailed(*broken)


def check_times(not_before_ms: int | None, expires_at_ms: int | None, now_ms: int) -> None:
    """Raises ValidationFailed for a key that could never open; seconds in the place of milliseconds show so too."""
    if expires_at_ms is None:
        return
    if expires_at_ms <= now_ms:
        message = '"expires_at_ms" must be later than now, in milliseconds'
    elif not_before_ms is not None and expires_at_ms <= not_before_ms:
        message = '"expires_at_ms" must be later than not_before_ms'
    else:
        return
    raise ValidationFailed(Detail(message=message, key="expires_at_ms"))


def parse_hold(text: str) -> int:
    """How long to hold, in milliseconds. Raises ValidationFailed."""
    return parse_span(text, "for", HOLD_MS_MAX)


def parse_overlap(text: str) -> int:
    """How long two values are valid, in milliseconds; 0 ends the old one at once. Raises ValidationFailed."""
    return _parse_duration(text, "overlap", OVERLAP_MS_MAX)


def parse_span(text: str, member: str, max_ms: int) -> int:
    """A duration that is longer than nothing, in milliseconds. Raises ValidationFailed."""
    duration_ms = _parse_duration(text, member, max_ms)
    if duration_ms == 0:
        raise ValidationFailed(Detail(message=f'"{member}" must be longer than nothing', key=member))
    return duration_ms


def render_span(duration_ms: int) -> str:
    """A duration in the largest unit that spells it exactly; `parse_span` reads it back."""
    unit = next(unit for unit in reversed(UNIT_MS) if duration_ms % UNIT_MS[unit] == 0)
    return f"{duration_ms // UNIT_MS[unit]}{unit}"


def _parse_duration(text: str, member: str, max_ms: int) -> int:
    found = DURATION.fullmatch(text)
    if not found:
        message = f'"{member}" must be a number with s, m, h or d, as in 90s, 15m, 24h or 7d'
        raise ValidationFailed(Detail(message=message, key=member))
    duration_ms = int(found[1] or 0) * UNIT_MS[found[2] or "s"]
    if duration_ms > max_ms:
        message = f'"{member}" must be less than or equal to {max_ms // UNIT_MS["h"]}h'
        raise ValidationFailed(Detail(message=message, key=member))
    return duration_ms


def _refuse(key: Key, state: KeyState, why: str) -> None:
    if key.state is state:
        raise KeyStateConflict(why)
