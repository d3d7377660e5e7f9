"""Fills a real database with many keys, far faster than creating each: what it writes is what the server writes.

One key of each kind is created by the server's own code. All others are copies of its rows with an id, a place and a
value of their own, sealed for that place by the server's own vault; the server opens and proves each when it loads.
"""

import secrets
from collections.abc import Iterator

from keys_house import KeysHouse
from sqlalchemy import insert, select

from logboom.database.engine import reading, writing
from logboom.database.tables import accounts, data_keys, key_values, keys
from logboom.keys.key import KeyKind
from logboom.keys.vault import Place, Vault, WrappedKey

ACCOUNTS_PER_TRANSACTION = 500

Rows = dict[str, object]


def fill(house: KeysHouse, vault: Vault, count: int) -> dict[KeyKind, list[str]]:
    """Add accounts with all the keys they may have until there are *count* of them. Returns their values by kind."""
    models = {kind: _model(house, kind) for kind in KeyKind}
    values: dict[KeyKind, list[str]] = {kind: [] for kind in KeyKind}
    left = count
    while left > 0:
        with writing(house.engine) as connection:
            for _ in range(ACCOUNTS_PER_TRANSACTION):
                account_id = secrets.token_hex(5)
                data_key = vault.mint_data_key(account_id)
                connection.execute(insert(accounts).values(id=account_id, created_ms=0))
                connection.execute(insert(data_keys).values(account_id=account_id, **data_key._asdict()))
                made = list(_keys_of(account_id, data_key, vault, models))[:left]
                connection.execute(insert(keys), [key for key, _, _ in made])
                connection.execute(insert(key_values), [row for _, row, _ in made])
                for key, _, value in made:
                    values[KeyKind(key["kind"])].append(value)
                left -= len(made)
                if left <= 0:
                    break
    return values


def _model(house: KeysHouse, kind: KeyKind) -> tuple[Rows, Rows]:
    """The rows of a key that the server has created."""
    key = house.keys.create(house.accounts.create().id, kind)
    with reading(house.engine) as connection:
        key_row = connection.execute(select(keys).where(keys.c.id == key.id)).mappings().one()
        value_row = connection.execute(select(key_values).where(key_values.c.key_id == key.id)).mappings().one()
    return {name: value for name, value in key_row.items() if name != "number"}, dict(value_row)


def _keys_of(
    account_id: str, data_key: WrappedKey, vault: Vault, models: dict[KeyKind, tuple[Rows, Rows]]
) -> Iterator[tuple[Rows, Rows, str]]:
    for kind, (key_row, value_row) in models.items():
        for slot in range(1, kind.keys_max + 1):
            key_id, value = secrets.token_hex(12), secrets.token_hex(16)
            place = Place(account_id=account_id, key_id=key_id, generation=1, kind=kind)
            sealed = vault.seal(value, data_key=data_key, place=place)
            own = {"key_id": key_id, "digest": vault.digest(value), "sealed": sealed}
            yield key_row | {"id": key_id, "account_id": account_id, "slot": slot}, value_row | own, value
