"""Moments as a person types and reads them: ISO 8601, epochs and `2h` ago in; local time with its offset out. Pure."""

import re
from datetime import UTC, datetime
from typing import Final

from logboom.cli.output import UsageError

UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
RELATIVE: Final = re.compile(r"(\d{1,9})([smhdw])")
EPOCH: Final = re.compile(r"\d{1,15}")
# Mezmo: `from` and `to` are Unix seconds or milliseconds; smaller numbers are seconds. mezmo-api 6.1, 5.6
EPOCH_MS_MIN: Final = 100_000_000_000
MOMENT_MS_MAX: Final = 253_402_300_799_999  # the end of the year 9999, the last that a datetime can hold


def parse_moment(text: str, *, option: str, now_ms: int) -> int:
    """Epoch milliseconds of *text*: `15m` (ago), `1700000000`, `1700000000000`, `2026-01-05T10:00`, `now`.

    A time without an offset is local time; a date alone is its midnight.
    """
    moment_ms = _parse_relative(text, now_ms) if RELATIVE.fullmatch(text) or text == "now" else _parse_absolute(text)
    if moment_ms is None or not 0 <= moment_ms <= MOMENT_MS_MAX:
        raise UsageError(f"{option} {text}: not a time. Say 15m, 2h, 1d, 2026-01-05T10:00, or an epoch in s or ms.")
    return moment_ms


def parse_coming_moment(text: str, *, option: str, now_ms: int) -> int:
    """As `parse_moment`, but a span lies ahead: `90d` is in ninety days."""
    if RELATIVE.fullmatch(text):
        return now_ms + (now_ms - _parse_relative(text, now_ms))
    return parse_moment(text, option=option, now_ms=now_ms)


def _parse_relative(text: str, now_ms: int) -> int:
    if text == "now":
        return now_ms
    return now_ms - int(text[:-1]) * UNIT_MS[text[-1]]


def _parse_absolute(text: str) -> int | None:
    if EPOCH.fullmatch(text):
        number = int(text)
        return number if number >= EPOCH_MS_MIN else number * 1_000
    try:
        moment = datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):
        return None
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return since.days * UNIT_MS["d"] + since.seconds * 1_000 + since.microseconds // 1_000


def render_moment(moment_ms: int) -> str:
    """`2026-01-05T10:00:00.123+01:00`, in the local time zone."""
    seconds, milliseconds = divmod(moment_ms, 1_000)
    moment = datetime.fromtimestamp(seconds, tz=UTC).astimezone().replace(microsecond=milliseconds * 1_000)
    return moment.isoformat(timespec="milliseconds")
