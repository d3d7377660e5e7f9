"""The use of keys on both databases: sums are exact whoever writes, and the newest users stay."""

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from keys_house import open_keys_house
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import ProgrammingError

from logboom.database.engine import reading, writing
from logboom.database.tables import key_leaks, key_usage, key_users, keys
from logboom.errors import Unavailable
from logboom.keys.key import KeyKind
from logboom.keys.usage import HOUR_MS, Counts, Hour, HourCount, User, UserCount
from logboom.keys.usage_flush import UsageFlush
from logboom.keys.usage_repository import ALONE, DAY_MS, SignsKept, UsageRepository

HOUR = 1_700_000_000_000 // HOUR_MS * HOUR_MS
WRITERS, ROUNDS = 4, 10


class UsageHouse:
    """An account with keys, and what keeps their use."""

    def __init__(self, url):
        self.house = open_keys_house(url)
        self.account_id = self.house.accounts.create().id
        self.repository = UsageRepository(self.house.engine)

    def create_key(self):
        return self.house.keys.create(self.account_id, KeyKind.INGESTION).id

    def user(self, key_id, **members):
        return User(key_id, 1, "10.0.0.1", "curl/8", "web-1", "header", "logs")._replace(**members)

    def add(self, user, at_ms=HOUR, requests=1):
        hour = {Hour(user.key_id, user.generation, HOUR): HourCount(requests=requests, lines=2, bytes=9)}
        self.repository.add(Counts(hour, {user: UserCount(requests, 0, 2, at_ms, at_ms)}))

    def users(self, key_id):
        return self.repository.users(self.account_id, key_id)

    def url_seen_ms(self, key_id):
        with reading(self.house.engine) as connection:
            return connection.execute(select(keys.c.url_seen_ms).where(keys.c.id == key_id)).scalar_one()


@pytest.fixture
def usage(database_url):
    usage = UsageHouse(database_url)
    yield usage
    usage.house.engine.dispose()


def test_counts_add_up(usage):
    key_id = usage.create_key()
    usage.add(usage.user(key_id), at_ms=HOUR + 5)
    usage.add(usage.user(key_id), at_ms=HOUR + 1, requests=3)
    hours = usage.repository.hours(usage.account_id, key_id, from_ms=HOUR, to_ms=HOUR)
    assert hours == {Hour(key_id, 1, HOUR): HourCount(requests=4, lines=4, bytes=18)}
    (kept,) = usage.users(key_id)
    assert kept.user == usage.user(key_id)
    assert (kept.seen.requests, kept.seen.first_ms, kept.seen.last_ms) == (4, HOUR + 1, HOUR + 5)
    assert usage.house.keys.get(usage.account_id, key_id).last_used_ms == HOUR + 5


def test_hours_are_told_of_the_range_only_and_forgotten_when_old(usage):
    key_id = usage.create_key()
    usage.add(usage.user(key_id))
    assert usage.repository.hours(usage.account_id, key_id, from_ms=HOUR + 1, to_ms=HOUR + HOUR_MS) == {}
    usage.repository.forget_hours(HOUR)
    assert len(usage.repository.hours(usage.account_id, key_id, from_ms=0, to_ms=HOUR)) == 1
    usage.repository.forget_hours(HOUR + 1)
    assert usage.repository.hours(usage.account_id, key_id, from_ms=0, to_ms=HOUR) == {}


def test_another_account_sees_nothing(usage):
    key_id, other = usage.create_key(), usage.house.accounts.create().id
    usage.add(usage.user(key_id))
    assert usage.repository.users(other, key_id) == []
    assert usage.repository.hours(other, key_id, from_ms=0, to_ms=HOUR) == {}


def test_the_newest_twenty_users_of_each_of_three_values_are_kept(usage):
    key_id = usage.create_key()
    for generation in (1, 2, 3, 5):
        for number in range(25):
            usage.add(usage.user(key_id, generation=generation, host=f"host-{number}"), at_ms=HOUR + number)
    kept = [(found.user.generation, found.user.host) for found in usage.users(key_id)]
    assert sorted(kept) == sorted((generation, f"host-{number}") for generation in (2, 3, 5) for number in range(5, 25))


def test_what_cannot_be_kept_as_it_is_stands_in_nobodys_way(usage):
    key_id = usage.create_key()
    strange = usage.user(key_id, host="a\0b", agent="\x85é" * 100, address="f" * 64)
    usage.add(strange)
    usage.add(usage.user("f" * 24))  # a key that is not there, as after an older database was put back
    assert [found.user.host for found in usage.users(key_id)] == ["ab"]


def test_a_key_seen_in_an_address_is_marked_once_a_day_without_a_new_revision(usage):
    key_id = usage.create_key()
    revision = usage.house.keys.get(usage.account_id, key_id).revision
    in_address = usage.user(key_id, carrier="address")
    usage.add(usage.user(key_id))
    assert usage.url_seen_ms(key_id) is None
    for at_ms in (HOUR, HOUR + 1, HOUR + DAY_MS + 2):
        usage.add(in_address, at_ms=at_ms)
        UsageRepository(usage.house.engine).add(Counts({}, {in_address: UserCount(1, 0, 0, at_ms, at_ms)}))
        assert usage.url_seen_ms(key_id) == HOUR + (DAY_MS + 2) * (at_ms > HOUR + 1)
    assert usage.house.keys.get(usage.account_id, key_id).revision == revision


def test_many_processes_write_at_once(usage, database_url):
    key_ids = [usage.create_key() for _ in range(5)]
    script = Path(__file__).with_name("usage_writer.py")
    writers = [
        subprocess.Popen(
            [sys.executable, script, database_url, str(seed), str(ROUNDS), *key_ids], stderr=subprocess.PIPE
        )
        for seed in range(WRITERS)
    ]
    errors = [writer.communicate(timeout=120)[1].decode() for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * WRITERS, errors
    with reading(usage.house.engine) as connection:
        sums = connection.execute(
            select(key_usage.c.key_id, func.sum(key_usage.c.requests)).group_by(key_usage.c.key_id)
        )
        assert dict(tuple(row) for row in sums) == dict.fromkeys(key_ids, WRITERS * ROUNDS * 30)
        rows = select(key_users.c.key_id, key_users.c.generation, func.count()).group_by(
            key_users.c.key_id, key_users.c.generation
        )
        kept = {tuple(row) for row in connection.execute(rows)}
    assert {row[0] for row in kept} == set(key_ids)
    assert max(row[2] for row in kept) == 20
    # One user is used by every writer; what it did adds up whoever wrote it.
    shared = next(found for found in usage.users(key_ids[0]) if found.user.generation == 1)
    assert shared.seen.requests == WRITERS * ROUNDS * 15


def test_a_write_that_fails_keeps_the_counts(usage):
    key_id = usage.create_key()
    outcomes = []
    flush = UsageFlush(usage.repository, random=lambda: 0.0, on_written=outcomes.append)
    use = (*usage.user(key_id), HOUR)
    with writing(usage.house.engine) as connection:
        connection.execute(text("ALTER TABLE key_usage RENAME TO elsewhere"))
    flush.counters.opened(use, HOUR)
    with pytest.raises((Unavailable, ProgrammingError)):
        flush.flush()
    with writing(usage.house.engine) as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO key_usage"))
    flush.counters.opened(use, HOUR + 1)
    flush.flush()
    flush.flush()
    assert outcomes == [False, True]
    hours = usage.repository.hours(usage.account_id, key_id, from_ms=HOUR, to_ms=HOUR)
    assert hours == {Hour(key_id, 1, HOUR): HourCount(requests=2)}


def test_what_fails_in_the_thread_is_written_by_it_later(usage):
    key_id = usage.create_key()
    outcomes = []
    flush = UsageFlush(usage.repository, random=lambda: 0.0, on_written=outcomes.append)
    with writing(usage.house.engine) as connection:
        connection.execute(text("ALTER TABLE key_usage RENAME TO elsewhere"))
    flush.start()
    flush.counters.opened((*usage.user(key_id), HOUR), HOUR)
    wait_until(lambda: outcomes == [False])
    with writing(usage.house.engine) as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO key_usage"))
    flush.counters.opened((*usage.user(key_id, host="another"), HOUR), HOUR)
    wait_until(lambda: outcomes == [False, True])
    flush.counters.opened((*usage.user(key_id), HOUR), HOUR + 1)
    flush.stop()
    assert usage.repository.hours(usage.account_id, key_id, from_ms=HOUR, to_ms=HOUR) == {
        Hour(key_id, 1, HOUR): HourCount(requests=3)
    }


def wait_until(holds):
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_server_that_stops_in_the_middle_of_a_write_holds_up_nobody_for_long(postgresql_url):
    usage = UsageHouse(postgresql_url)
    key_id = usage.create_key()
    with usage.house.engine.connect() as stopped:
        for statement in ALONE:
            stopped.execute(statement)
        began = time.monotonic()
        for _ in range(2):  # the first may give up just before the database ends the stopped one
            with suppress(Unavailable):
                usage.add(usage.user(key_id))
        assert time.monotonic() - began < 15
        assert len(usage.users(key_id)) == 1
        stopped.invalidate()
    usage.house.engine.dispose()


def test_signs_are_those_of_the_accounts_live_keys(usage):
    key_id, other_id, gone_id = (usage.create_key() for _ in range(3))
    usage.house.keys.delete(usage.account_id, gone_id)
    place = {"account_id": usage.account_id, "app": "", "host": "", "day_ms": 0, "first_ms": 1, "count": 1}
    with writing(usage.house.engine) as connection:
        for last_ms in (7, 9):
            row = {"key_id": key_id, "place_digest": bytes([last_ms]), "last_ms": last_ms} | place
            connection.execute(insert(key_leaks).values(row))
    usage.add(usage.user(other_id, carrier="address"), at_ms=HOUR)
    assert usage.repository.signs(usage.account_id) == {
        key_id: SignsKept(url_seen_ms=None, leaked_ms=9, rotated_ms=None),
        other_id: SignsKept(url_seen_ms=HOUR, leaked_ms=None, rotated_ms=None),
    }
    assert usage.repository.signs(usage.house.accounts.create().id) == {}
