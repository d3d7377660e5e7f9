"""Versions of pepper and KEK: which are known, which is used, and that nothing opens or is found by a wrong one."""

import hashlib
import hmac
import secrets

import pytest

from logboom.errors import SecretOutdated
from logboom.keys.key import KeyKind
from logboom.keys.secret_text import MasterSecret, Purpose, Version
from logboom.keys.vault import Pepper, Place, SealError, Vault, WrappedKey

VALUE = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
ACCOUNT_ID = "a" * 10
PLACE = Place(account_id=ACCOUNT_ID, key_id="b" * 24, generation=1, kind=KeyKind.INGESTION)
MASTER = bytes(range(32))
PEPPER, KEK = secrets.token_bytes(32), secrets.token_bytes(32)
FIRST = MasterSecret(master=MASTER)
BOTH = MasterSecret(
    master=MASTER,
    versions={
        Purpose.PEPPER: (Version(number=1), Version(number=2, secret=PEPPER)),
        Purpose.KEK: (Version(number=1), Version(number=2, secret=KEK)),
    },
)
LATER = BOTH.without(Purpose.PEPPER, {1}).without(Purpose.KEK, {1})


def open_vault(secret, read_again=lambda: None):
    return Vault(secret, random_bytes=secrets.token_bytes, read_again=read_again)


@pytest.fixture
def vault():
    return open_vault(BOTH)


def moved(secret, pepper_version, kek_version):
    vault = open_vault(secret)
    assert vault.move_to(pepper_version, kek_version, {})
    return vault


# -- the pepper -------------------------------------------------------------------------------------------------------


def test_a_digest_is_an_hmac_of_the_value():
    for size in (16, 32, 64):
        secret = secrets.token_bytes(size)
        expected = hmac.digest(secret, b"key\0" + VALUE.encode(), "sha256")
        assert Pepper(secret).digest(VALUE) == expected
        assert Pepper(secret).digest_all([VALUE.encode(), b"other"])[0] == expected
    assert Pepper(PEPPER).digest_all([]) == []


def test_each_version_of_the_pepper_has_digests_of_its_own(vault):
    first, second = Pepper(hkdf_of_first()).digest(VALUE), Pepper(PEPPER).digest(VALUE)
    assert vault.pepper_versions == (1, 2)
    assert [vault.digest_under(version, VALUE) for version in (1, 2)] == [first, second]
    assert vault.digests(VALUE) == [first, second]
    assert vault.digest_all_under(2, [VALUE.encode()]) == [second]
    assert (vault.pepper_version, vault.digest(VALUE), vault.digest_all([VALUE.encode()])) == (1, first, [first])
    assert vault.move_to(2, 1, {})
    assert (vault.pepper_version, vault.digest(VALUE), vault.digest_all([VALUE.encode()])) == (2, second, [second])


def hkdf_of_first():
    """HKDF-SHA256 without a salt, written out: extract with zeros, then one block of expand."""
    extracted = hmac.digest(bytes(32), MASTER, "sha256")
    return hmac.digest(extracted, b"logboom/lookup/v1\x01", "sha256")


def test_a_version_that_is_not_known_is_said_to_be(vault):
    for ask in (
        lambda: vault.digest_under(3, VALUE),
        lambda: vault.digest_all_under(3, [VALUE.encode()]),
        lambda: vault.mint_data_key(ACCOUNT_ID, 3),
    ):
        with pytest.raises(SecretOutdated):
            ask()


def test_the_audit_log_is_signed_by_a_key_of_its_own(vault):
    signed = vault.sign_audit(b"row")
    assert signed == open_vault(FIRST).sign_audit(b"row")
    assert signed == open_vault(MASTER).sign_audit(b"row")
    assert len({signed, vault.sign_audit(b"row2"), open_vault(bytes(32)).sign_audit(b"row")}) == 3
    assert signed.hex() == "12658ba336f2e74383f6abf2a0c18addc6c0e07e2e3d50e5d59de181d6e679a2"


# -- the KEK ----------------------------------------------------------------------------------------------------------


def test_a_data_key_is_wrapped_by_the_version_in_use_or_by_a_given_one():
    vault = moved(BOTH, 1, 2)
    assert vault.mint_data_key(ACCOUNT_ID).kek_version == 2
    older = vault.mint_data_key(ACCOUNT_ID, 1)
    assert older.kek_version == 1
    sealed = vault.seal(VALUE, data_key=older, place=PLACE)
    newer = vault.rewrap(older, ACCOUNT_ID)
    assert (newer.kek_version, newer.wrapped != older.wrapped) == (2, True)
    assert vault.open(sealed, data_key=newer, place=PLACE) == VALUE
    assert open_vault(LATER).open(sealed, data_key=newer, place=PLACE) == VALUE
    with pytest.raises(SecretOutdated):
        open_vault(LATER).open(sealed, data_key=older, place=PLACE)


def test_a_data_key_opens_for_its_account_and_by_its_version_only(vault):
    data_key = vault.mint_data_key(ACCOUNT_ID)
    with pytest.raises(SealError):
        vault.rewrap(data_key, "c" * 10)
    with pytest.raises(SealError):
        vault.rewrap(WrappedKey(data_key.wrapped, 2), ACCOUNT_ID)
    with pytest.raises(SealError):
        vault.rewrap(WrappedKey(b"", 1), ACCOUNT_ID)


def test_two_data_keys_are_not_alike(vault):
    first, second = (vault.mint_data_key(ACCOUNT_ID) for _ in range(2))
    sealed = vault.seal(VALUE, data_key=first, place=PLACE)
    with pytest.raises(SealError):
        vault.open(sealed, data_key=second, place=PLACE)


# -- what stands for a value that is not kept, and what is remembered -------------------------------------------------


def test_a_bound_digest_proves_its_place_and_is_no_sealed_value(vault):
    data_key, digest = vault.mint_data_key(ACCOUNT_ID), vault.digest(VALUE)
    bound = vault.bind(digest, data_key=data_key, place=PLACE)
    assert vault.check_bound(digest, bound, data_key=data_key, place=PLACE) is None
    other = vault.bind(vault.digest("x" * 32), data_key=data_key, place=PLACE)
    for wrong in (other, vault.seal("x", data_key=data_key, place=PLACE), bound[:-1]):
        with pytest.raises(SealError):
            vault.check_bound(digest, wrong, data_key=data_key, place=PLACE)
    with pytest.raises(SealError):
        vault.open(bound, data_key=data_key, place=PLACE)


def test_an_answer_opens_under_its_name_only(vault):
    data_key, name = vault.mint_data_key(ACCOUNT_ID), hashlib.sha256(b"deploy-17").digest()
    sealed = vault.seal_answer(b"answer", data_key=data_key, account_id=ACCOUNT_ID, name_digest=name)
    assert vault.open_answer(sealed, data_key=data_key, account_id=ACCOUNT_ID, name_digest=name) == b"answer"
    with pytest.raises(SealError):
        vault.open_answer(sealed, data_key=data_key, account_id=ACCOUNT_ID, name_digest=name[::-1])
    with pytest.raises(SealError):
        vault.open_answer(sealed[:-1], data_key=data_key, account_id=ACCOUNT_ID, name_digest=name)


# -- which versions are known, and which is used ----------------------------------------------------------------------


def test_what_was_never_rotated_has_one_version_of_each():
    vault = open_vault(FIRST)
    assert (vault.pepper_version, vault.kek_version, vault.pepper_versions) == (1, 1, (1,))
    assert [vault.knows(purpose, number) for purpose in Purpose for number in (1, 2)] == [True, False] * len(Purpose)


def test_the_oldest_version_is_used_until_the_database_says_another():
    vault = open_vault(LATER)
    assert (vault.pepper_version, vault.kek_version) == (2, 2)
    assert (open_vault(BOTH).pepper_version, open_vault(BOTH).kek_version) == (1, 1)


def test_check_values_tell_versions_purposes_and_secrets_apart(vault):
    other = BOTH.without(Purpose.PEPPER, {2}).with_version(Purpose.PEPPER, Version(number=2, secret=bytes(32)))
    checks = [
        each.check_of(purpose, 2) for each in (vault, open_vault(other)) for purpose in (Purpose.PEPPER, Purpose.KEK)
    ]
    checks += [vault.check_of(purpose, 1) for purpose in Purpose] + [vault.check_value]
    assert len(set(checks)) == len(checks) - 1  # the KEK of both is the same
    assert open_vault(LATER).check_of(Purpose.KEK, 2) == vault.check_of(Purpose.KEK, 2)
    assert vault.check_of(Purpose.PEPPER, 1).hex() == "42ccb9d522e13d2b9a37682d0c4b3f3f50bcc4eae8c531c6882d7b60cfcb1240"


def test_a_version_is_right_when_it_is_the_one_that_was_made(vault):
    right = {(Purpose.PEPPER, 2): vault.check_of(Purpose.PEPPER, 2)}
    wrong = {(Purpose.PEPPER, 2): bytes(32)}
    assert vault.is_right(Purpose.PEPPER, 2, right)
    assert vault.is_right(Purpose.PEPPER, 2, {})
    assert not vault.is_right(Purpose.PEPPER, 2, wrong)
    assert vault.is_right(Purpose.KEK, 2, wrong)
    assert not vault.is_right(Purpose.PEPPER, 3, {})


@pytest.mark.parametrize(("pepper", "kek"), [(3, 1), (1, 3), (2, 9)])
def test_a_vault_stays_where_it_is_rather_than_move_in_part(vault, pepper, kek):
    assert not vault.move_to(pepper, kek, {})
    assert (vault.pepper_version, vault.kek_version) == (1, 1)
    assert vault.digest(VALUE) == vault.digest_under(1, VALUE)


def test_a_vault_reads_the_secret_again_for_a_version_that_came_later():
    read = []

    def read_again():
        read.append(1)
        return BOTH

    vault = open_vault(FIRST, read_again)
    assert vault.move_to(1, 1, {})
    assert read == []
    assert vault.move_to(2, 2, {})
    assert (read, vault.pepper_version, vault.kek_version, vault.pepper_versions) == ([1], 2, 2, (1, 2))
    assert not vault.move_to(3, 2, {})
    assert len(read) == 2


def test_a_wrong_check_keeps_a_vault_from_moving(vault):
    assert not vault.move_to(2, 1, {(Purpose.PEPPER, 2): bytes(32)})
    assert not vault.move_to(1, 2, {(Purpose.KEK, 2): bytes(32)})
    assert vault.move_to(2, 2, {(Purpose.KEK, 2): vault.check_of(Purpose.KEK, 2)})


def test_a_secret_of_another_installation_is_not_learned():
    other = MasterSecret(master=bytes(32), versions=BOTH.versions)
    vault = open_vault(FIRST, lambda: other)
    assert not vault.move_to(2, 2, {})
    assert vault.pepper_versions == (1,)


def test_what_was_known_stays_known_when_the_secret_is_read_again():
    vault = open_vault(BOTH, lambda: LATER.with_version(Purpose.PEPPER, Version(number=3, secret=bytes(32))))
    vault.read_secret_again()
    assert vault.pepper_versions == (1, 2, 3)
    assert vault.knows(Purpose.KEK, 1)
