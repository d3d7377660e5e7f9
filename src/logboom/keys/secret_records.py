"""The record of each version of each secret that NIST SP 800-57 wants kept. Pure; never a secret itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from logboom.keys.secret_text import MasterSecret, Purpose, Version
from logboom.limits import CRYPTOPERIOD_DAYS


@dataclass(frozen=True, kw_only=True)
class Record:
    """One version.

    *state* is prepared, active, retiring, missing, or kept (it only proves). *rows* need it; *ended* are values that
    are remembered by it. *made* and *due* are days, empty when unknown or not due.
    """

    purpose: str
    version: int
    state: str
    made: str
    due: str
    rows: int = 0
    ended: int = 0


@dataclass(frozen=True, kw_only=True)
class Census:
    """What the database tells: the versions in use, the rows of each, and the day on which everything began."""

    numbers: Mapping[Purpose, int]
    rows: Mapping[Purpose, Mapping[int, int]]
    ended: Mapping[int, int]
    first_day: str


def list_records(secret: MasterSecret, census: Census) -> list[Record]:
    """Every version that the secret has or a row needs, oldest first."""
    records = [
        _record(secret, census, purpose, number)
        for purpose in Purpose
        for number in sorted({version.number for version in secret.of(purpose)} | census.rows[purpose].keys())
    ]
    return records + [
        Record(purpose=Purpose.AUDIT.value, version=one.number, state="kept", made=_made(one, census), due="")
        for one in secret.audited
    ]


def _record(secret: MasterSecret, census: Census, purpose: Purpose, number: int) -> Record:
    known = {version.number: version for version in secret.of(purpose)}
    made = _made(known[number], census) if number in known else ""
    state = _state(number, census.numbers[purpose]) if number in known else "missing"
    return Record(
        purpose=purpose.value,
        version=number,
        state=state,
        made=made,
        due=str(date.fromisoformat(made) + timedelta(days=CRYPTOPERIOD_DAYS)) if made and state == "active" else "",
        rows=census.rows[purpose].get(number, 0),
        ended=census.ended.get(number, 0) if purpose is Purpose.PEPPER else 0,
    )


def _state(number: int, used: int) -> str:
    if number == used:
        return "active"
    return "prepared" if number > used else "retiring"


def _made(version: Version, census: Census) -> str:
    return version.made or (census.first_day if version.number == 1 else "")
