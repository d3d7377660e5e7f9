"""What is done about leaks, on both databases: counts are exact, a place is told once, the policy acts once a value."""

import secrets
import threading
from functools import partial

import pytest
from audit_house import AUDIT_KEY, sign
from keys_house import MASTER_SECRET, Clock
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from logboom.accounts.repository import AccountRepository
from logboom.audit.chain import one_key
from logboom.audit.event import Action, EventFilter
from logboom.audit.repository import AuditLog
from logboom.database.engine import open_database, writing
from logboom.database.migrate import migrate
from logboom.errors import Unavailable
from logboom.keys.change import SYSTEM
from logboom.keys.key import KeyKind, KeyState, NewKey, Reveal
from logboom.keys.keyring import Keyring
from logboom.keys.keys import Keys
from logboom.keys.leak import DAY_MS, LEAKS_UNWRITTEN_MAX
from logboom.keys.leaks import Leaks
from logboom.keys.policies import Policies
from logboom.keys.policy import OnLeak
from logboom.keys.redaction import Source
from logboom.keys.repository import KeyRepository
from logboom.keys.scan import Scanner
from logboom.keys.vault import Vault
from logboom.limits import LEAK_HOLD_MS, LEAK_OVERLAP_MS, LEAK_PLACES_MAX, TOMBSTONE_MS
from logboom.records import KeyRecords

FINDS = 200


class LeaksHouse:
    """One server; two on one URL share what they know by the database alone."""

    def __init__(self, url, clock=None):
        self.clock = clock or Clock()
        self.engine = open_database(url)
        migrate(self.engine)
        vault = Vault(MASTER_SECRET, random_bytes=secrets.token_bytes)
        self.audit = AuditLog(self.engine, one_key(partial(sign, AUDIT_KEY)), self.clock)
        self.audit.begin()
        records = KeyRecords(
            self.audit, now_ms=self.clock, now_s=lambda: 0.0, woken=threading.Event(), on_dropped=pytest.fail
        )
        self.accounts = AccountRepository(self.engine, now_ms=self.clock, random_hex=secrets.token_hex)
        self.keyring = Keyring(vault)
        times = {"now_ms": self.clock, "random_hex": secrets.token_hex}
        repository = KeyRepository(self.engine, vault)
        self.keys = Keys(repository, self.keyring, vault, **times, on_change=records.record_change)
        self.policies = Policies(self.engine, now_ms=self.clock)
        self.leaks = Leaks(
            self.engine,
            Scanner(self.keyring.find_holders),
            self.keys,
            self.policies,
            record=records.record_leak,
            is_answered=records.is_leak_answered,
            redacted=Counter("redacted", "", ["kind"], registry=CollectorRegistry()),
            now_ms=self.clock,
        )

    def create(self, account_id, **members):
        return self.keys.create_key(account_id, NewKey(kind=KeyKind.SERVICE, **members), actor=SYSTEM)

    def find(self, key, *, app="api", host="h", account_id=None):
        """The value of *key* stands in a line."""
        (caller,) = self.keyring.find_holders([key.value.encode()]).values()
        self.leaks.found(caller, Source(account_id=account_id or key.account_id, app=app, host=host))

    def counts(self, key):
        known = self.leaks.repository.list_leaks(key.account_id, key.id)
        return {(leak.app, leak.host): leak.tally.count for leak in known}

    def told(self, key, action=Action.KEY_LEAKED):
        wanted = EventFilter(actions=(action,), subject_id=key.id, oldest_first=True)
        return [row.event for row in self.audit.list_events(key.account_id, wanted)]

    def state(self, key):
        return self.keys.get(key.account_id, key.id).state


@pytest.fixture
def house(database_url):
    house = LeaksHouse(database_url)
    house.account_id = house.accounts.create().id
    house.key = house.create(house.account_id)
    yield house
    house.engine.dispose()


def set_policy(house, policy):
    house.policies.change(house.account_id, {"on_leak_service": policy}, actor=SYSTEM)


def test_counts_add_up_and_each_place_is_told_once_a_day(house):
    first_ms = house.clock()
    for _ in range(3):
        house.find(house.key)
        house.find(house.key, host="other")
        house.leaks.flush()
        house.clock.now_ms += 1000
    assert house.counts(house.key) == {("api", "h"): 3, ("api", "other"): 3}
    assert sorted(event.after["host"] for event in house.told(house.key)) == ["h", "other"]
    (leak, _) = house.leaks.repository.list_leaks(house.account_id, house.key.id)
    assert (leak.tally.first_ms, leak.tally.last_ms) == (first_ms, first_ms + 2000)
    house.clock.now_ms += DAY_MS
    house.find(house.key)
    house.leaks.flush()
    assert len(house.told(house.key)) == 3
    newest = house.leaks.repository.list_leaks(house.account_id, house.key.id)[0]
    assert (newest.day_ms, newest.tally.count) == (house.clock() // DAY_MS * DAY_MS, 1)


def test_places_beyond_what_is_kept_are_counted_together(house):
    for number in range(LEAK_PLACES_MAX + 20):
        house.find(house.key, host=f"h{number}")
        if number % 50 == 0:
            house.leaks.flush()
    house.leaks.flush()
    counts = house.counts(house.key)
    assert (len(counts), counts["", ""]) == (LEAK_PLACES_MAX + 1, 20)
    assert len(house.told(house.key)) == LEAK_PLACES_MAX + 1


def test_memory_is_bounded_until_places_are_written(house):
    for number in range(LEAKS_UNWRITTEN_MAX + 50):
        house.find(house.key, host=f"h{number}")
    house.leaks.flush()
    assert sum(house.counts(house.key).values()) == LEAKS_UNWRITTEN_MAX + 50
    assert ("", "") in house.counts(house.key)
    assert len(house.counts(house.key)) <= LEAK_PLACES_MAX + 1


def test_names_that_a_database_refuses_are_kept_as_far_as_it_takes_them(house):
    house.find(house.key, app="a\0b" + "c" * 300, host="\ud800")
    house.leaks.flush()
    assert house.counts(house.key) == {("ab" + "c" * 252, "?"): 1}


def test_lines_of_another_account_are_counted_without_their_place(house):
    foreign = house.accounts.create().id
    house.find(house.key, account_id=foreign, app="secret", host="secret")
    house.leaks.flush()
    (leak,) = house.leaks.repository.list_leaks(house.account_id, house.key.id)
    assert (leak.app, leak.host, leak.is_own) == ("", "", False)
    (event,) = house.told(house.key)
    assert foreign not in str(event)
    assert "secret" not in str(event)
    assert house.leaks.repository.list_leaks(foreign, house.key.id) == []


def test_what_cannot_be_written_is_written_later(house):
    set_policy(house, OnLeak.HOLD)
    with writing(house.engine) as connection:
        connection.execute(text("ALTER TABLE key_leaks RENAME TO elsewhere"))
    house.find(house.key)
    with pytest.raises((Unavailable, ProgrammingError)):
        house.leaks.flush()
    assert house.state(house.key) is KeyState.ACTIVE
    with writing(house.engine) as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO key_leaks"))
    house.find(house.key)
    house.leaks.flush()
    assert house.counts(house.key) == {("api", "h"): 2}
    assert len(house.told(house.key)) == 1
    assert house.state(house.key) is KeyState.HELD


def test_the_thread_writes_by_itself_and_at_the_end(house):
    set_policy(house, OnLeak.DISABLE)
    house.leaks.start()
    house.find(house.key)
    house.leaks.stop()
    assert house.counts(house.key) == {("api", "h"): 1}
    assert house.state(house.key) is KeyState.DISABLED


def test_servers_that_find_the_same_count_it_together(database_url):
    clock = Clock()
    servers = [LeaksHouse(database_url, clock) for _ in range(3)]
    account_id = servers[0].accounts.create().id
    keys = [servers[0].create(account_id) for _ in range(4)]
    servers[0].policies.change(account_id, {"on_leak_service": OnLeak.ROTATE}, actor=SYSTEM)
    for server in servers:
        server.keys.load()

    def find_all(server):
        for number in range(FINDS):
            server.find(keys[number % len(keys)], host=f"h{number % 3}")
            if number % 20 == 0:
                server.leaks.flush()
        server.leaks.flush()

    threads = [threading.Thread(target=find_all, args=[server]) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(sum(servers[0].counts(key).values()) for key in keys) == len(servers) * FINDS
    for key in keys:
        assert len(servers[0].told(key)) == len(servers[0].counts(key)) == 3
        assert servers[0].keys.get(account_id, key.id).generation == 2
    for server in servers:
        server.engine.dispose()


# -- what the policy says ----------------------------------------------------------------------------------------------


def test_hold_holds_for_an_hour_and_never_again_for_the_same_value(house, database_url):
    set_policy(house, OnLeak.HOLD)
    house.find(house.key)
    house.leaks.flush()
    assert house.keys.get(house.account_id, house.key.id).held_until_ms == house.clock() + LEAK_HOLD_MS
    house.keys.release(house.account_id, house.key.id, actor=SYSTEM)
    restarted = LeaksHouse(database_url, house.clock)
    restarted.keys.load()
    for server in (house, restarted):
        server.find(house.key)
        server.leaks.flush()
    assert house.state(house.key) is KeyState.ACTIVE
    rotated = house.keys.rotate(house.account_id, house.key.id, overlap_ms=0, actor=SYSTEM)
    house.find(rotated)
    house.leaks.flush()
    assert house.state(house.key) is KeyState.HELD
    restarted.engine.dispose()


def test_a_hold_of_a_persons_is_left_alone(house):
    set_policy(house, OnLeak.HOLD)
    held = house.keys.hold(house.account_id, house.key.id, 60_000, actor=SYSTEM)
    house.find(house.key)
    house.leaks.flush()
    assert house.keys.get(house.account_id, house.key.id).held_until_ms == held.held_until_ms
    assert house.counts(house.key) == {("api", "h"): 1}


def test_rotate_rotates_once_with_an_hour(house):
    set_policy(house, OnLeak.ROTATE)
    for _ in range(3):
        house.find(house.key)  # the old value goes on leaking
        house.leaks.flush()
    key = house.keys.get(house.account_id, house.key.id)
    assert (key.generation, key.retiring_until_ms) == (2, house.clock() + LEAK_OVERLAP_MS)
    (event,) = house.told(house.key, Action.KEY_ROTATED)
    assert event.actor.kind.value == "system"


def test_a_key_whose_value_nobody_could_read_is_not_rotated(house):
    key = house.create(house.account_id, reveal=Reveal.NEVER)
    set_policy(house, OnLeak.ROTATE)
    house.find(key)
    house.leaks.flush()
    assert house.keys.get(house.account_id, key.id).generation == 1
    assert house.counts(key) == {("api", "h"): 1}


@pytest.mark.parametrize("policy", [OnLeak.HOLD, OnLeak.ROTATE, OnLeak.DISABLE])
def test_nothing_is_done_to_a_key_because_of_a_value_that_has_ended(house, policy):
    old = house.key
    house.keys.rotate(house.account_id, old.id, overlap_ms=0, actor=SYSTEM)
    set_policy(house, policy)
    house.find(old)
    house.leaks.flush()
    key = house.keys.get(house.account_id, old.id)
    assert (key.state, key.generation) == (KeyState.ACTIVE, 2)


@pytest.mark.parametrize("policy", [OnLeak.HOLD, OnLeak.ROTATE, OnLeak.DISABLE])
def test_a_deleted_key_is_told_of_and_stays_deleted(house, policy):
    set_policy(house, policy)
    house.keys.delete(house.account_id, house.key.id)
    house.find(house.key)
    house.leaks.flush()
    assert house.counts(house.key) == {("api", "h"): 1}
    assert house.keys.get(house.account_id, house.key.id, is_live=False).state is KeyState.DELETED


def test_old_days_are_forgotten(house):
    house.find(house.key)
    house.leaks.flush()
    house.clock.now_ms += TOMBSTONE_MS + DAY_MS
    house.find(house.key)
    house.leaks.flush()
    (leak,) = house.leaks.repository.list_leaks(house.account_id, house.key.id)
    assert leak.day_ms == house.clock() // DAY_MS * DAY_MS
