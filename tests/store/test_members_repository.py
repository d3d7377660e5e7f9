"""Members and their passwords in a real database."""

import itertools
import secrets

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from logboom.accounts.repository import AccountRepository
from logboom.database.engine import open_database, reading
from logboom.database.migrate import migrate
from logboom.database.tables import members as members_table
from logboom.errors import ValidationFailed
from logboom.members.member import Role
from logboom.members.repository import MemberRepository

CHEAP_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "correct horse battery"


@pytest.fixture
def engine(database_url):
    engine = open_database(database_url)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def members(engine):
    now_ms = itertools.count(1).__next__
    return MemberRepository(engine, hasher=CHEAP_HASHER, now_ms=now_ms, random_hex=secrets.token_hex)


@pytest.fixture
def owner(engine, members):
    account = AccountRepository(engine, now_ms=lambda: 0, random_hex=secrets.token_hex).create()
    return members.create(account.id, email="Ann@Example.com", password=PASSWORD, must_change_password=True)


def test_owner_signs_in_with_any_spelling_of_the_address(members, owner):
    assert (owner.email, owner.role, owner.must_change_password) == ("ann@example.com", Role.OWNER, True)
    assert members.verify_password(email=" ANN@example.com", password=PASSWORD) == owner


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ann@example.com", "wrong password"),
        ("ann@example.com", ""),
        ("ann@example.com", "x" * 1_000_000),
        ("bob@example.com", PASSWORD),
        ("no address", PASSWORD),
    ],
    ids=["wrong", "empty", "huge", "unknown-member", "no-address"],
)
def test_others_do_not_sign_in(members, owner, email, password):
    assert members.verify_password(email=email, password=password) is None


def test_address_is_taken_once(members, owner):
    with pytest.raises(ValidationFailed) as refused:
        members.create(owner.account_id, email="ANN@example.com", password=PASSWORD, must_change_password=False)
    assert refused.value.message == '"email" is in use already'


def test_only_an_argon2id_digest_is_stored(engine, members, owner):
    with reading(engine) as connection:
        stored = connection.execute(select(members_table)).one()
    assert stored.password_digest.startswith("$argon2id$")
    assert PASSWORD not in repr(stored)
