"""What a server learns of another's changes, in whatever order the news comes, and what it makes of a lost database."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from keys_house import open_keys_house

from logboom.database.engine import open_database, reading, writing
from logboom.database.watch import SqliteWatch
from logboom.errors import Unavailable
from logboom.keys.change import SYSTEM
from logboom.keys.following import follow
from logboom.keys.key import KeyKind
from logboom.keys.nodes import Nodes


@pytest.fixture
def house(database_url):
    house = open_keys_house(database_url)
    house.keys.load()
    yield house
    house.engine.dispose()


@pytest.fixture
def other(database_url, house):
    """A second server on the same database."""
    other = open_keys_house(database_url, clock=house.clock)
    other.keys.load()
    yield other
    other.engine.dispose()


@pytest.fixture
def account_id(house):
    return house.accounts.create().id


def test_changes_are_numbered_in_their_order(house, account_id):
    key = house.keys.create(account_id, KeyKind.INGESTION)
    held = house.keys.hold(account_id, key.id, 1_000, actor=SYSTEM)
    again = house.keys.disable(account_id, key.id, actor=SYSTEM)
    unchanged = house.keys.disable(account_id, key.id, actor=SYSTEM)
    gone = house.keys.delete(account_id, key.id)
    numbers = [each.revision for each in (key, held, again, unchanged, gone)]
    assert numbers == [key.revision + step for step in (0, 1, 2, 2, 3)]
    assert house.keys.catch_up() == gone.revision


def test_catching_up_brings_everything_that_happened(house, other, account_id):
    kept, gone, rotated = (house.keys.create(account_id, KeyKind.INGESTION) for _ in range(3))
    house.keys.delete(account_id, gone.id)
    after = house.keys.rotate(account_id, rotated.id, overlap_ms=0, actor=SYSTEM)
    assert other.caller(kept.value) is None
    other.keys.catch_up()
    assert other.caller(kept.value)
    assert [other.refusal(value) for value in (gone.value, rotated.value)] == ["DELETED", "RETIRED"]
    assert other.caller(after.value).generation == 2


def test_old_news_does_not_undo_newer(house, account_id):
    """Two requests change a key; the one that was first tells the keyring last."""
    key = house.keys.create(account_id, KeyKind.INGESTION)
    with house.keys._repository.reading() as connection:
        old = house.keys._standings(connection, key.id)
    house.keys.delete(account_id, key.id)
    house.keyring.put(key.id, old, key.revision)
    assert house.refusal(key.value) == "DELETED"


def test_a_key_that_was_altered_meanwhile_is_forgotten(house, other, account_id):
    key = house.keys.create(account_id, KeyKind.INGESTION)
    other.keys.catch_up()
    assert other.caller(key.value)
    with writing(house.engine) as connection:
        connection.exec_driver_sql("UPDATE key_values SET sealed = digest")
        connection.exec_driver_sql("UPDATE keyring_state SET seq = seq + 1")
        connection.exec_driver_sql("UPDATE keys SET revision = (SELECT seq FROM keyring_state)")
    other.keys.catch_up()
    assert (other.caller(key.value), other.refusal(key.value)) == (None, None)


def test_a_request_sees_what_was_committed_before_it(house, other, account_id):
    following = follow(other.engine, other.keys, now_ms=other.clock, node_id="other")
    following.start()

    async def look():
        seen = []
        for _ in range(20):
            key = house.keys.create(account_id, KeyKind.INGESTION)
            await following.feed.ensure_newer()
            seen.append(other.caller(key.value) is not None)
            house.keys.delete(account_id, key.id)
            await following.feed.ensure_newer()
            seen.append(other.refusal(key.value) == "DELETED")
        return seen

    assert asyncio.run(look()) == [True] * 40
    following.stop()


def test_servers_wait_for_each_other_and_not_for_those_that_left(house, other):
    here = Nodes(house.engine, node_id="here", name="here:1", now_ms=house.clock)
    there = Nodes(other.engine, node_id="there", name="there:2", now_ms=house.clock)
    for nodes in (here, there):
        nodes.saw(5)
        nodes.start()
    while len(here.wait_for(5).names) < 2:
        pass
    seen = here.wait_for(5)
    assert (seen.names, seen.missing) == (("here:1", "there:2"), ())
    assert here.wait_for(6).missing == ("there:2",)
    there.saw(6)
    assert here.wait_for(6).missing == ()
    there.stop()
    assert here.wait_for(7).names == ("here:1",)
    here.stop()


def test_a_replaced_sqlite_file_is_noticed(tmp_path):
    path = tmp_path / "control.db"
    engine = open_database(f"sqlite:///{path}")
    with writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    watch = SqliteWatch(engine)
    watch.check()
    path.rename(tmp_path / "away.db")
    with pytest.raises(Unavailable):
        watch.check()
    sqlite3.connect(path).close()
    Path(path).touch()
    with pytest.raises(Unavailable):
        watch.check()
    watch.close()
    engine.dispose()


def test_no_empty_file_takes_the_place_of_a_lost_one(tmp_path):
    path = tmp_path / "control.db"
    engine = open_database(f"sqlite:///{path}")
    with writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    engine.dispose()
    path.rename(tmp_path / "away.db")
    with pytest.raises(Unavailable), reading(engine):
        pass
    assert not path.exists()
    engine.dispose()


def test_a_probe_tells_every_commit_of_another_connection(tmp_path):
    engine = open_database(f"sqlite:///{tmp_path / 'control.db'}")
    with writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    watch = SqliteWatch(engine)
    marks = [watch.probe()]
    for _ in range(10):
        assert watch.probe() == marks[-1]
        with writing(engine) as connection:
            connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        marks.append(watch.probe())
    assert len(set(marks)) == 11
    watch.close()
    engine.dispose()


def test_a_paused_server_does_not_keep_others_from_revoking(postgresql_url, request):
    """It holds the row that numbers changes; PostgreSQL ends its transaction, and the revocation goes on."""
    house, paused = open_keys_house(postgresql_url), open_keys_house(postgresql_url)
    house.keys.load()
    account_id = house.accounts.create().id
    key = house.keys.create(account_id, KeyKind.INGESTION)
    with pytest.raises(Unavailable):
        number_late(paused, key, meanwhile=lambda: house.keys.delete(account_id, key.id))
    assert house.refusal(key.value) == "DELETED"
    for each in (house, paused):
        each.engine.dispose()


def number_late(house, key, *, meanwhile):
    """A change that is numbered, and then goes on only after something else has happened."""
    with house.keys._repository.writing() as connection:
        house.keys._repository.number_change(connection, key)
        meanwhile()
        house.keys._repository.number_change(connection, key)
