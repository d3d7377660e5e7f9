"""Which versions of pepper and KEK the database is at, how many rows need each, and the check values that tell them.

The check value of the master is 32 bytes. Behind it stands one record for each version that was rotated in: its purpose
(one letter), its number (2 bytes) and its own check value. So two servers that made different secrets under one number
are found out before either digests anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from logboom.database.engine import reading, writing
from logboom.database.tables import data_keys, key_values, keyring_state, master_secret_checks
from logboom.keys.secret_text import Purpose
from logboom.keys.vault import Checks

CHECK_BYTES: Final = 32
FORGOTTEN: Final = 0  # stands in rows of ended values whose pepper was given up: nothing is recognised by them
LETTERS: Final = {Purpose.PEPPER: b"p", Purpose.KEK: b"k", Purpose.AUDIT: b"a"}
RECORD_BYTES: Final = 1 + 2 + CHECK_BYTES
# Which key signs the audit log is told by the signature of its head.
COLUMNS: Final = {Purpose.PEPPER: keyring_state.c.pepper_version, Purpose.KEK: keyring_state.c.kek_version}


@dataclass(frozen=True, kw_only=True)
class KeyringState:
    """The number of the newest change of any key, and which versions are used for what is new."""

    seq: int
    pepper_version: int
    kek_version: int

    @property
    def numbers(self) -> Mapping[Purpose, int]:
        return {Purpose.PEPPER: self.pepper_version, Purpose.KEK: self.kek_version}


@dataclass(frozen=True, kw_only=True)
class StoredChecks:
    """The check values of the master and of the versions that were rotated in."""

    master: bytes
    versions: Checks

    @classmethod
    def parse(cls, stored: bytes) -> "StoredChecks":
        purposes = {letter: purpose for purpose, letter in LETTERS.items()}
        records = [stored[at : at + RECORD_BYTES] for at in range(CHECK_BYTES, len(stored), RECORD_BYTES)]
        versions = {(purposes[one[:1]], int.from_bytes(one[1:3], "big")): one[3:] for one in records}
        return cls(master=stored[:CHECK_BYTES], versions=versions)

    def render(self) -> bytes:
        records = [
            LETTERS[purpose] + number.to_bytes(2, "big") + check for (purpose, number), check in self.versions.items()
        ]
        return self.master + b"".join(records)


def read_state(connection: Connection, *, is_locked: bool = False) -> KeyringState:
    """What the database is at; *is_locked*: and stays at until the transaction ends."""
    columns = select(keyring_state.c.seq, keyring_state.c.pepper_version, keyring_state.c.kek_version)
    row = connection.execute(columns.with_for_update() if is_locked else columns).one()
    return KeyringState(seq=row.seq, pepper_version=row.pepper_version, kek_version=row.kek_version)


def rows_by_version(connection: Connection, purpose: Purpose) -> Mapping[int, int]:
    """How many rows need each version: values that are not dead, or data keys; of audit events it is not told."""
    if purpose is Purpose.AUDIT:
        return {}
    if purpose is Purpose.KEK:
        column, counted = data_keys.c.kek_version, select(data_keys.c.kek_version, func.count())
    else:
        column = key_values.c.pepper_version
        counted = select(column, func.count()).where(key_values.c.state != "dead")
    return {row[0]: row[1] for row in connection.execute(counted.group_by(column))}


def dead_by_version(connection: Connection) -> Mapping[int, int]:
    """How many ended values are remembered by digests of each version of the pepper."""
    remembered = (key_values.c.state == "dead", key_values.c.pepper_version != FORGOTTEN)
    counted = select(key_values.c.pepper_version, func.count()).where(*remembered)
    return {row[0]: row[1] for row in connection.execute(counted.group_by(key_values.c.pepper_version))}


def find_checks(connection: Connection) -> StoredChecks | None:
    """None for a database that never had a master secret."""
    stored = connection.execute(select(master_secret_checks.c.check_value)).scalar_one_or_none()
    return None if stored is None else StoredChecks.parse(stored)


def keep_master_check(engine: Engine, check_value: bytes, *, pepper_version: int = 1, kek_version: int = 1) -> bytes:
    """Keep *check_value* as the database's own, unless it has one; return the one that is kept.

    A database that had none begins with these versions: its secret may have been rotated elsewhere.
    """
    with reading(engine) as connection:
        known = find_checks(connection)
    if known is not None:
        return known.master
    try:
        with writing(engine) as connection:
            connection.execute(insert(master_secret_checks).values(id=1, check_value=check_value))
            begun = {"pepper_version": pepper_version, "kek_version": kek_version}
            connection.execute(update(keyring_state).values(begun))
    except IntegrityError:  # another start was faster
        return keep_master_check(engine, check_value)
    return check_value


def keep_version_check(connection: Connection, purpose: Purpose, number: int, check: bytes) -> None:
    known = find_checks(connection)
    if known is not None:
        changed = StoredChecks(master=known.master, versions={**known.versions, (purpose, number): check})
        connection.execute(update(master_secret_checks).values(check_value=changed.render()))
