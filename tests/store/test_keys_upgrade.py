"""A database of the first release goes on with the same keys: same ids, same values, same slots, same tombstones."""

import secrets

import pytest
from alembic import command
from keys_house import MASTER_SECRET, open_keys_house
from sqlalchemy import inspect, text

from logboom.database.engine import open_database, reading, writing
from logboom.database.migrate import _config
from logboom.keys.change import SYSTEM
from logboom.keys.key import KeyKind, KeyState
from logboom.keys.vault import Place, Vault

ACCOUNT_ID = "a" * 10
# number, id, kind, slot, name, value, deleted_ms; the numbers have a gap where a key lost a race.
KEYS = [
    (1, "0" * 24, "ingestion", 1, "first ingestion key", "0f1e2d3c4b5a69788796a5b4c3d2e1f0", None),
    (2, "1" * 24, "service", 1, "first 'service' key", "Preset_0123456789", None),
    (4, "2" * 24, "ingestion", None, "gone", "2f1e2d3c4b5a69788796a5b4c3d2e1f2", 1_699_999_000_000),
    (7, "3" * 24, "ingestion", 3, "😀", "3f1e2d3c4b5a69788796a5b4c3d2e1f3", None),
]
INSERT_KEY = text("""
    INSERT INTO keys (number, id, account_id, kind, slot, name, generation, digest, sealed, created_ms, deleted_ms)
    VALUES (:number, :id, :account_id, :kind, :slot, :name, 1, :digest, :sealed, :created_ms, :deleted_ms)
""")


@pytest.fixture
def first_release_url(database_url):
    """A database as the first release left it, with its keys."""
    engine = open_database(database_url)
    vault = Vault(MASTER_SECRET, random_bytes=secrets.token_bytes)
    data_key = vault.mint_data_key(ACCOUNT_ID)
    with writing(engine) as connection:
        command.upgrade(_config(connection), "0001")
        connection.execute(text("INSERT INTO accounts VALUES (:id, 1)"), {"id": ACCOUNT_ID})
        connection.execute(
            text("INSERT INTO data_keys VALUES (:id, :wrapped)"), {"id": ACCOUNT_ID, "wrapped": data_key.wrapped}
        )
        for number, key_id, kind, slot, name, value, deleted_ms in KEYS:
            place = Place(account_id=ACCOUNT_ID, key_id=key_id, generation=1, kind=KeyKind(kind))
            row = {"number": number, "id": key_id, "account_id": ACCOUNT_ID, "kind": kind, "slot": slot, "name": name}
            row |= {"created_ms": 1_690_000_000_000 + number, "deleted_ms": deleted_ms}
            sealed = None if deleted_ms else vault.seal(value, data_key=data_key, place=place)
            connection.execute(INSERT_KEY, row | {"digest": vault.digest(value), "sealed": sealed})
    engine.dispose()
    return database_url


@pytest.fixture
def house(first_release_url):
    house = open_keys_house(first_release_url)
    assert house.keys.load() == ()
    yield house
    house.engine.dispose()


def test_every_key_keeps_its_value_and_what_was_known_of_it(house):
    live = [key for key in KEYS if key[-1] is None]
    listed = house.keys.list_keys(ACCOUNT_ID)
    assert [(key.id, key.kind.value, key.name, key.value) for key in listed] == [
        (key_id, kind, name, value) for _, key_id, kind, _, name, value, _ in live
    ]
    assert [key.created_ms for key in listed] == [1_690_000_000_000 + key[0] for key in live]
    assert {(key.state, key.generation, key.note, key.is_imported) for key in listed} == {
        (KeyState.ACTIVE, 1, "", False)
    }
    assert [house.caller(key[5]).key_id for key in live] == [key[1] for key in live]


def test_a_deleted_key_stays_deleted_and_its_use_is_named(house):
    assert house.refusal(KEYS[2][5]) == "DELETED"
    (gone,) = house.keys.list_keys(ACCOUNT_ID, is_live=False)
    assert (gone.id, gone.deleted_ms) == (KEYS[2][1], KEYS[2][6])


def test_slots_and_numbers_go_on(house):
    made = [house.keys.create(ACCOUNT_ID, KeyKind.INGESTION) for _ in range(2)]
    with reading(house.engine) as connection:
        rows = connection.execute(text("SELECT id, number, slot FROM keys ORDER BY number")).all()
    assert [(row.id, row.slot) for row in rows][-2:] == [(made[0].id, 2), (made[1].id, 4)]
    assert rows[-2].number > 7
    rotated = house.keys.rotate(ACCOUNT_ID, KEYS[0][1], actor=SYSTEM)
    assert [house.caller(value).generation for value in (KEYS[0][5], rotated.value)] == [1, 2]


def test_nothing_of_the_old_table_is_left(house):
    assert not inspect(house.engine).has_table("keys_before")
