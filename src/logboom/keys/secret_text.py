"""The text of the master secret: the master itself, then one line for each version of what has been rotated.

    64 hex digits, or base64 of 32 bytes
    pepper:1:derived
    pepper:2:64 hex digits:2026-11-23

It names every version that is alive; the day at the end, when the version was made, may be left out. What has no line
at all has the one version 1, which is derived from the master. Later versions are random, so that rotating gets away
from a master that has leaked. `audited:1:...` is an audit key that signs nothing any more and still proves what it has
signed. In a variable, commas or blanks part the lines.
"""

import base64
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

SECRET_BYTES: Final = 32
TEXT_BYTES_MAX: Final = 16_384
DERIVED: Final = "derived"
AUDITED: Final = "audited"
VERSIONS_MAX: Final = 2  # alive at once: the one that is used, and one before or behind it
VERSION_NUMBER_MAX: Final = 32_767  # what its column takes
HEX: Final = re.compile(r"[0-9A-Fa-f]{64}")
LINE: Final = re.compile(
    rf"([a-z]+):([1-9][0-9]{{0,4}}):({HEX.pattern}|{DERIVED})(?::([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}))?"
)


class Purpose(StrEnum):
    """What can be rotated."""

    PEPPER = "pepper"
    KEK = "kek"
    AUDIT = "audit"


class BadText(ValueError):
    """The text is no master secret; says what is wrong with it, and repeats nothing of it."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version. *secret* is None for the one that is derived from the master; *made* is a day, if it is known."""

    number: int
    secret: bytes | None = field(default=None, repr=False)
    made: str = ""


FIRST: Final = (Version(number=1),)


@dataclass(frozen=True, kw_only=True)
class MasterSecret:
    """The master and the versions that are alive, by purpose, each list in the order of their numbers.

    *audited* are earlier audit keys, which only prove.
    """

    master: bytes = field(repr=False)
    versions: Mapping[Purpose, tuple[Version, ...]] = field(default_factory=dict)
    audited: tuple[Version, ...] = ()

    def of(self, purpose: Purpose) -> tuple[Version, ...]:
        return self.versions.get(purpose, FIRST)

    def newest(self, purpose: Purpose) -> int:
        return self.of(purpose)[-1].number

    def with_version(self, purpose: Purpose, version: Version) -> "MasterSecret":
        return self._with(purpose, (*self.of(purpose), version))

    def without(self, purpose: Purpose, numbers: Collection[int]) -> "MasterSecret":
        """Without these versions. Those of the audit key go on to prove what they have signed."""
        kept = tuple(one for one in self.of(purpose) if one.number not in numbers)
        given_up = tuple(one for one in self.of(purpose) if one.number in numbers)
        audited = (*self.audited, *given_up) if purpose is Purpose.AUDIT else self.audited
        return replace(self._with(purpose, kept), audited=audited)

    def _with(self, purpose: Purpose, versions: tuple[Version, ...]) -> "MasterSecret":
        return replace(self, versions={**self.versions, purpose: versions})


def parse_secret(text: str) -> MasterSecret:
    """Raises BadText."""
    parts = re.split(r"[\s,]+", text.strip())
    master = _parse_master(parts[0])
    listed: dict[str, list[Version]] = {}
    for part in parts[1:]:
        name, version = _parse_line(part)
        listed.setdefault(name, []).append(version)
    audited = _sorted(listed.pop(AUDITED, []), AUDITED)
    versions = {Purpose(name): _sorted(found, name) for name, found in listed.items()}
    for purpose, alive in versions.items():
        if len(alive) > VERSIONS_MAX:
            raise BadText(f"It has more than {VERSIONS_MAX} versions of the {purpose.value}.")
    return MasterSecret(master=master, versions=versions, audited=audited)


def render_secret(secret: MasterSecret) -> str:
    """The text, as a file has it; as short as it was when nothing was ever rotated."""
    lines = [secret.master.hex()]
    for purpose in Purpose:
        if (listed := secret.of(purpose)) != FIRST:
            lines += [render_line(purpose.value, version) for version in listed]
    lines += [render_line(AUDITED, version) for version in secret.audited]
    return "\n".join(lines) + "\n"


def render_line(name: str, version: Version) -> str:
    written = DERIVED if version.secret is None else version.secret.hex()
    return f"{name}:{version.number}:{written}" + (f":{version.made}" if version.made else "")


def _parse_master(text: str) -> bytes:
    if HEX.fullmatch(text):
        return bytes.fromhex(text)
    try:
        master = base64.b64decode(text, validate=True)
    except ValueError:
        master = b""
    if len(master) != SECRET_BYTES:
        raise BadText("It must begin with 64 hex digits, or base64 of 32 bytes.")
    return master


def _sorted(listed: list[Version], name: str) -> tuple[Version, ...]:
    if len({version.number for version in listed}) != len(listed):
        raise BadText(f"It has two lines for the same version of the {name} key.")
    return tuple(sorted(listed, key=lambda version: version.number))


def _parse_line(text: str) -> tuple[str, Version]:
    found = LINE.fullmatch(text)
    if found is None or found[1] not in (*Purpose, AUDITED) or int(found[2]) > VERSION_NUMBER_MAX:
        raise BadText("Behind the master, it must have lines as pepper:2:64 hex digits, or kek:2:64 hex digits.")
    number, written = int(found[2]), found[3]
    if written == DERIVED and number != 1:
        raise BadText("Only version 1 can be derived from the master.")
    secret = None if written == DERIVED else bytes.fromhex(written)
    return found[1], Version(number=number, secret=secret, made=found[4] or "")
