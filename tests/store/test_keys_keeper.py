"""What time does to keys, done once by however many servers, on both databases. Evidence: keys.md 5.4, 5.7, 5.8."""

import secrets
import threading

import pytest
from audit_house import make_records
from keys_house import MASTER_SECRET, open_keys_house
from sqlalchemy import select, text

from logboom.audit.event import Action, EventFilter
from logboom.audit.repository import AuditLog
from logboom.database.engine import reading, writing
from logboom.database.tables import audit_events
from logboom.keys.change import SYSTEM, KeyAction
from logboom.keys.due import Due
from logboom.keys.expiry import DAY_MS
from logboom.keys.keeper import TOLD_WITHIN_MS, Clock, Keeper
from logboom.keys.key import KeyKind, NewKey
from logboom.keys.policies import Policies
from logboom.keys.repository import KeyRepository
from logboom.keys.usage import HOUR_MS
from logboom.keys.usage_flush import UsageFlush
from logboom.keys.usage_repository import UsageRepository
from logboom.keys.vault import Vault

SERVERS = 4
IDLE_MS = 3 * HOUR_MS


class Server:
    """One of several servers on a database; their clocks go together."""

    def __init__(self, url, clock=None):
        self.monotonic_s = 0.0
        self.house = open_keys_house(url, clock=clock, on_change=self.record)
        engine, now_ms = self.house.engine, self.house.clock
        vault = Vault(MASTER_SECRET, random_bytes=secrets.token_bytes)
        self.audit = AuditLog(engine, vault.audit_keys, now_ms)
        self.audit.begin()
        self.records = make_records(self.audit, now_ms)
        self.usage = UsageRepository(engine)
        self.flush = UsageFlush(self.usage, random=lambda: 0.0)
        self.due = Due(self.house.keys, KeyRepository(engine, vault), now_ms=now_ms)
        self.keeper = Keeper(
            self.due,
            self.usage,
            self.flush,
            Clock(now_ms, lambda: self.monotonic_s),
            now_ms=now_ms,
            on_clock_step=self.records.record_clock_step,
        )

    def record(self, connection, change):
        self.house.changes.append(change)
        self.records.record_change(connection, change)

    def use(self, key_id, generation=1):
        now_ms = self.house.clock()
        self.flush.counters.opened(
            (key_id, generation, "a", "b", "c", "header", "logs", now_ms - now_ms % HOUR_MS), now_ms
        )
        self.flush.flush()

    def actions(self):
        return [change.action for change in self.house.changes]


@pytest.fixture
def server(database_url):
    server = Server(database_url)
    yield server
    server.house.engine.dispose()


@pytest.fixture
def account_id(server):
    return server.house.accounts.create().id


def create(server, account_id, **members):
    return server.house.keys.create_key(account_id, NewKey(kind=KeyKind.INGESTION, **members), actor=SYSTEM)


def wait(server, ms):
    server.house.clock.now_ms += ms
    server.monotonic_s += ms / 1000


# -- expiry ------------------------------------------------------------------------------------------------------------


def test_a_key_is_warned_of_once_for_each_threshold_by_however_many_servers(server, account_id, database_url):
    key = create(server, account_id, expires_at_ms=server.house.clock() + 40 * DAY_MS)
    servers = [server, *(Server(database_url, clock=server.house.clock) for _ in range(SERVERS - 1))]
    for days in (11, 6, 17, 1, 4, 2):  # 29, 23, 6, 5, 1, and over
        wait(server, days * DAY_MS)
        together = threading.Barrier(SERVERS)

        def keep(one, together=together):
            together.wait()
            one.keeper.keep()

        threads = [threading.Thread(target=keep, args=(one,)) for one in servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    events = server.audit.list_events(account_id, EventFilter(actions=(Action.KEY_EXPIRING,)))
    assert [row.event.after["days"] for row in reversed(events)] == [30, 7, 1]
    assert [row.event.actor.kind.value for row in events] == ["system"] * 3
    assert {row.event.subject_id for row in events} == {key.id}
    for other in servers[1:]:
        other.house.engine.dispose()


def test_another_expiry_is_warned_of_anew_and_a_deleted_key_is_not(server, account_id):
    key = create(server, account_id, expires_at_ms=server.house.clock() + 40 * DAY_MS)
    gone = create(server, account_id, expires_at_ms=server.house.clock() + 40 * DAY_MS)
    wait(server, 35 * DAY_MS)
    server.house.keys.delete(account_id, gone.id)
    server.keeper.keep()
    assert server.house.keys.get(account_id, key.id).expiry_warned_days == 7
    server.house.keys.edit(account_id, key.id, {"expires_at_ms": server.house.clock() + 20 * DAY_MS}, actor=SYSTEM)
    assert server.house.keys.get(account_id, key.id).expiry_warned_days is None
    server.keeper.keep()
    server.keeper.keep()
    assert server.actions().count(KeyAction.EXPIRING) == 2
    assert server.house.caller(key.value)


# -- overlaps ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def rotated(server, account_id):
    """A key in an overlap whose old value was used, in an account that ends idle ones."""
    Policies(server.house.engine, now_ms=server.house.clock).change(
        account_id, {"overlap_idle_ms": IDLE_MS}, actor=SYSTEM
    )
    key = create(server, account_id)
    server.use(key.id)
    server.house.keys.rotate(account_id, key.id, overlap_ms=10 * DAY_MS, actor=SYSTEM)
    return key


def is_old_value_open(server, key):
    server.keeper.keep()
    return server.house.caller(key.value) is not None


def test_an_idle_old_value_ends_early_once_the_new_one_is_used(server, rotated):
    wait(server, 3 * DAY_MS)
    assert is_old_value_open(server, rotated)  # nobody uses the new one
    server.use(rotated.id, generation=2)
    assert is_old_value_open(server, rotated)  # somebody has just begun to
    wait(server, IDLE_MS)
    assert is_old_value_open(server, rotated)  # another server may not have told yet
    wait(server, TOLD_WITHIN_MS)
    assert not is_old_value_open(server, rotated)
    assert server.house.refusal(rotated.value) == "RETIRED"
    assert server.actions()[-1] is KeyAction.RETIRED


def test_an_old_value_that_is_used_goes_on(server, rotated):
    server.use(rotated.id, generation=2)
    for _ in range(3):
        wait(server, IDLE_MS)
        server.use(rotated.id)
        assert is_old_value_open(server, rotated)


def test_without_a_policy_an_overlap_goes_on_to_its_end(server, account_id):
    key = create(server, account_id)
    server.house.keys.rotate(account_id, key.id, overlap_ms=10 * DAY_MS, actor=SYSTEM)
    server.use(key.id, generation=2)
    wait(server, 9 * DAY_MS)
    assert is_old_value_open(server, key)
    wait(server, DAY_MS)
    server.keeper.keep()
    assert server.actions()[-1] is KeyAction.RETIRED


def test_a_rotation_in_between_keeps_what_was_decided_from_harming_the_next_overlap(server, account_id, rotated):
    (overlap,) = server.due.overlaps_that_may_end()
    server.house.keys.rotate(account_id, rotated.id, overlap_ms=DAY_MS, actor=SYSTEM)
    server.due.end_idle_overlap(overlap)
    assert server.house.keys.get(account_id, rotated.id).retiring_until_ms is not None


# -- the clock, old hours, and trouble ---------------------------------------------------------------------------------


def clock_steps(server):
    with reading(server.house.engine) as connection:
        steps = select(audit_events.c.account_id, audit_events.c.after).where(
            audit_events.c.action == Action.CLOCK_STEPPED.value
        )
        return [tuple(row) for row in connection.execute(steps)]


def test_a_clock_that_is_put_back_is_told_of_once(server):
    server.keeper.keep()
    server.house.clock.now_ms -= 5_000
    server.keeper.keep()
    assert clock_steps(server) == []
    server.house.clock.now_ms -= 5_001
    server.keeper.keep()
    server.keeper.keep()
    ((account_id, after),) = clock_steps(server)
    assert account_id is None
    assert '"back_ms":5001' in after.replace(" ", "")


def test_hours_are_forgotten_after_400_days(server, account_id):
    key = create(server, account_id)
    server.use(key.id)
    wait(server, 399 * DAY_MS)
    server.keeper.keep()
    assert server.usage.hours(account_id, key.id, from_ms=0, to_ms=server.house.clock())
    wait(server, 2 * DAY_MS)
    server.keeper.keep()
    assert not server.usage.hours(account_id, key.id, from_ms=0, to_ms=server.house.clock())


def test_what_fails_keeps_no_other_duty_from_being_done_and_is_done_later(server, account_id):
    key = create(server, account_id, expires_at_ms=server.house.clock() + 40 * DAY_MS)
    wait(server, 35 * DAY_MS)
    server.house.clock.now_ms -= 6_000
    with writing(server.house.engine) as connection:
        connection.execute(text("ALTER TABLE audit_head RENAME TO elsewhere"))
    server.keeper.keep()
    assert server.house.keys.get(account_id, key.id).expiry_warned_days is None
    with writing(server.house.engine) as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO audit_head"))
    server.keeper.keep()
    assert server.house.keys.get(account_id, key.id).expiry_warned_days == 7
    assert len(clock_steps(server)) == 1
