"""Rotating pepper and KEK under living keys, on both databases: nothing is refused, nothing is left behind."""

import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from keys_house import MASTER_SECRET
from rotation_house import ROTATED, UNROTATED, Server
from sqlalchemy import select, text, update

from logboom.database.engine import reading, writing
from logboom.database.tables import data_keys, key_values, keys
from logboom.errors import NotFound, SecretOutdated, ValidationFailed
from logboom.keys.answers import Once
from logboom.keys.change import SYSTEM
from logboom.keys.key import KeyKind, NewKey, Reveal
from logboom.keys.secret_text import Purpose, Version
from logboom.keys.vault import Vault
from logboom.keys.versions import StoredChecks


@pytest.fixture
def servers():
    made = []
    yield made
    for server in made:
        server.engine.dispose()


@pytest.fixture
def new_server(database_url, servers):
    def make(secret=ROTATED):
        servers.append(Server(database_url, secret))
        return servers[-1]

    return make


@pytest.fixture
def server(new_server):
    return new_server()


@pytest.fixture
def account_id(server):
    return server.accounts.create().id


def test_every_kept_value_moves_and_opens_all_the_time(server, account_id, new_server):
    made = [server.create(account_id) for _ in range(5)]
    other = new_server()
    other.keys.load()
    server.begin()
    for house in (server, other):
        house.keys.catch_up()
        assert all(house.admits(key) for key in made)
    assert server.digest_anew() == (5, 0)
    assert server.pepper_versions() == {2: 5}
    for house in (server, other):
        house.keys.catch_up()
        assert all(house.admits(key) for key in made)
        assert {key.value for key in house.keys.list_keys(account_id)} == {key.value for key in made}
    assert server.digest_anew() == (0, 0)


def test_both_values_of_an_overlap_move(server, account_id):
    made = server.create(account_id)
    rotated = server.keys.rotate(account_id, made.id, actor=SYSTEM)
    server.begin()
    assert server.digest_anew() == (2, 0)
    server.keys.catch_up()
    assert server.admits(made)
    assert server.admits(rotated)


def test_new_values_use_the_new_pepper(server, account_id):
    server.begin()
    made = server.create(account_id)
    assert server.pepper_versions() == {2: 1}
    assert server.admits(made)


def test_a_value_that_is_not_kept_moves_at_its_next_use(server, account_id):
    made = server.create(account_id, Reveal.NEVER)
    server.begin()
    server.keys.catch_up()
    assert server.digest_anew() == (0, 1)
    with reading(server.engine) as connection:
        (waiting,) = server.rotation.waiting(connection)
    assert (waiting.key_id, waiting.is_active, waiting.is_altered) == (made.id, True, False)
    assert server.admits(made)
    (older,) = server.older
    assert made.value not in repr(older)
    assert server.rotation.digest_used([older]).moved == 1
    server.keys.catch_up()
    server.older.clear()
    assert server.admits(made)
    assert (server.pepper_versions(), server.older) == ({2: 1}, [])


def test_a_digest_that_was_handed_over_late_or_for_another_row_changes_nothing(server, account_id):
    made, other = server.create(account_id, Reveal.NEVER), server.create(account_id, Reveal.NEVER)
    server.begin()
    server.keys.catch_up()
    assert server.admits(made)
    (older,) = server.older
    assert server.rotation.digest_used([replace(older, key_id=other.id)]).moved == 0
    assert server.rotation.digest_used([replace(older, newer_version=3)]).moved == 0
    server.keys.delete(account_id, made.id)
    assert server.rotation.digest_used([older]).moved == 0
    assert server.pepper_versions() == {1: 1}


def test_a_value_is_taken_whatever_pepper_it_is_stored_under(server, account_id):
    live, gone = server.create(account_id), server.create(account_id)
    server.keys.delete(account_id, gone.id)
    server.begin()
    for value in (live.value, gone.value):
        with pytest.raises(ValidationFailed):
            server.keys.import_key(account_id, NewKey(kind=KeyKind.INGESTION), value, actor=SYSTEM)
        with pytest.raises(ValidationFailed):
            server.keys.create(account_id, KeyKind.SERVICE, value=value)
    server.digest_anew()
    with pytest.raises(ValidationFailed):
        server.keys.create(account_id, KeyKind.SERVICE, value=live.value)


def test_an_ended_value_is_named_until_its_pepper_is_given_up(server, account_id, new_server):
    gone = server.create(account_id)
    server.keys.delete(account_id, gone.id)
    server.begin()
    server.digest_anew()
    server.keys.catch_up()
    assert server.refusal(gone.value) == "DELETED"
    assert server.rotation.forget_ended(None).moved == 1
    assert server.rotation.forget_ended(None).last is None
    server.keys.catch_up()
    assert server.refusal(gone.value) is None
    assert server.keyring._versions == ()
    finished = new_server(ROTATED.without(Purpose.PEPPER, {1}))
    finished.keys.load()
    assert finished.refusal(gone.value) is None
    assert not finished.admits(gone)


def test_own_values_are_found_in_lines_under_both_peppers(server, account_id):
    made, never = server.create(account_id), server.create(account_id, Reveal.NEVER)
    server.begin()
    server.digest_anew()
    server.keys.catch_up()
    values = [key.value.encode() for key in (made, never)]
    found = server.keyring.find_holders([*values, b"f" * 32])
    assert {value: caller.key_id for value, caller in found.items()} == dict(
        zip(values, (made.id, never.id), strict=True)
    )


def test_a_reported_value_is_found_under_the_older_pepper(server, account_id):
    made = server.create(account_id)
    server.begin()
    server.keys.end_exposed(made.value, actor=SYSTEM)
    with pytest.raises(NotFound):
        server.keys.get(account_id, made.id)


def test_altered_rows_stay_and_open_nothing(server, account_id):
    made, other = server.create(account_id), server.create(account_id)
    with writing(server.engine) as connection:
        digest = connection.execute(select(key_values.c.digest).where(key_values.c.key_id == other.id)).scalar_one()
        connection.execute(update(key_values).where(key_values.c.key_id == other.id).values(digest=b"x" * 32))
        connection.execute(update(key_values).where(key_values.c.key_id == made.id).values(digest=digest))
    server.begin()
    batch = server.rotation.digest_anew(None)
    assert (batch.moved, batch.altered) == (0, 2)
    with reading(server.engine) as connection:
        assert [waiting.is_altered for waiting in server.rotation.waiting(connection)] == [True, True]


def test_a_server_without_the_new_pepper_says_so_instead_of_no(server, account_id, new_server):
    made = server.create(account_id)
    behind = new_server(UNROTATED)
    behind.keys.load()
    seen = behind.keys.seen_seq
    server.begin()
    assert behind.keys.catch_up() == seen
    assert behind.admits(made)
    assert behind.keyring.is_blind
    new = server.create(account_id)
    server.digest_anew()
    behind.keys.catch_up()
    assert not behind.admits(made)
    for attempt in (
        lambda: behind.create(account_id),
        lambda: behind.keys.end_exposed(made.value, actor=SYSTEM),
        lambda: behind.keys.rename(account_id, made.id, "name"),
    ):
        with pytest.raises(SecretOutdated):
            attempt()
    behind.secret = ROTATED
    assert behind.keys.catch_up() > seen
    assert not behind.keyring.is_blind
    assert behind.admits(made)
    assert behind.admits(new)


def test_a_server_without_the_new_audit_key_does_not_say_that_it_has_seen_it(server, account_id, new_server):
    """The rotation would go on, and that server would break the chain."""
    made = server.create(account_id)
    behind = new_server(UNROTATED)
    behind.keys.load()
    seen = behind.keys.seen_seq
    server.begin(Purpose.AUDIT)
    assert behind.keys.catch_up() == seen
    assert behind.admits(made)
    behind.secret = ROTATED
    assert behind.keys.catch_up() > seen
    assert len(behind.vault.audit_keys().alive) == 2


def test_another_pepper_under_the_same_number_is_not_used(server, account_id, new_server):
    made = server.create(account_id)
    behind = new_server(UNROTATED)
    behind.keys.load()
    server.begin()
    wrong = Version(number=2, secret=secrets.token_bytes(32))
    behind.secret = UNROTATED.with_version(Purpose.PEPPER, wrong)
    behind.keys.catch_up()
    assert behind.keyring.is_blind
    assert behind.admits(made)
    behind.secret = ROTATED
    behind.keys.catch_up()
    assert not behind.keyring.is_blind


def test_data_keys_are_wrapped_anew_and_everything_opens(server, account_id, new_server):
    once = Once(name="n", request=b"r")
    new = NewKey(kind=KeyKind.INGESTION, name="key")
    made = server.keys.create_key(account_id, new, actor=SYSTEM, once=once)
    other_account_id = server.accounts.create().id
    other = server.create(other_account_id, Reveal.NEVER)
    behind = new_server()
    behind.keys.load()
    server.begin(Purpose.KEK)
    assert server.wrap_anew() == (2, 0)
    assert server.wrap_anew() == (0, 0)
    third = server.create(server.accounts.create().id)
    finished = new_server(ROTATED.without(Purpose.KEK, {1}))
    assert finished.keys.load() == ()
    assert all(finished.admits(key) for key in (made, other, third))
    assert finished.keys.get(account_id, made.id).value == made.value
    assert finished.keys.create_key(account_id, new, actor=SYSTEM, once=once) == made
    assert behind.create(account_id).value


def test_a_data_key_of_another_account_is_not_wrapped_anew(server, account_id):
    server.create(account_id)
    other_account_id = server.accounts.create().id
    server.create(other_account_id)
    with writing(server.engine) as connection:
        stored = select(data_keys.c.wrapped).where(data_keys.c.account_id == other_account_id)
        connection.execute(
            update(data_keys)
            .where(data_keys.c.account_id == account_id)
            .values(wrapped=connection.execute(stored).scalar_one())
        )
    server.begin(Purpose.KEK)
    batch = server.rotation.wrap_anew(None)
    assert (batch.moved, batch.altered) == (1, 1)


def test_a_dump_without_the_new_secrets_is_of_no_use(server, account_id, new_server):
    """Not even to who knows the master that they once replaced."""
    made = server.create(account_id)
    server.begin()
    server.begin(Purpose.KEK)
    server.digest_anew()
    server.wrap_anew()
    thief = Vault(MASTER_SECRET, random_bytes=secrets.token_bytes)
    with reading(server.engine) as connection:
        digest = connection.execute(select(key_values.c.digest)).scalar_one()
    assert digest not in thief.digests(made.value)
    with pytest.raises(SecretOutdated):
        new_server(UNROTATED).keys.load()


def test_moving_one_key_tells_of_that_key_only(server, account_id):
    made, other = server.create(account_id), server.create(account_id, Reveal.NEVER)
    server.begin()
    server.digest_anew()
    with reading(server.engine) as connection:
        revisions = {row.id: row.revision for row in connection.execute(select(keys.c.id, keys.c.revision))}
    assert revisions[made.id] > made.revision
    assert revisions[other.id] == other.revision


def test_a_value_that_was_digested_before_a_rotation_began_is_not_committed_after_it(postgresql_url, servers):
    """Who counts what needs the older pepper would have missed it. SQLite has one writer at a time anyway."""
    slow, quick = (Server(postgresql_url, ROTATED) for _ in range(2))
    servers += [slow, quick]
    account_id = slow.accounts.create().id
    blocking, value = slow.create(account_id), secrets.token_hex(16)
    with quick.engine.connect() as meanwhile, ThreadPoolExecutor(1) as threads:
        same_digest = update(key_values).where(key_values.c.key_id == blocking.id)
        meanwhile.execute(same_digest.values(digest=slow.vault.digest(value)))
        creation = threads.submit(slow.keys.create, account_id, KeyKind.SERVICE, value=value)
        wait_until_somebody_waits(quick)
        quick.begin()
        meanwhile.rollback()
        with pytest.raises(SecretOutdated):
            creation.result()
    assert quick.pepper_versions() == {1: 1}
    assert slow.keys.create(account_id, KeyKind.SERVICE, value=value)


def wait_until_somebody_waits(server):
    """For a lock that another transaction holds."""
    waiting = text("SELECT 1 FROM pg_locks WHERE NOT granted")
    deadline_s = time.monotonic() + 20
    while True:
        with reading(server.engine) as connection:
            if connection.execute(waiting).first():
                return
        assert time.monotonic() < deadline_s


def test_check_values_come_back_and_an_old_one_is_read():
    checks = {(Purpose.PEPPER, 2): secrets.token_bytes(32), (Purpose.KEK, 300): secrets.token_bytes(32)}
    stored = StoredChecks(master=secrets.token_bytes(32), versions=checks)
    assert StoredChecks.parse(stored.render()) == stored
    assert StoredChecks.parse(stored.master) == StoredChecks(master=stored.master, versions={})


def test_the_state_tells_whose_lock_is_waited_for(server):
    """The row that counts changes is where a rotation and a new value meet."""
    with writing(server.engine) as connection:
        connection.execute(text("UPDATE keyring_state SET seq = seq + 1"))
    assert server.begin() == server.keys.catch_up()
