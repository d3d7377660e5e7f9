"""A stolen database is of no use: it holds no key value in the clear, and opens nothing without the master secret."""

import subprocess
from pathlib import Path

import pytest
from keys_house import open_keys_house
from sqlalchemy import make_url

from logboom.keys.key import KeyKind

CANARIES = ("canary_ingestion_5f0c1d2e3b4a", "canary_service_5f0c1d2e3b4a")


@pytest.fixture
def house(database_url):
    house = open_keys_house(database_url)
    account_id = house.accounts.create().id
    for canary, kind in zip(CANARIES, KeyKind, strict=True):
        house.keys.create(account_id, kind, name="visible-name", value=canary)
    deleted = house.keys.create(account_id, KeyKind.SERVICE, value="canary_deleted_5f0c1d2e3b4a")
    house.keys.delete(account_id, deleted.id)
    yield house
    house.engine.dispose()


def test_sqlite_files_hold_no_value_in_the_clear(sqlite_url):
    """While the database is open, and its write-ahead log still holds the latest pages."""
    house = open_keys_house(sqlite_url)
    account_id = house.accounts.create().id
    for canary, kind in zip(CANARIES, KeyKind, strict=True):
        house.keys.create(account_id, kind, name="visible-name", value=canary)
    files = list(Path(make_url(sqlite_url).database).parent.iterdir())
    stored = b"".join(file.read_bytes() for file in files)
    assert {file.name for file in files} >= {"control.db", "control.db-wal"}
    assert b"visible-name" in stored
    assert not [text for text in CANARIES for form in forms(text) if form in stored]
    house.engine.dispose()


def test_postgresql_dump_holds_no_value_in_the_clear(postgresql_url, postgresql_cluster):
    house = open_keys_house(postgresql_url)
    account_id = house.accounts.create().id
    for canary, kind in zip(CANARIES, KeyKind, strict=True):
        house.keys.create(account_id, kind, name="visible-name", value=canary)
    dump = [postgresql_cluster.binaries / "pg_dump", "-h", postgresql_cluster.folder, "-U", "postgres"]
    stored = subprocess.run([*dump, make_url(postgresql_url).database], check=True, capture_output=True).stdout
    assert b"visible-name" in stored
    assert not [text for text in CANARIES for form in forms(text) if form in stored]
    house.engine.dispose()


def test_dump_without_the_master_secret_authenticates_nothing(house, database_url):
    thief = open_keys_house(database_url, master_secret=b"n" * 32)
    left_out = thief.keys.load()
    assert len(left_out) == len(CANARIES)
    assert [thief.caller(canary) for canary in CANARIES] == [None, None]
    house.keys.load()
    assert [house.caller(canary).kind for canary in CANARIES] == list(KeyKind)
    thief.engine.dispose()


def forms(text):
    """The value as it is, and as dumps spell bytes."""
    return (text.encode(), text.encode().hex().encode(), text.encode("utf-16-le"))
