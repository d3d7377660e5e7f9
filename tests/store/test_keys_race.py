"""The limit of ten holds when forty processes create keys at the same moment, on both databases."""

import multiprocessing

import pytest
from keys_house import open_keys_house

from logboom.errors import KeyLimitReached
from logboom.keys.key import KeyKind

PROCESSES = 40
PATIENCE_S = 60
IMPORTS = ["pytest", "psycopg", "sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.dialects.sqlite.pysqlite"]
IMPORTS += ["logboom.accounts.repository", "logboom.database.migrate", "logboom.keys.keys"]


def create_one(url, account_id, start, outcomes):
    house = open_keys_house(url)
    start.wait(PATIENCE_S)
    try:
        outcomes.put(house.keys.create(account_id, KeyKind.INGESTION).id)
    except KeyLimitReached:
        outcomes.put(None)
    house.engine.dispose()


@pytest.fixture(scope="module")
def processes():
    """Processes forked from a clean one that has the imports done, since importing forty times takes its time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTS)
    return context


@pytest.mark.parametrize("before", [9, 0])
def test_forty_processes_create_no_more_than_ten_keys(database_url, processes, before):
    house = open_keys_house(database_url)
    account_id = house.accounts.create().id
    for _ in range(before):
        house.keys.create(account_id, KeyKind.INGESTION)
    start, outcomes = processes.Barrier(PROCESSES), processes.Queue()
    creators = [
        processes.Process(target=create_one, args=(database_url, account_id, start, outcomes)) for _ in range(PROCESSES)
    ]
    for creator in creators:
        creator.start()
    created = [outcomes.get(timeout=PATIENCE_S) for _ in creators]
    for creator in creators:
        creator.join(PATIENCE_S)
    assert [creator.exitcode for creator in creators] == [0] * PROCESSES
    assert len([key_id for key_id in created if key_id]) == 10 - before
    listed = {key.id for key in house.keys.list_keys(account_id)}
    assert len(listed) == 10
    assert {key_id for key_id in created if key_id} <= listed
    house.engine.dispose()
