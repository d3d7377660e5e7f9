"""When to warn that a key is about to expire. Pure."""

from typing import Final

from logboom.keys.key import Key

DAY_MS: Final = 86_400_000
WARNING_DAYS: Final = (1, 7, 30)  # the nearest first
WARNED_BEFORE_MS: Final = WARNING_DAYS[-1] * DAY_MS


def nearest_warning(key: Key, now_ms: int) -> int | None:
    """The nearest warning whose time has come, in days before the expiry; None before the first and after the expiry.

    A key that was made for a day is not warned of thirty days before: a warning that comes at once tells nobody
    anything.
    """
    if key.expires_at_ms is None or key.expires_at_ms <= now_ms:
        return None
    left_ms, life_ms = key.expires_at_ms - now_ms, key.expires_at_ms - key.created_ms
    return next((days for days in WARNING_DAYS if left_ms <= days * DAY_MS < life_ms), None)


def due_warning(key: Key, now_ms: int) -> int | None:
    """The warning that is to be given now; None when it was given, or there is none."""
    days = nearest_warning(key, now_ms)
    if days is None or (key.expiry_warned_days is not None and key.expiry_warned_days <= days):
        return None
    return days


def days_left(key: Key, now_ms: int) -> int | None:
    """How many days a key has left, a begun one counts; None while there is nothing to warn of."""
    if key.expires_at_ms is None or nearest_warning(key, now_ms) is None:
        return None
    return -((now_ms - key.expires_at_ms) // DAY_MS)
