"""Terms of keys in both databases: read back as given, counted over all servers, never lost when altered."""

import pytest
from keys_house import open_keys_house
from sqlalchemy import update

from logboom.database.engine import writing
from logboom.database.tables import keys
from logboom.keys.change import SYSTEM
from logboom.keys.key import KeyKind, NewKey
from logboom.keys.meter import DAY_MS, Meter, Used
from logboom.keys.narrowing import Narrowing
from logboom.keys.scopes import Scope
from logboom.keys.terms import Limits, Network, OnExcess, Terms
from logboom.keys.usage import Counts, Hour, HourCount
from logboom.keys.usage_repository import UsageRepository
from logboom.keys.use import watch_use

NARROWING = Narrowing(apps=("web", "edge-*"), tags=("prod",))
NETWORK = Network(allow=("192.0.2.0/24",), deny=("2001:db8::/32",), dry_run=True)
LIMITS = Limits(requests_per_s=5, lines_per_day=9, on_excess=OnExcess.REFUSE)
HOUR_MS = 3_600_000


@pytest.fixture
def house(database_url):
    house = open_keys_house(database_url)
    yield house
    house.engine.dispose()


@pytest.fixture
def make(house):
    account_id = house.accounts.create().id

    def make(kind=KeyKind.INGESTION, **terms):
        return house.keys.create_key(account_id, NewKey(kind=kind, **terms), actor=SYSTEM)

    return make


def test_terms_are_read_back_and_known_to_every_server(house, make, database_url):
    key = make(narrowing=NARROWING, network=NETWORK, limits=LIMITS)
    assert house.keys.get(key.account_id, key.id) == key
    other = open_keys_house(database_url)
    other.keys.load()
    terms = Terms(narrowing=NARROWING, network=NETWORK, limits=LIMITS)
    assert [one.caller(key.value).terms for one in (house, other)] == [terms, terms]
    house.keys.edit(key.account_id, key.id, {"narrowing": None, "network": None, "limits": None}, actor=SYSTEM)
    other.keys.catch_up()
    assert [one.caller(key.value).terms for one in (house, other)] == [None, None]
    other.engine.dispose()


@pytest.mark.parametrize(
    "altered",
    [
        {"network": "{"},
        {"network": '{"allow": ["everywhere"]}'},
        {"network": "[]"},
        {"limits": '{"lines_per_day": "many"}'},
        {"narrowing": '{"apps": "web"}'},
    ],
    ids=str,
)
def test_terms_that_cannot_be_read_are_not_no_terms(house, make, altered):
    key, sound = make(network=NETWORK), make()
    with writing(house.engine) as connection:
        connection.execute(update(keys).where(keys.c.id == key.id).values(**altered))
    house.keys.load()
    assert (house.refusal(key.value), house.refusal(sound.value)) == ("DISABLED", None)


@pytest.mark.parametrize("altered", ["", "{", "5", '"keys:read"', '["keys:own"]'])
def test_scopes_that_cannot_be_read_allow_nothing(house, make, altered):
    key = make(KeyKind.SERVICE, scopes=frozenset({Scope.KEYS_READ}))
    with writing(house.engine) as connection:
        connection.execute(update(keys).where(keys.c.id == key.id).values(scopes=altered))
    house.keys.load()
    assert house.caller(key.value).scopes == frozenset()


def count(house, key, hour_ms, *, generation=1, lines=0, size=0):
    counted = {Hour(key.id, generation, hour_ms): HourCount(lines=lines, bytes=size)}
    UsageRepository(house.engine).add(Counts(hours=counted))


def test_what_all_servers_accepted_today_is_learned(house, make):
    limited, free = make(limits=LIMITS), make()
    meter = Meter(now_ms=house.clock, monotonic_s=lambda: 0.0)
    day_ms = meter.day_ms
    count(house, limited, day_ms - HOUR_MS, lines=1_000, size=1_000)
    count(house, limited, day_ms, lines=3, size=30)
    count(house, limited, day_ms + HOUR_MS, lines=4, size=40)
    count(house, limited, day_ms + HOUR_MS, generation=2, lines=1, size=1)
    count(house, free, day_ms, lines=5)
    used = UsageRepository(house.engine).used_of_limited(day_ms)
    assert used == {limited.id: Used(8, 71)}
    meter.learn(day_ms, used)
    assert not meter.add(limited.id, LIMITS, lines=2, body_bytes=0)
    assert meter.add(limited.id, LIMITS, lines=1, body_bytes=0)
    assert UsageRepository(house.engine).used_of_limited(day_ms + DAY_MS) == {}


def test_two_servers_learn_what_the_other_has_accepted(house, make):
    """Each writes what it has counted and learns what all have, as its thread does every few seconds."""
    key = make(limits=LIMITS)
    meters = [Meter(now_ms=house.clock, monotonic_s=lambda: 0.0) for _ in range(2)]

    def open_use(meter):
        return watch_use(
            house.engine, meter, now_ms=house.clock, random=lambda: 0.0, keep=str, on_written=lambda _: None
        )

    uses = [open_use(meter) for meter in meters]
    for use, meter in zip(uses, meters, strict=True):
        assert meter.add(key.id, LIMITS, lines=4, body_bytes=40)
        counted = (key.id, 1, "192.0.2.1", "curl", "web-1", "header", "logs", house.clock() - house.clock() % HOUR_MS)
        use.flush.counters.opened(counted, house.clock())
        use.flush.counters.accepted(counted, house.clock(), lines=4, body_bytes=40)
    for use in (*uses, open_use(meters[0])):
        use.flush.start()
        use.flush.stop()
    assert [meter.add(key.id, LIMITS, lines=2, body_bytes=0) for meter in meters] == [False, False]
    assert [meter.add(key.id, LIMITS, lines=1, body_bytes=0) for meter in meters] == [True, True]


def test_a_deleted_key_is_not_read_any_more(house, make):
    key = make(limits=LIMITS)
    count(house, key, house.clock() - house.clock() % HOUR_MS, lines=3)
    house.keys.delete(key.account_id, key.id)
    assert UsageRepository(house.engine).used_of_limited(0) == {}
