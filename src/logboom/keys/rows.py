"""The rows that keys are read from and numbered in, for the repository of keys and for the rotation of secrets."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, select, text, update

from logboom.database.tables import data_keys, key_users, key_values, keyring_state, keys
from logboom.keys.key import KeyKind, Reveal
from logboom.keys.vault import Place, SealError, Vault, WrappedKey

ACTIVE, RETIRING, DEAD = "active", "retiring", "dead"

# Sent with the commit of the transaction, never before. PostgreSQL only: SQLite's readers see a commit by themselves.
NOTIFY = text("SELECT pg_notify('logboom_keys', CAST(:seq AS text))")


def open_value(vault: Vault, row: Row[Any]) -> str | None:
    """The value that a row keeps, None when it keeps none, and proof that it belongs there.

    Raises SealError for a row that was altered, and SecretOutdated.
    """
    place = Place(account_id=row.account_id, key_id=row.id, generation=row.generation or 0, kind=KeyKind(row.kind))
    sealed, digest = row.sealed or b"", row.digest or b""
    if row.reveal == Reveal.NEVER:
        vault.check_bound(digest, sealed, data_key=data_key_of(row), place=place)
        return None
    value = vault.open(sealed, data_key=data_key_of(row), place=place)
    if vault.digest_under(row.pepper_version, value) != digest:
        raise SealError
    return value


def data_key_of(row: Row[*tuple[Any, ...]]) -> WrappedKey:
    """The data key of the row's account."""
    return WrappedKey(row.wrapped, row.kek_version)


def number_changes(connection: Connection, key_ids: Collection[str]) -> int:
    """Give a change of these keys its number, in the order of commits: the row that counts is held until the end.

    Call it after every statement that may wait for another row, and before the audit log's. The commit wakes whoever
    listens.
    """
    counted = update(keyring_state).values(seq=keyring_state.c.seq + 1).returning(keyring_state.c.seq)
    seq: int = connection.execute(counted).scalar_one()
    connection.execute(update(keys).where(keys.c.id.in_(key_ids)).values(revision=seq))
    if connection.dialect.name == "postgresql":
        connection.execute(NOTIFY, {"seq": seq})
    return seq


def key_rows() -> Select[Any]:
    """Keys, oldest first, each with its active value and its account's data key, so that one statement opens them."""
    retiring = key_values.alias("retiring")
    last = key_values.alias("last")
    is_active = and_(key_values.c.key_id == keys.c.id, key_values.c.state == ACTIVE)
    is_retiring = and_(retiring.c.key_id == keys.c.id, retiring.c.state == RETIRING)
    joined = keys.join(data_keys, data_keys.c.account_id == keys.c.account_id)
    joined = joined.outerjoin(key_values, is_active).outerjoin(retiring, is_retiring)
    last_generation = select(func.max(last.c.generation)).where(last.c.key_id == keys.c.id).scalar_subquery()
    last_used = select(func.max(key_users.c.last_ms)).where(key_users.c.key_id == keys.c.id).scalar_subquery()
    # A deleted key has no active value any more.
    generation = func.coalesce(key_values.c.generation, last_generation)
    columns = select(
        keys,
        generation.label("generation"),
        key_values.c.digest,
        key_values.c.pepper_version,
        key_values.c.sealed,
        retiring.c.valid_until_ms.label("retiring_until_ms"),
        last_used.label("last_used_ms"),
        data_keys.c.wrapped,
        data_keys.c.kek_version,
    )
    return columns.select_from(joined).order_by(keys.c.number)


def value_rows() -> Select[Any]:
    """Values, each with what its key has to say about it."""
    joined = key_values.join(keys, keys.c.id == key_values.c.key_id)
    joined = joined.join(data_keys, data_keys.c.account_id == keys.c.account_id)
    of_value = (key_values.c.generation, key_values.c.digest, key_values.c.sealed, key_values.c.valid_until_ms)
    state = key_values.c.state.label("value_state")
    data_key = (data_keys.c.wrapped, data_keys.c.kek_version)
    return select(keys, *of_value, key_values.c.pepper_version, state, *data_key).select_from(joined)
