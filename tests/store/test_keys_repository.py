"""Keys in a real database and in the memory of the process, which must tell the same story."""

import pytest
from keys_house import open_keys_house
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from logboom.database.engine import reading, writing
from logboom.database.tables import key_values
from logboom.database.tables import keys as keys_table
from logboom.errors import KeyLimitReached, NotFound, ValidationFailed
from logboom.keys.key import Caller, KeyKind
from logboom.keys.vault import SealError

FOREIGN_IDS = ["", "x", "0" * 24, "0" * 23 + "\0", "0" * 10_000, "é" * 24, "' OR 1=1 --"]


@pytest.fixture
def house(database_url):
    house = open_keys_house(database_url)
    yield house
    house.engine.dispose()


@pytest.fixture
def account_id(house):
    return house.accounts.create().id


def test_created_key_is_read_back_and_works_at_once(house, account_id):
    key = house.keys.create(account_id, KeyKind.INGESTION, name="edge-fleet")
    assert house.keys.get(account_id, key.id) == key
    assert house.keys.list_keys(account_id) == [key]
    caller = Caller(account_id=account_id, key_id=key.id, kind=KeyKind.INGESTION)
    assert house.caller(key.value) == caller


def test_deleted_key_is_gone_and_refused_at_once(house, account_id):
    key = house.keys.create(account_id, KeyKind.SERVICE)
    house.keys.delete(account_id, key.id)
    assert house.caller(key.value) is None
    assert house.keys.list_keys(account_id) == []
    for gone in (house.keys.get, house.keys.delete):
        with pytest.raises(NotFound):
            gone(account_id, key.id)
    with pytest.raises(NotFound):
        house.keys.rename(account_id, key.id, "again")


def test_deleted_key_leaves_rows_without_value(house, account_id):
    key = house.keys.create(account_id, KeyKind.SERVICE)
    house.keys.delete(account_id, key.id)
    with reading(house.engine) as connection:
        row = connection.execute(select(keys_table)).one()
        value = connection.execute(select(key_values)).one()
    assert (row.id, row.slot, row.deleted_ms) == (key.id, None, house.clock())
    assert (value.key_id, value.state, value.sealed) == (key.id, "dead", None)


def test_restart_knows_the_same_keys(house, account_id, database_url):
    kept = house.keys.create(account_id, KeyKind.INGESTION)
    gone = house.keys.create(account_id, KeyKind.INGESTION)
    house.keys.delete(account_id, gone.id)
    restarted = open_keys_house(database_url)
    assert restarted.keys.load() == ()
    assert restarted.caller(kept.value) == house.caller(kept.value)
    assert restarted.caller(gone.value) is None
    assert restarted.refusal(gone.value) == "DELETED"
    assert len(restarted.keyring) == 2
    restarted.engine.dispose()


def test_renaming_changes_the_name_and_nothing_else(house, account_id):
    key = house.keys.create(account_id, KeyKind.SERVICE, name="old")
    renamed = house.keys.rename(account_id, key.id, "new 😀")
    assert renamed.name == "new 😀"
    assert (renamed.id, renamed.value, renamed.created_ms) == (key.id, key.value, key.created_ms)
    assert house.keys.rename(account_id, key.id, "") == renamed


def test_lists_are_oldest_first_and_by_kind(house, account_id):
    kinds = [KeyKind.SERVICE, KeyKind.INGESTION, KeyKind.SERVICE]
    made = [house.keys.create(account_id, kind) for kind in kinds]
    house.keys.rename(account_id, made[0].id, "zzz")
    assert [key.id for key in house.keys.list_keys(account_id)] == [key.id for key in made]
    assert [key.id for key in house.keys.list_keys(account_id, KeyKind.INGESTION)] == [made[1].id]


def test_blank_names_become_generated_ones(house, account_id):
    names = [house.keys.create(account_id, KeyKind.INGESTION, name=name).name for name in ("", "  ", "own")]
    assert [name.partition("-")[0] for name in names] == ["ingestion", "ingestion", "own"]
    assert len(set(names)) == 3


@pytest.mark.parametrize(("kind", "limit"), [(KeyKind.INGESTION, 10), (KeyKind.SERVICE, 20)])
def test_limit_is_exact_and_a_deleted_key_makes_room(house, account_id, kind, limit):
    made = [house.keys.create(account_id, kind) for _ in range(limit)]
    with pytest.raises(KeyLimitReached) as refused:
        house.keys.create(account_id, kind)
    (detail,) = refused.value.details
    expected = f"The account has {limit} of {limit} {kind.value} keys. Delete one that is not used any more."
    assert (detail.message, detail.key) == (expected, "type")
    house.keys.delete(account_id, made[3].id)
    house.keys.create(account_id, kind)
    assert len(house.keys.list_keys(account_id, kind)) == limit


@pytest.mark.parametrize("slot", [0, 11, None])
def test_database_itself_refuses_a_slot_beyond_the_limit(house, account_id, slot):
    house.keys.create(account_id, KeyKind.INGESTION)
    with reading(house.engine) as connection:
        row = dict(connection.execute(select(keys_table)).one()._mapping)
    del row["number"]
    row |= {"id": "f" * 24, "slot": slot}
    with pytest.raises(IntegrityError), writing(house.engine) as connection:
        connection.execute(insert(keys_table).values(row))


@pytest.mark.parametrize("foreign_id", FOREIGN_IDS)
def test_unknown_and_malformed_ids_are_not_found(house, account_id, foreign_id):
    with pytest.raises(NotFound):
        house.keys.get(account_id, foreign_id)
    with pytest.raises(NotFound):
        house.keys.rename(account_id, foreign_id, "n")
    with pytest.raises(NotFound):
        house.keys.delete(account_id, foreign_id)


def test_another_account_sees_and_changes_nothing(house, account_id):
    key = house.keys.create(account_id, KeyKind.SERVICE)
    other_id = house.accounts.create().id
    assert house.keys.list_keys(other_id) == []
    for door in (house.keys.get, house.keys.delete):
        with pytest.raises(NotFound):
            door(other_id, key.id)
    with pytest.raises(NotFound):
        house.keys.rename(other_id, key.id, "mine")
    assert house.keys.list_keys(account_id) == [key]


def test_unknown_account_gets_no_key(house):
    with pytest.raises(NotFound):
        house.keys.create("f" * 10, KeyKind.SERVICE)


def test_preset_value_is_kept_and_serves_one_key_for_ever(house, account_id):
    preset = "Preset_0123456789"
    key = house.keys.create(account_id, KeyKind.INGESTION, value=preset)
    assert key.value == preset
    house.keys.delete(account_id, key.id)
    with pytest.raises(ValidationFailed) as refused:
        house.keys.create(house.accounts.create().id, KeyKind.INGESTION, value=preset)
    assert refused.value.message == '"key" cannot be used'
    assert house.caller(preset) is None


def test_altered_rows_open_no_door_and_are_named(house, account_id, database_url):
    """Who can write to the database can neither plant a key nor move one to another account."""
    mine = house.keys.create(account_id, KeyKind.INGESTION)
    victim = house.keys.create(house.accounts.create().id, KeyKind.SERVICE)
    sound = house.keys.create(account_id, KeyKind.SERVICE)
    with writing(house.engine) as connection:
        mine_row = connection.execute(select(key_values).where(key_values.c.key_id == mine.id)).one()
        connection.execute(update(key_values).where(key_values.c.key_id == mine.id).values(digest=b"moved"))
        planted = {"digest": mine_row.digest, "sealed": mine_row.sealed}
        connection.execute(update(key_values).where(key_values.c.key_id == victim.id).values(planted))
    restarted = open_keys_house(database_url)
    assert set(restarted.keys.load()) == {mine.id, victim.id}
    assert restarted.caller(mine.value) is None
    assert restarted.caller(sound.value) is not None
    with pytest.raises(SealError):
        restarted.keys.get(victim.account_id, victim.id)
    restarted.engine.dispose()


def test_only_account_is_found_when_there_is_one(house):
    assert house.accounts.find_only() is None
    only = house.accounts.create()
    assert house.accounts.find_only() == only == house.accounts.get(only.id)
    house.clock.now_ms += 1
    second = house.accounts.create()
    assert house.accounts.find_only() is None
    assert house.accounts.list_accounts() == [only, second]
    with pytest.raises(NotFound):
        house.accounts.get("f" * 10)
