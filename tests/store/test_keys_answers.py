"""Answers that are kept for a day: given again to the same request of the same account, and to nothing else."""

import secrets
from dataclasses import replace

import pytest
from keys_house import MASTER_SECRET, Clock, open_keys_house
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from logboom.database.engine import reading, writing
from logboom.database.tables import remembered_answers
from logboom.errors import ValidationFailed
from logboom.keys.answers import Answers, Once
from logboom.keys.key import Key, KeyFormat, KeyKind, KeyState, Reveal
from logboom.keys.scopes import Scope
from logboom.keys.vault import SealError, Vault
from logboom.limits import ANSWER_REMEMBERED_MS

ONCE = Once(name="deploy-17", request=b"create web")


class House:
    """Two accounts and what is remembered for them."""

    def __init__(self, url):
        self.house = open_keys_house(url, clock=Clock())
        self.clock = self.house.clock
        self.vault = Vault(MASTER_SECRET, random_bytes=secrets.token_bytes)
        self.answers = Answers(self.vault, now_ms=self.clock)
        self.account_id, self.other_id = (self.house.accounts.create().id for _ in range(2))
        self.data_keys = {each: self.vault.mint_data_key(each) for each in (self.account_id, self.other_id)}

    def key(self, account_id=None):
        return Key(
            id="a" * 24,
            account_id=account_id or self.account_id,
            kind=KeyKind.SERVICE,
            name="web é",
            value="0f1e2d3c4b5a69788796a5b4c3d2e1f0",
            created_ms=self.clock(),
            created_by=None,
            state=KeyState.ACTIVE,
            labels={"team": "edge"},
            format=KeyFormat.NATIVE,
            reveal=Reveal.STEP_UP,
            scopes=frozenset({Scope.KEYS_READ}),
        )

    def keep(self, key, once=ONCE):
        with writing(self.house.engine) as connection:
            self.answers.keep(connection, key, once, self.data_keys[key.account_id])

    def find(self, once=ONCE, account_id=None):
        account_id = account_id or self.account_id
        with reading(self.house.engine) as connection:
            return self.answers.find(connection, account_id, once, self.data_keys[account_id])

    def rows(self):
        with reading(self.house.engine) as connection:
            return connection.execute(select(func.count()).select_from(remembered_answers)).scalar_one()


@pytest.fixture
def house(database_url):
    house = House(database_url)
    yield house
    house.house.engine.dispose()


def test_the_same_request_gets_the_whole_key_again_with_its_value(house):
    house.keep(house.key())
    assert house.find() == house.key()
    assert repr(house.find()) == repr(house.key())


def test_another_name_or_account_gets_nothing(house):
    house.keep(house.key())
    assert house.find(replace(ONCE, name="deploy-18")) is None
    assert house.find(account_id=house.other_id) is None


def test_another_request_under_the_same_name_is_refused(house):
    house.keep(house.key())
    with pytest.raises(ValidationFailed) as raised:
        house.find(replace(ONCE, request=b"create edge"))
    ((detail,),) = [raised.value.details]
    assert (detail.message, detail.key) == ('"Idempotency-Key" was used for another request', "Idempotency-Key")


def test_two_accounts_may_use_one_name(house):
    house.keep(house.key())
    house.keep(house.key(house.other_id), replace(ONCE, request=b"something else"))
    assert house.find() == house.key()
    assert house.find(replace(ONCE, request=b"something else"), house.other_id) == house.key(house.other_id)


def test_an_answer_is_kept_once(house):
    house.keep(house.key())
    with pytest.raises(IntegrityError):
        house.keep(house.key())


def test_an_answer_is_forgotten_after_a_day(house):
    house.keep(house.key())
    house.clock.now_ms += ANSWER_REMEMBERED_MS - 1
    assert house.find() is not None
    house.keep(house.key(), replace(ONCE, name="another"))
    assert house.rows() == 2
    house.clock.now_ms += 1
    assert house.find() is None
    house.keep(house.key())
    assert house.rows() == 2  # what was forgotten has made room
    assert house.find() is not None


def test_an_answer_opens_in_its_place_only(house):
    """Whoever can write to the database cannot have one account's answer told to another."""
    house.keep(house.key())
    with writing(house.house.engine) as connection:
        connection.execute(remembered_answers.update().values(account_id=house.other_id))
    with pytest.raises(SealError):
        house.find(account_id=house.other_id)


def test_names_and_requests_are_kept_as_digests(house):
    house.keep(house.key())
    with reading(house.house.engine) as connection:
        (row,) = connection.execute(select(remembered_answers)).all()
    assert (row.created_ms, len(row.name_digest), len(row.request_digest)) == (house.clock(), 32, 32)
    assert house.key().value.encode() not in row.sealed
