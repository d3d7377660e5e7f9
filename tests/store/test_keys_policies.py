"""The policies of accounts in both databases: changes at the same moment lose nothing, and each is told of once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from keys_house import open_keys_house

from logboom.keys.change import SYSTEM
from logboom.keys.policies import Policies
from logboom.keys.policy import DEFAULT_POLICY, OnLeak

CHANGES = [
    {"audit_lines": True},
    {"on_leak_ingestion": OnLeak.HOLD},
    {"on_leak_service": OnLeak.DISABLE},
    {"overlap_idle_ms": 3_600_000},
    {"lifetime_max_ms": 86_400_000},
]


@pytest.fixture
def house(database_url):
    house = open_keys_house(database_url)
    yield house
    house.engine.dispose()


def test_changes_at_the_same_moment_lose_nothing(house):
    told = []
    policies = Policies(house.engine, now_ms=house.clock, on_change=lambda _, change: told.append(change))
    account_id = house.accounts.create().id
    with ThreadPoolExecutor(len(CHANGES)) as threads:
        list(threads.map(lambda changes: policies.change(account_id, changes, actor=SYSTEM), CHANGES))
    policy = policies.get(account_id)
    assert {name: getattr(policy, name) for changes in CHANGES for name in changes} == {
        name: wish for changes in CHANGES for name, wish in changes.items()
    }
    assert [change.before for change in told] == [DEFAULT_POLICY, *(change.after for change in told[:-1])]
    assert told[-1].after == policy


def test_nothing_has_changed_when_the_listener_fails(house):
    def fail(_connection, _change):
        raise RuntimeError

    account_id = house.accounts.create().id
    policies = Policies(house.engine, now_ms=house.clock, on_change=fail)
    with pytest.raises(RuntimeError):
        policies.change(account_id, {"audit_lines": True}, actor=SYSTEM)
    assert policies.get(account_id) == DEFAULT_POLICY
