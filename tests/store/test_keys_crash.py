"""A server that dies between any two statements of a change leaves it undone or whole, never half, on both databases.

The process kills itself at its first statement, at its second, and so on, before and after each commit, until the
change comes to its end. After each death a new server starts, finds a sound state, and does the same again.
"""

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
from audit_house import AUDIT_KEY, NOW_MS, make_records, open_audit_log, sign
from keys_house import KeysHouse, open_keys_house
from sqlalchemy import event, select

from logboom.audit.chain import one_key
from logboom.audit.repository import AuditLog
from logboom.database.engine import open_database, reading
from logboom.database.tables import key_values, keyring_state, keys
from logboom.errors import KeyLimitReached, NotFound
from logboom.keys.answers import Once
from logboom.keys.change import SYSTEM
from logboom.keys.key import Key, KeyKind, KeyState, NewKey

PATIENCE_S = 60
HOUR_MS = 3_600_000
ONCE = Once(name="deploy-17", request=b"the same")
IMPORTS = ["pytest", "psycopg", "sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.dialects.sqlite.pysqlite"]
IMPORTS += ["keys_house", "audit_house", "logboom.records"]


@dataclass(frozen=True)
class Place:
    """What is there before the change: an account, the key that is to change, and all values that were told."""

    account_id: str
    key_id: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Stand:
    """What the database says: rows of the account, the number of the newest change, the length of the audit log."""

    rows: tuple[tuple[object, ...], ...]
    seq: int
    audited: int


# -- the changes, as a process does them ------------------------------------------------------------------------------


def create(house: KeysHouse, place: Place) -> Key:
    return house.keys.create(place.account_id, KeyKind.INGESTION)


def create_once(house: KeysHouse, place: Place) -> Key:
    return house.keys.create_key(place.account_id, NewKey(kind=KeyKind.INGESTION), actor=SYSTEM, once=ONCE)


def rotate(house: KeysHouse, place: Place) -> Key:
    return house.keys.rotate(place.account_id, place.key_id, overlap_ms=HOUR_MS, actor=SYSTEM)


def rotate_once(house: KeysHouse, place: Place) -> Key:
    return house.keys.rotate(place.account_id, place.key_id, overlap_ms=HOUR_MS, actor=SYSTEM, once=ONCE)


def hold(house: KeysHouse, place: Place) -> Key:
    return house.keys.hold(place.account_id, place.key_id, HOUR_MS, actor=SYSTEM)


def delete(house: KeysHouse, place: Place) -> Key:
    return house.keys.delete(place.account_id, place.key_id)


def die_or_do(url: str, place: Place, change: Callable[[KeysHouse, Place], Key], moment: int) -> None:
    """Do the *change*, but die at the given statement or commit of it."""
    house = open_recording_house(url)
    left = moment

    def pass_by(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(house.engine, "before_cursor_execute", pass_by)
    event.listen(house.engine, "commit", pass_by)  # before the database is told
    event.listen(house.engine, "checkin", pass_by)  # after it has answered, and before anybody else is told
    change(house, place)


# -- what must hold ---------------------------------------------------------------------------------------------------


def old_values_open(house: KeysHouse, place: Place) -> None:
    """What was told before goes on."""
    assert all(house.caller(value) for value in place.values)


def oldest_value_ended(house: KeysHouse, place: Place) -> None:
    """Two values open at most; *values* are a retiring one, if any, and the active one, oldest first."""
    assert house.caller(place.values[-1])
    assert [house.refusal(value) for value in place.values[:-1]] == ["RETIRED"] * (len(place.values) - 1)


def all_held(house: KeysHouse, place: Place) -> None:
    assert {house.refusal(value) for value in place.values} == {"HELD"}


def all_deleted(house: KeysHouse, place: Place) -> None:
    assert {house.refusal(value) for value in place.values} == {"DELETED"}


def adds_another(house: KeysHouse, place: Place, *, is_done: bool) -> None:
    live = len(house.keys.list_keys(place.account_id))
    if live == KeyKind.INGESTION.keys_max:
        with pytest.raises(KeyLimitReached):
            create(house, place)
    else:
        assert house.caller(create(house, place).value or "")


def adds_one_in_all(house: KeysHouse, place: Place, *, is_done: bool) -> None:
    """Whoever was not answered asks again, and gets the key that may have been created already."""
    live = len(house.keys.list_keys(place.account_id))
    key = create_once(house, place)
    assert house.caller(key.value or "")
    assert len(house.keys.list_keys(place.account_id)) == live + (not is_done)


def rotates_again(house: KeysHouse, place: Place, *, is_done: bool) -> None:
    generation = house.keys.get(place.account_id, place.key_id).generation
    key = rotate(house, place)
    assert key.generation == generation + 1
    assert house.caller(key.value or "")


def rotates_once_in_all(house: KeysHouse, place: Place, *, is_done: bool) -> None:
    generation = house.keys.get(place.account_id, place.key_id).generation
    key = rotate_once(house, place)
    assert key.generation == generation + (not is_done)
    assert house.caller(key.value or "")


def holds_again(house: KeysHouse, place: Place, *, is_done: bool) -> None:
    assert hold(house, place).state is KeyState.HELD


def deletes_once(house: KeysHouse, place: Place, *, is_done: bool) -> None:
    if is_done:
        with pytest.raises(NotFound):
            delete(house, place)
    else:
        delete(house, place)
    all_deleted(house, place)


@dataclass(frozen=True)
class Case:
    """A change, how many keys there are before, and what holds once it is done and when it is done again."""

    change: Callable[[KeysHouse, Place], Key]
    before: int
    done: Callable[[KeysHouse, Place], None]
    again: Callable[..., None]
    is_retiring: bool = False


CASES = {
    "first key": Case(create, 0, old_values_open, adds_another),
    "last key": Case(create, 9, old_values_open, adds_another),
    "key once": Case(create_once, 1, old_values_open, adds_one_in_all),
    "rotation": Case(rotate, 1, old_values_open, rotates_again),
    "second rotation": Case(rotate, 1, oldest_value_ended, rotates_again, is_retiring=True),
    "rotation once": Case(rotate_once, 1, oldest_value_ended, rotates_once_in_all, is_retiring=True),
    "hold": Case(hold, 1, all_held, holds_again),
    "deletion": Case(delete, 1, all_deleted, deletes_once, is_retiring=True),
}


def open_recording_house(url: str) -> KeysHouse:
    """A server that keeps the audit log too, on a database that the `audit` of the test has migrated."""
    log = AuditLog(open_database(url), one_key(partial(sign, AUDIT_KEY)), lambda: NOW_MS)
    records = make_records(log, lambda: NOW_MS)
    return open_keys_house(url, on_change=records.record_change, is_migrated=True)


def prepare(house: KeysHouse, case: Case) -> Place:
    account_id = house.accounts.create().id
    made = [house.keys.create(account_id, KeyKind.INGESTION) for _ in range(case.before)]
    values = [key.value or "" for key in made]
    if case.is_retiring:
        values.append(house.keys.rotate(account_id, made[0].id, overlap_ms=HOUR_MS, actor=SYSTEM).value or "")
    return Place(account_id=account_id, key_id=made[0].id if made else "", values=tuple(values))


def look(house: KeysHouse, audit: AuditLog, place: Place) -> Stand:
    of_account = select(keys, key_values).join(key_values).where(keys.c.account_id == place.account_id)
    with reading(house.engine) as connection:
        rows = connection.execute(of_account.order_by(keys.c.number, key_values.c.generation)).all()
        seq = connection.execute(select(keyring_state.c.seq)).scalar_one()
    return Stand(rows=tuple(map(tuple, rows)), seq=seq, audited=len(list(audit.export(place.account_id))))


def check_bounds(house: KeysHouse, place: Place) -> None:
    live = house.keys.list_keys(place.account_id)
    assert len(live) <= KeyKind.INGESTION.keys_max
    with reading(house.engine) as connection:
        rows = connection.execute(
            select(key_values.c.key_id, key_values.c.state).join(keys).where(keys.c.account_id == place.account_id)
        ).all()
    for key in live:
        states = Counter(row.state for row in rows if row.key_id == key.id)
        assert states["active"] == 1
        assert states["retiring"] <= 1
    assert {row.key_id for row in rows if row.state != "dead"} == {key.id for key in live}


@pytest.fixture(scope="module")
def processes():
    """Processes forked from a clean one that has the imports done."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTS)
    return context


@pytest.fixture
def house(database_url, audit):
    house = open_recording_house(database_url)
    yield house
    house.engine.dispose()


@pytest.fixture
def audit(database_url):
    audit = open_audit_log(database_url)
    yield audit
    audit._engine.dispose()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_death_between_any_two_statements(database_url, house, audit, processes, case):
    outcomes: Counter[str] = Counter()
    while not outcomes["came to its end"]:
        place = prepare(house, case)
        before = look(house, audit, place)
        runner = processes.Process(target=die_or_do, args=(database_url, place, case.change, 1 + outcomes.total()))
        runner.start()
        runner.join(PATIENCE_S)
        assert runner.exitcode in (0, -signal.SIGKILL)

        after = look(house, audit, place)
        is_done = after.rows != before.rows
        assert (after.seq - before.seq, after.audited - before.audited) == (int(is_done),) * 2
        check_next_server(database_url, place, case, is_done=is_done)
        outcomes["came to its end" if runner.exitcode == 0 else "whole" if is_done else "undone"] += 1
    assert is_done
    assert outcomes["undone"] >= 8
    assert outcomes["whole"] == 1  # died between the commit and the answer
    assert audit.verify().ok


def check_next_server(url: str, place: Place, case: Case, *, is_done: bool) -> None:
    """Start the next server on what the dead one has left, and let it do the same again."""
    server = open_recording_house(url)
    assert server.keys.load() == ()
    check_bounds(server, place)
    (case.done if is_done else old_values_open)(server, place)
    case.again(server, place, is_done=is_done)
    check_bounds(server, place)
    server.engine.dispose()
