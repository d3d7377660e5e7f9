"""What holds whoever comes first: processes, each with its own connection, at the same moment, on both databases."""

import itertools
import multiprocessing
from collections import Counter

import pytest
from keys_house import open_keys_house
from sqlalchemy import func, select

from logboom.database.engine import reading
from logboom.database.tables import key_values
from logboom.errors import KeyLimitReached, KeyStateConflict, NotAuthorized, NotFound
from logboom.keys.answers import Once
from logboom.keys.change import SYSTEM, Actor, ActorKind
from logboom.keys.key import KeyKind, KeyState, NewKey

PROCESSES = 40
CREATORS = 50
PATIENCE_S = 60
IMPORTS = ["pytest", "psycopg", "sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.dialects.sqlite.pysqlite"]
IMPORTS += ["logboom.accounts.repository", "logboom.database.migrate", "logboom.keys.keys"]
REFUSALS = (KeyLimitReached, KeyStateConflict, NotFound)


def create(house, account_id, _key_id, _number):
    return house.keys.create(account_id, KeyKind.INGESTION).id


def create_once(house, account_id, _key_id, _number):
    new_key = house.keys.create_key
    once = Once(name="once", request=b"same")
    return new_key(account_id, NewKey(kind=KeyKind.INGESTION), actor=SYSTEM, once=once).value


def rotate_or_delete(house, account_id, key_id, number):
    if number == 0:
        house.keys.delete(account_id, key_id)
        return "deleted"
    return house.keys.rotate(account_id, key_id, actor=SYSTEM).value


def rotate(house, account_id, key_id, _number):
    return house.keys.rotate(account_id, key_id, actor=SYSTEM).value


def enable_disable_or_create(house, account_id, key_id, number):
    if number % 4 == 0:
        return create(house, account_id, key_id, number)
    change = (house.keys.enable, house.keys.disable)[number % 2]
    return change(account_id, key_id, actor=SYSTEM).id


def create_children_or_end_them(house, account_id, key_id, number):
    """One of many who create with a stolen key for as long as they can, or the one who ends it with its children."""
    actor = Actor(kind=ActorKind.SERVICE_KEY, key_id=key_id, generation=1)
    if number == 0:
        while not house.keys.children(account_id, key_id):
            pass
        return [key.id for key in house.keys.delete_family(account_id, key_id, actor=actor)]
    kinds = (KeyKind.INGESTION, KeyKind.SERVICE)
    for turn in itertools.count():
        try:
            house.keys.create(account_id, kinds[turn % 2], actor=actor)
        except KeyLimitReached:
            continue
        except NotAuthorized as refused:
            return refused.reason
    return None


def work(url, place, number, start, outcomes):
    """One process: open, wait for all others, do it once, and tell what came of it."""
    account_id, key_id, does = place
    house = open_keys_house(url)
    start.wait(PATIENCE_S)
    try:
        outcomes.put(does(house, account_id, key_id, number))
    except REFUSALS as refusal:
        outcomes.put(type(refusal).__name__)
    house.engine.dispose()


@pytest.fixture(scope="module")
def processes():
    """Processes forked from a clean one that has the imports done, since importing forty times takes its time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTS)
    return context


@pytest.fixture
def house(database_url):
    house = open_keys_house(database_url)
    yield house
    house.engine.dispose()


@pytest.fixture
def race(database_url, house, processes):
    """Runs *does* in many processes at once; returns the account, a key that was there before, and the outcomes."""

    def run(does, *, before, count=PROCESSES, kind=KeyKind.INGESTION):
        account_id = house.accounts.create().id
        keys = [house.keys.create(account_id, kind) for _ in range(before)]
        place = (account_id, keys[0].id if keys else "", does)
        start, outcomes = processes.Barrier(count), processes.Queue()
        runners = [
            processes.Process(target=work, args=(database_url, place, number, start, outcomes))
            for number in range(count)
        ]
        for runner in runners:
            runner.start()
        results = [outcomes.get(timeout=PATIENCE_S) for _ in runners]
        for runner in runners:
            runner.join(PATIENCE_S)
        assert [runner.exitcode for runner in runners] == [0] * count
        return account_id, keys, results

    return run


def live_values(house, key_id):
    rows = select(key_values.c.state, func.count()).where(key_values.c.key_id == key_id).group_by(key_values.c.state)
    with reading(house.engine) as connection:
        return {state: count for state, count in connection.execute(rows) if state != "dead"}


@pytest.mark.parametrize("before", [9, 0])
def test_forty_processes_create_no_more_than_ten_keys(house, race, before):
    account_id, _, results = race(create, before=before)
    created = [result for result in results if result != "KeyLimitReached"]
    assert len(created) == 10 - before
    listed = {key.id for key in house.keys.list_keys(account_id)}
    assert len(listed) == 10
    assert set(created) <= listed


def test_the_same_request_from_many_processes_creates_one_key(house, race):
    account_id, _, results = race(create_once, before=0, count=12)
    (key,) = house.keys.list_keys(account_id)
    assert set(results) == {key.value}


def test_rotations_at_once_leave_one_active_and_one_retiring_value(house, race):
    account_id, (key, *_), results = race(rotate, before=10, count=12)
    current = house.keys.get(account_id, key.id)
    assert (current.generation, current.value in results, len(set(results))) == (13, True, 12)
    assert live_values(house, key.id) == {"active": 1, "retiring": 1}
    house.keys.load()
    admitted = [value for value in (key.value, *results) if house.caller(value)]
    assert sorted(house.caller(value).generation for value in admitted) == [12, 13]


def test_no_value_of_a_rotation_outlives_the_deletion(house, race):
    account_id, (key,), results = race(rotate_or_delete, before=1, count=12)
    rotated = [result for result in results if result not in ("deleted", "NotFound")]
    assert Counter(results)["deleted"] == 1
    assert live_values(house, key.id) == {}
    house.keys.load()
    assert {house.refusal(value) for value in (key.value, *rotated)} == {"DELETED"}
    assert house.keys.list_keys(account_id) == []


def test_enabling_never_exceeds_the_limit(house, race):
    """A disabled key keeps its slot, so there is nothing to win by disabling, creating and enabling at once."""
    account_id, (key, *_), results = race(enable_disable_or_create, before=9, count=24)
    listed = house.keys.list_keys(account_id)
    assert len(listed) == 10
    assert Counter(results)["KeyLimitReached"] == 5
    assert next(other.state for other in listed if other.id == key.id) in (KeyState.ACTIVE, KeyState.DISABLED)


def test_a_stolen_key_leaves_no_children_however_many_create_with_it(house, race):
    account_id, (key,), results = race(create_children_or_end_them, before=1, count=CREATORS + 1, kind=KeyKind.SERVICE)
    (ended,) = (result for result in results if isinstance(result, list))
    assert ended[0] == key.id
    assert len(ended) > 1
    assert [result for result in results if result is not ended] == ["The key was deleted."] * CREATORS
    assert house.keys.list_keys(account_id) == []
    assert len(house.keys.list_keys(account_id, is_live=False)) == len(ended)
