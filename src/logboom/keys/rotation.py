"""Moves the database from one version of pepper or KEK to the next, a few rows at a time, while servers run.

It can be cut off anywhere and go on later: what is done is committed row by row, and what is left is what still has the
older version. A value that is kept is opened and digested anew. One that is not kept (`never`) waits until somebody
uses it: then the digest under the newer pepper is handed over by the request (`redigest.py`).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select, update

from logboom.database.tables import data_keys, key_values, keyring_state, keys
from logboom.keys.key import KeyKind
from logboom.keys.older import Older
from logboom.keys.repository import KeyRepository
from logboom.keys.rows import ACTIVE, DEAD, data_key_of, number_changes, open_value, value_rows
from logboom.keys.secret_text import Purpose
from logboom.keys.vault import Place, SealError, Vault
from logboom.keys.versions import COLUMNS, FORGOTTEN, keep_version_check, read_state

BATCH_KEYS: Final = 100  # as many as are locked at once; a change of one of them waits for the others

Tell = Callable[[Connection], None]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """How far a sweep has come. *last* is where to go on, None at the end."""

    moved: int = 0
    waiting: int = 0
    altered: int = 0
    last: Any = None


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A value that still needs an older pepper. *is_altered*: its row was changed from outside; it opens no door."""

    account_id: str
    key_id: str
    name: str
    kind: str
    generation: int
    is_active: bool
    is_altered: bool


class Rotation:
    """Works in transactions of its own. The vault must know the version that is moved to."""

    def __init__(self, repository: KeyRepository, vault: Vault) -> None:
        self._repository, self._vault = repository, vault

    def begin(self, purpose: Purpose, number: int, tell: Tell) -> int:
        """Use that version for what is new, and *tell* of it in the same transaction, unless it is used already.

        An audit key is only made known: it is used when the audit log says so. Returns the number of a change that
        servers have seen once they know the version.
        """
        with self._repository.writing() as connection:
            state = read_state(connection, is_locked=True)
            if state.numbers.get(purpose) == number:
                return number_changes(connection, [])
            if purpose in COLUMNS:
                connection.execute(update(keyring_state).values({COLUMNS[purpose]: number}))
            keep_version_check(connection, purpose, number, self._vault.check_of(purpose, number))
            seq = number_changes(connection, [])
            tell(connection)
            return seq

    def newest_seq(self) -> int:
        """The number of the newest change of any key."""
        with self._repository.reading() as connection:
            return read_state(connection).seq

    def count_values(self) -> int:
        """How many values have a digest of another pepper than the one that is used."""
        with self._repository.reading() as connection:
            version = read_state(connection).pepper_version
            older = (key_values.c.state != DEAD, key_values.c.pepper_version != version)
            return int(connection.execute(select(func.count()).select_from(key_values).where(*older)).scalar_one())

    def digest_anew(self, after: int | None) -> Batch:
        """Digest the values of the next keys behind that number anew."""
        with self._repository.writing() as connection:
            version = self._repository.follow(connection).pepper_version
            older = (key_values.c.state != DEAD, key_values.c.pepper_version != version)
            return self._digest_anew(connection, self._lock_next(connection, after, older), version, {})

    def digest_used(self, used: Collection[Older]) -> Batch:
        """Digest values anew that were used."""
        with self._repository.writing() as connection:
            version = self._repository.follow(connection).pepper_version
            ids = {older.key_id for older in used}
            numbers = self._lock(connection, select(keys.c.number).where(keys.c.id.in_(ids)))
            newer = {older.digest: older.newer for older in used if older.newer_version == version}
            return self._digest_anew(connection, numbers, version, newer)

    def wrap_anew(self, after: str | None) -> Batch:
        """Wrap the next accounts' data keys, behind that id, under the KEK that is used."""
        with self._repository.writing() as connection:
            version = self._repository.follow(connection).kek_version
            older = (data_keys.c.kek_version != version, data_keys.c.account_id > (after or ""))
            rows = select(data_keys).where(*older).order_by(data_keys.c.account_id).limit(BATCH_KEYS).with_for_update()
            moved = altered = 0
            last = None
            for row in connection.execute(rows).all():
                last = row.account_id
                try:
                    wrapped = self._vault.rewrap(data_key_of(row), row.account_id)
                except SealError:
                    altered += 1
                    continue
                this = update(data_keys).where(data_keys.c.account_id == row.account_id)
                connection.execute(this.values(wrapped._asdict()))
                moved += 1
            return Batch(moved=moved, altered=altered, last=last)

    def forget_ended(self, after: int | None) -> Batch:
        """Recognise the ended values of the next keys no more that have an older pepper. Their rows stay."""
        with self._repository.writing() as connection:
            known = (FORGOTTEN, read_state(connection).pepper_version)
            older = (key_values.c.state == DEAD, key_values.c.pepper_version.not_in(known))
            numbers = self._lock_next(connection, after, older)
            of_these = select(keys.c.id).where(keys.c.number.in_(numbers))
            ids = connection.execute(of_these).scalars().all()
            these = update(key_values).where(key_values.c.key_id.in_(ids), *older)
            moved = connection.execute(these.values(pepper_version=FORGOTTEN)).rowcount
            if moved:
                number_changes(connection, ids)
            return Batch(moved=moved, last=max(numbers, default=None))

    def waiting(self, connection: Connection) -> list[Waiting]:
        """The values that still need an older pepper."""
        version = read_state(connection).pepper_version
        older = (key_values.c.state != DEAD, key_values.c.pepper_version != version)
        rows = value_rows().where(*older).order_by(keys.c.number, key_values.c.generation)
        return [self._waiting(row) for row in connection.execute(rows)]

    def _lock_next(
        self, connection: Connection, after: int | None, conditions: Sequence[ColumnElement[bool]]
    ) -> Sequence[int]:
        """The numbers of the next keys behind that one with such values, kept from other writers."""
        joined = select(keys.c.number).join(key_values, key_values.c.key_id == keys.c.id)
        behind = joined.where(keys.c.number > (after or 0), *conditions).distinct().order_by(keys.c.number)
        return self._lock(connection, behind.limit(BATCH_KEYS))

    @staticmethod
    def _lock(connection: Connection, wanted: Select[int]) -> Sequence[int]:
        """The locks are taken in the order of the numbers and before the state's, so that nobody waits in a circle."""
        numbers = connection.execute(wanted).scalars().all()
        locked = select(keys.c.number).where(keys.c.number.in_(numbers)).order_by(keys.c.number).with_for_update()
        connection.execute(locked).all()
        return numbers

    def _digest_anew(
        self, connection: Connection, numbers: Sequence[int], version: int, newer: Mapping[bytes, bytes]
    ) -> Batch:
        older = (keys.c.number.in_(numbers), key_values.c.state != DEAD, key_values.c.pepper_version != version)
        moved: list[str] = []
        waiting = altered = 0
        for row in connection.execute(value_rows().where(*older)).all():
            try:
                changed = self._changed(row, version, newer)
            except SealError:
                altered += 1
                continue
            if changed is None:
                waiting += 1
                continue
            this = update(key_values).where(key_values.c.key_id == row.id, key_values.c.generation == row.generation)
            connection.execute(this.values(changed))
            moved.append(row.id)
        if moved:
            number_changes(connection, moved)
        return Batch(moved=len(moved), waiting=waiting, altered=altered, last=max(numbers, default=None))

    def _changed(self, row: Row[Any], version: int, newer: Mapping[bytes, bytes]) -> dict[str, Any] | None:
        """What changes in the row, None when the value is not known. Raises SealError."""
        value = open_value(self._vault, row)
        if value is not None:
            return {"digest": self._vault.digest_under(version, value), "pepper_version": version}
        digest = newer.get(row.digest)
        if digest is None:
            return None
        place = Place(account_id=row.account_id, key_id=row.id, generation=row.generation, kind=KeyKind(row.kind))
        sealed = self._vault.bind(digest, data_key=data_key_of(row), place=place)
        return {"digest": digest, "pepper_version": version, "sealed": sealed}

    def _waiting(self, row: Row[Any]) -> Waiting:
        try:
            open_value(self._vault, row)
            is_altered = False
        except SealError:
            is_altered = True
        return Waiting(
            account_id=row.account_id,
            key_id=row.id,
            name=row.name,
            kind=row.kind,
            generation=row.generation,
            is_active=row.value_state == ACTIVE,
            is_altered=is_altered,
        )
