"""Keeps keys in the control plane's database. The limits of active keys are the database's constraints, not this code.

A live key occupies a *slot*, a number from 1 to the limit of its kind, unique within account and kind. Creating takes
the lowest free one; whoever loses a race for it takes the next. No isolation level and no lock of ours matters: there
is no eleventh slot to take.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, insert, select, update
from sqlalchemy.exc import IntegrityError

from logboom.database.engine import reading, writing
from logboom.database.tables import data_keys, keys
from logboom.errors import Detail, KeyLimitReached, NotFound, Unavailable, ValidationFailed
from logboom.keys.key import (
    KEY_ID_BYTES,
    Caller,
    Key,
    KeyKind,
    check_value,
    is_key_id,
    mint_name,
    mint_value,
    name_rules_broken,
)
from logboom.keys.vault import Place, SealError, Vault

FIRST_GENERATION = 1
# Each lost race means that another key was created; a hundred in a row is not a race but a fault.
SLOT_ATTEMPTS_MAX = 100


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Every key that may open a door: callers by digest, and the ids of rows that were altered from outside."""

    callers: Mapping[bytes, Caller]
    altered_key_ids: tuple[str, ...]


class KeyRepository:
    """*random_hex* is `secrets.token_hex` or its like. All methods but `snapshot` see one account only."""

    def __init__(
        self, engine: Engine, vault: Vault, *, now_ms: Callable[[], int], random_hex: Callable[[int], str]
    ) -> None:
        self._engine = engine
        self._vault = vault
        self._now_ms = now_ms
        self._random_hex = random_hex

    def create(self, account_id: str, kind: KeyKind, *, name: str = "", value: str | None = None) -> Key:
        """A new key. A blank *name* becomes a generated one; *value* presets what is minted otherwise.

        Raises KeyLimitReached, and ValidationFailed for a bad name or a value that is bad or was used before.
        """
        _check_name(name)
        key = Key(
            id=self._random_hex(KEY_ID_BYTES),
            account_id=account_id,
            kind=kind,
            name=name if name.strip() else mint_name(kind, self._random_hex),
            value=mint_value(self._random_hex) if value is None else check_value(value),
            created_ms=self._now_ms(),
        )
        values = self._row_values(key)
        for _ in range(SLOT_ATTEMPTS_MAX):
            if self._take_lowest_slot(key, values):
                return key
        raise Unavailable

    def get(self, account_id: str, key_id: str) -> Key:
        """Raises NotFound for an unknown, malformed, foreign or deleted id alike."""
        with reading(self._engine) as connection:
            return self._key(_one(connection, account_id, key_id))

    def rename(self, account_id: str, key_id: str, name: str) -> Key:
        """The key under its new *name*; a blank one changes nothing. Raises NotFound and ValidationFailed."""
        _check_name(name)
        with writing(self._engine) as connection:
            if name.strip():
                connection.execute(update(keys).where(*_is_live(account_id, key_id)).values(name=name))
            return self._key(_one(connection, account_id, key_id))

    def delete(self, account_id: str, key_id: str) -> None:
        """Free the key's slot and forget its value; the row stays. Raises NotFound, also when deleted meanwhile."""
        tombstone = update(keys).where(*_is_live(account_id, key_id))
        with writing(self._engine) as connection:
            result = connection.execute(tombstone.values(slot=None, sealed=None, deleted_ms=self._now_ms()))
        if result.rowcount != 1:
            raise NotFound

    def list_keys(self, account_id: str, kind: KeyKind | None = None) -> list[Key]:
        """The account's live keys, of one *kind* or of all, oldest first."""
        # Mezmo: the order of keys is not documented; oldest first is the natural one of its store. mezmo-api 24 Q9
        rows = _live_rows().where(keys.c.account_id == account_id)
        if kind is not None:
            rows = rows.where(keys.c.kind == kind.value)
        with reading(self._engine) as connection:
            return [self._key(row) for row in connection.execute(rows)]

    def snapshot(self) -> Snapshot:
        """Every live key of every account.

        A row is believed only when its sealed value opens in its place and has the digest beside it: who can write to
        the database, but does not know the master secret, can neither plant a key nor move one to another account.
        """
        callers: dict[bytes, Caller] = {}
        altered: list[str] = []
        with reading(self._engine) as connection:
            for row in connection.execute(_live_rows()):
                try:
                    key = self._key(row)
                except SealError:
                    altered.append(row.id)
                else:
                    callers[row.digest] = Caller(account_id=key.account_id, key_id=key.id, kind=key.kind)
        return Snapshot(callers=callers, altered_key_ids=tuple(altered))

    def _take_lowest_slot(self, key: Key, values: Mapping[str, object]) -> bool:
        """Insert the key into the lowest free slot. False when another key took it at the same moment."""
        taken_slots = select(keys.c.slot).where(
            keys.c.account_id == key.account_id, keys.c.kind == key.kind.value, keys.c.slot.is_not(None)
        )
        try:
            with writing(self._engine) as connection:
                slot = _lowest_free_slot(key.kind, set(connection.execute(taken_slots).scalars()))
                connection.execute(insert(keys).values(slot=slot, **values))
        except IntegrityError as cause:
            if self._is_used(key.value):
                raise ValidationFailed(Detail(message='"key" cannot be used', key="key")) from cause
            return False
        return True

    def _row_values(self, key: Key) -> dict[str, object]:
        place = Place(account_id=key.account_id, key_id=key.id, generation=FIRST_GENERATION, kind=key.kind)
        return {
            "id": key.id,
            "account_id": key.account_id,
            "kind": key.kind.value,
            "name": key.name,
            "generation": FIRST_GENERATION,
            "digest": self._vault.digest(key.value),
            "sealed": self._vault.seal(key.value, data_key=self._data_key(key.account_id), place=place),
            "created_ms": key.created_ms,
        }

    def _data_key(self, account_id: str) -> bytes:
        """The account's wrapped data key, made at its first use. Raises NotFound for an unknown account."""
        wrapped = self._find_data_key(account_id)
        if wrapped is not None:
            return wrapped
        values = {"account_id": account_id, "wrapped": self._vault.mint_data_key(account_id)}
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(data_keys).values(values))
        except IntegrityError as cause:  # another process was first, or there is no such account
            if self._find_data_key(account_id) is None:
                raise NotFound from cause
        return self._data_key(account_id)

    def _find_data_key(self, account_id: str) -> bytes | None:
        with reading(self._engine) as connection:
            wrapped = select(data_keys.c.wrapped).where(data_keys.c.account_id == account_id)
            return connection.execute(wrapped).scalar_one_or_none()

    def _is_used(self, value: str) -> bool:
        """Whether some key, alive or deleted, has or had *value*."""
        with reading(self._engine) as connection:
            same = select(keys.c.id).where(keys.c.digest == self._vault.digest(value))
            return connection.execute(same).first() is not None

    def _key(self, row: Row[Any]) -> Key:
        kind = KeyKind(row.kind)
        place = Place(account_id=row.account_id, key_id=row.id, generation=row.generation, kind=kind)
        value = self._vault.open(row.sealed, data_key=row.wrapped, place=place)
        if self._vault.digest(value) != row.digest:
            raise SealError
        return Key(
            id=row.id,
            account_id=row.account_id,
            kind=kind,
            name=row.name,
            value=value,
            created_ms=row.created_ms,
        )


def _live_rows() -> Select[Any]:
    """Live keys, oldest first, each with its account's data key, so that one statement is enough to open them."""
    with_data_key = keys.join(data_keys, data_keys.c.account_id == keys.c.account_id)
    columns = select(keys, data_keys.c.wrapped).select_from(with_data_key)
    return columns.where(keys.c.deleted_ms.is_(None)).order_by(keys.c.number)


def _is_live(account_id: str, key_id: str) -> tuple[ColumnElement[bool], ...]:
    """Raises NotFound for a malformed id, which the database may refuse to look at."""
    if not is_key_id(key_id):
        raise NotFound
    return (keys.c.account_id == account_id, keys.c.id == key_id, keys.c.deleted_ms.is_(None))


def _one(connection: Connection, account_id: str, key_id: str) -> Row[Any]:
    row = connection.execute(_live_rows().where(*_is_live(account_id, key_id))).one_or_none()
    if row is None:
        raise NotFound
    return row


def _lowest_free_slot(kind: KeyKind, taken: Collection[int]) -> int:
    for slot in range(1, kind.keys_max + 1):
        if slot not in taken:
            return slot
    limit = kind.keys_max
    # Mezmo: the answer above the limit is not documented; it should name the kind and the limit. mezmo-api 24 Q1
    message = f"The account has {limit} of {limit} {kind.value} keys. Delete one that is not used any more."
    raise KeyLimitReached(Detail(message=message, key="type"))


def _check_name(name: str) -> None:
    if details := name_rules_broken(name):
        raise ValidationFailed(*details)
