"""A revoked key is refused everywhere within a second, or nobody is answered: real processes, real faults.

`LOGBOOM_FAULT_RUNS=1000` makes as many revocations under faults for each database; the default is fewer.
"""

import contextlib
import os
import random
import statistics
import sys
import time
from functools import partial

import pytest
from keys_house import WallClock, open_keys_house
from revocation_house import (
    clocks_set,
    database_dies,
    database_hangs,
    file_moved_away,
    judge_revocations,
    listeners_killed,
    make_keys,
    notifications_dropped,
    revoke,
    running_nodes,
    stopped,
    wait_until_refused,
    watch,
)

from logboom.keys.key import KeyKind

RUNS = int(os.environ.get("LOGBOOM_FAULT_RUNS", "120"))
KEYS_AT_ONCE = 10
BOUND_S = 1.0
PAUSE_S = 1.5  # how long a fault lasts: longer than the bound
SEED = 20


@pytest.fixture
def house(database_url):
    house = open_keys_house(database_url, clock=WallClock())
    house.keys.load()
    yield house
    house.engine.dispose()


@pytest.fixture
def nodes(house, database_url):
    with running_nodes(database_url) as nodes:
        yield nodes


def faults_of(house, nodes, request):
    """What can go wrong with this database, by name."""
    faults = {
        "node stopped": partial(stopped, nodes, PAUSE_S),
        "clock set": partial(clocks_set, nodes, PAUSE_S),
    }
    if house.engine.dialect.name == "sqlite":
        return faults | {"file moved away": partial(file_moved_away, house, PAUSE_S)}
    cluster = request.getfixturevalue("postgresql_cluster")
    return faults | {
        "notification dropped": partial(notifications_dropped, house, PAUSE_S),
        "listener killed": partial(listeners_killed, house, PAUSE_S),
        "database hangs": partial(database_hangs, house, cluster, PAUSE_S),
        "database dies": partial(database_dies, house, cluster, PAUSE_S),
    }


def revoke_under(fault, name, house, nodes):
    keys = make_keys(house, KEYS_AT_ONCE)
    watch(nodes, keys)
    with fault():
        acknowledged_s = revoke(house, keys)
    return judge_revocations(name, acknowledged_s, wait_until_refused(nodes, keys))


def tell(what, moments_s):
    """The figures, for who runs the test to see them (`pytest -s`)."""
    moments_ms = sorted(moment * 1000 for moment in moments_s)
    p50, p99 = statistics.median(moments_ms), moments_ms[int(len(moments_ms) * 0.99)]
    sys.stdout.write(f"{what}: {len(moments_ms)} sightings, p50 {p50:.2f} p99 {p99:.2f} max {moments_ms[-1]:.2f} ms\n")


def test_no_revoked_key_is_admitted_for_longer_than_the_bound(house, nodes, request):
    faults, chance = faults_of(house, nodes, request), random.Random(SEED)  # noqa: S311 -- an order of tests
    seen = []
    names = sorted(faults) * -(-RUNS // KEYS_AT_ONCE // len(faults))
    chance.shuffle(names)
    for name in names:
        seen += revoke_under(faults[name], name, house, nodes)
    for name in sorted(faults):
        tell(name, [stale for run in seen if run.fault == name for stale in run.stale_s])
    assert len(seen) >= RUNS
    assert [run for run in seen if max(run.stale_s) > BOUND_S] == []


def test_without_faults_every_node_refuses_within_milliseconds(house, nodes):
    seen = [run for _ in range(10) for run in revoke_under(contextlib.nullcontext, "none", house, nodes)]
    refused_s = sorted(moment for run in seen for moment in run.refused_s)
    tell("no fault, refused after", refused_s)
    assert refused_s[int(len(refused_s) * 0.9)] < 0.1


def test_a_new_key_is_admitted_by_every_node_at_its_first_use(house, nodes):
    """The nodes have not heard of it, and still their first answer is yes: refusing would make a sender drop lines."""
    for _ in range(20):
        key = house.keys.create(house.accounts.create().id, KeyKind.INGESTION)
        for node in nodes:
            node.ask("watch", {key.id: key.value})
        assert [first_answer(node, key.id) for node in nodes] == ["admitted"] * len(nodes)


def first_answer(node, key_id):
    deadline = time.monotonic() + 10
    while key_id not in (answers := node.ask("report").first_answers):
        assert time.monotonic() < deadline
    return answers[key_id]
