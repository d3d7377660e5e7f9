"""What the keyring knows, whatever news comes in whatever order, and what it takes for a key at all."""

import secrets

import pytest
from structlog.testing import capture_logs

from logboom.keys.key import Caller, KeyKind, KeyState
from logboom.keys.keyring import Keyring, is_plausible
from logboom.keys.older import Older
from logboom.keys.secret_text import MasterSecret, Purpose, Version
from logboom.keys.vault import Vault
from logboom.keys.verdict import Refusal, Standing

NOW_MS = 1_700_000_000_000
KEY_ID, OTHER_KEY_ID = "a" * 24, "b" * 24
FIRST, SECOND, OTHER = (secrets.token_hex(16) for _ in range(3))


@pytest.fixture
def vault():
    return Vault(bytes(32), random_bytes=secrets.token_bytes)


@pytest.fixture
def keyring(vault):
    return Keyring(vault)


def standing(generation=1, key_id=KEY_ID, **members):
    caller = Caller(account_id="c" * 10, key_id=key_id, kind=KeyKind.INGESTION, generation=generation)
    return Standing(caller=caller, **members)


@pytest.fixture
def put(vault, keyring):
    """Bring news of one key: standings by value, and the revision that they come from."""

    def put(standings, revision, key_id=KEY_ID):
        keyring.put(key_id, {vault.digest(value): known for value, known in standings.items()}, revision)

    return put


def opened(keyring, *values):
    """The generations that the values open, None for what is nobody's."""
    found = [keyring.authenticate(value, NOW_MS) for value in values]
    return [known.generation if isinstance(known, Caller) else known for known in found]


def test_a_known_value_is_its_holders_and_no_other_is(keyring, put):
    put({FIRST: standing()}, 1)
    assert keyring.authenticate(FIRST, NOW_MS) == standing().caller
    assert opened(keyring, SECOND, FIRST.upper(), FIRST[:-1], FIRST + "0") == [None] * 4


def test_news_replaces_what_was_known_of_the_key_and_of_no_other(keyring, put):
    put({OTHER: standing(key_id=OTHER_KEY_ID)}, 1, OTHER_KEY_ID)
    put({FIRST: standing(1)}, 2)
    put({FIRST: standing(1, valid_until_ms=NOW_MS + 1), SECOND: standing(2)}, 3)
    assert opened(keyring, FIRST, SECOND, OTHER) == [1, 2, 1]
    put({SECOND: standing(2)}, 4)
    assert opened(keyring, FIRST, SECOND, OTHER) == [None, 2, 1]
    put({}, 5)
    assert opened(keyring, FIRST, SECOND, OTHER) == [None, None, 1]
    assert len(keyring) == 1


def test_older_news_that_comes_late_changes_nothing(keyring, put):
    put({}, 7)
    put({FIRST: standing()}, 6)
    assert opened(keyring, FIRST) == [None]
    put({FIRST: standing()}, 7)
    assert opened(keyring, FIRST) == [1]


def test_older_news_is_told_by_what_was_loaded_too(vault, keyring, put):
    keyring.replace({vault.digest(FIRST): standing(revision=7)})
    put({}, 6)
    assert opened(keyring, FIRST) == [1]
    put({}, 8)
    assert opened(keyring, FIRST) == [None]


def test_what_is_loaded_replaces_everything(vault, keyring, put):
    put({FIRST: standing(revision=1)}, 1)
    keyring.replace({vault.digest(OTHER): standing(key_id=OTHER_KEY_ID)})
    assert opened(keyring, FIRST, OTHER) == [None, 1]
    put({}, 1)  # nothing is left of the key's old values or revision
    assert (opened(keyring, OTHER), len(keyring)) == ([1], 1)


def test_two_loaded_values_of_one_key_are_both_forgotten_with_it(vault, keyring, put):
    keyring.replace({vault.digest(FIRST): standing(1), vault.digest(SECOND): standing(2)})
    assert opened(keyring, FIRST, SECOND) == [1, 2]
    put({}, 1)
    assert opened(keyring, FIRST, SECOND) == [None, None]


def test_a_caller_is_judged_by_its_own_value(keyring, put):
    put({FIRST: standing(1, valid_until_ms=NOW_MS), SECOND: standing(2)}, 1)
    assert keyring.judge(standing(2).caller, NOW_MS) == standing(2).caller
    assert keyring.judge(standing(1).caller, NOW_MS).refusal is Refusal.RETIRED
    assert keyring.judge(standing(3).caller, NOW_MS) is None
    assert keyring.judge(standing(1, key_id=OTHER_KEY_ID).caller, NOW_MS) is None


def test_holders_are_found_whatever_has_become_of_their_keys(keyring, put):
    put({FIRST: standing(1, state=KeyState.DELETED), SECOND: standing(2)}, 1)
    values = [OTHER.encode(), FIRST.encode(), SECOND.encode()]
    assert keyring.find_holders(values) == {
        FIRST.encode(): standing(1).caller,
        SECOND.encode(): standing(2).caller,
    }
    assert keyring.find_holders([OTHER.encode()]) == {}
    assert keyring.find_holders([]) == {}


def test_going_blind_and_seeing_again_are_told_once(keyring):
    told = []
    with capture_logs() as logs:
        for is_blind in (False, True, True, False, False):
            keyring.set_blind(is_blind=is_blind)
            assert keyring.is_blind is is_blind
            told.append(len(logs))
    assert told == [0, 1, 1, 2, 2]
    assert [(log["event"], log["log_level"]) for log in logs] == [
        ("secrets.outdated", "error"),
        ("secrets.up_to_date", "info"),
    ]
    effect = "keys that are not found are answered 504; bring the secret up to date"
    assert logs[0]["effect"] == effect


# -- while a pepper is being rotated ----------------------------------------------------------------------------------

PEPPERS = (Version(number=1), Version(number=2, secret=bytes(range(32))))
TWO_PEPPERS = MasterSecret(master=bytes(32), versions={Purpose.PEPPER: PEPPERS})


@pytest.fixture
def moved():
    """A vault that has moved on to the second pepper."""
    vault = Vault(TWO_PEPPERS, random_bytes=secrets.token_bytes)
    assert vault.move_to(2, 1, {})
    return vault


def test_a_value_is_found_by_its_older_digest_and_handed_over(moved):
    told = []
    keyring = Keyring(moved, on_older=told.append)
    older, newer = moved.digest_under(1, FIRST), moved.digest_under(2, FIRST)
    keyring.replace({older: standing(), moved.digest(SECOND): standing(2, key_id=OTHER_KEY_ID, pepper_version=2)})
    assert opened(keyring, FIRST, SECOND, OTHER) == [1, 2, None]
    assert told == [Older(key_id=KEY_ID, digest=older, newer=newer, newer_version=2)]


def test_a_value_that_is_refused_is_not_handed_over(moved):
    told = []
    keyring = Keyring(moved, on_older=told.append)
    keyring.replace({moved.digest_under(1, FIRST): standing(expires_at_ms=NOW_MS)})
    assert keyring.authenticate(FIRST, NOW_MS).refusal is Refusal.EXPIRED
    assert told == []


def test_holders_are_found_by_every_pepper(moved):
    keyring = Keyring(moved)
    keyring.replace({moved.digest_under(1, FIRST): standing(), moved.digest(SECOND): standing(2, pepper_version=2)})
    found = keyring.find_holders([FIRST.encode(), SECOND.encode()])
    assert {value: holder.generation for value, holder in found.items()} == {FIRST.encode(): 1, SECOND.encode(): 2}


def test_a_pepper_that_nothing_is_known_by_is_not_asked(moved):
    keyring = Keyring(moved)
    older = moved.digest_under(1, FIRST)
    keyring.put(KEY_ID, {older: standing()}, 1)
    keyring.put(OTHER_KEY_ID, {moved.digest_under(1, OTHER): standing(key_id=OTHER_KEY_ID)}, 2)
    assert opened(keyring, FIRST, OTHER) == [1, 1]
    keyring.put(KEY_ID, {moved.digest(FIRST): standing(pepper_version=2)}, 3)
    assert opened(keyring, FIRST, OTHER) == [1, 1]
    keyring.put(OTHER_KEY_ID, {}, 4)
    assert keyring._versions == (2,)
    assert opened(keyring, FIRST, OTHER) == [1, None]


NATIVE = "lbi_0123abcd_" + "Z" * 30
SHAPES = [
    ("a" * 15, False),
    ("a" * 16, True),
    ("a" * 80, True),
    ("a" * 81, False),
    ("a" * 20 + "é", False),
    (NATIVE + "000000", False),
]


@pytest.mark.parametrize(("value", "expected"), SHAPES)
def test_what_cannot_be_a_key_is_not_looked_up(value, expected):
    assert is_plausible(value) is expected
