"""What the vault keeps, and that nothing opens outside of its place."""

import secrets
from dataclasses import replace

import pytest

from logboom.keys.key import KeyKind
from logboom.keys.vault import Place, SealError, Vault, WrappedKey

VALUE = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
PLACE = Place(account_id="a" * 10, key_id="b" * 24, generation=1, kind=KeyKind.INGESTION)

RECORDED_DATA_KEY = WrappedKey(
    bytes.fromhex(
        "000000000000000000000000"
        "524c87bc5548a0f69d875cafc98c22e0f7a5373531a903640d68b875789490f35ae6e133fa32ca683ff4d8da73f267f5"
    ),
    kek_version=1,
)
RECORDED_SEALED = bytes.fromhex(
    "000000000000000000000000"
    "fec171587f04580d332cf0b28ccaaa204a573afc56934840b29191bc103753be2f7934c15f09b53cb49b5fea59c1677c"
)


@pytest.fixture(scope="module")
def vault():
    return Vault(b"m" * 32, random_bytes=secrets.token_bytes)


@pytest.fixture(scope="module")
def data_key(vault):
    return vault.mint_data_key(PLACE.account_id)


def test_sealed_value_opens_in_its_place_and_shows_nothing(vault, data_key):
    sealed = vault.seal(VALUE, data_key=data_key, place=PLACE)
    assert vault.open(sealed, data_key=data_key, place=PLACE) == VALUE
    assert VALUE.encode() not in sealed
    assert vault.seal(VALUE, data_key=data_key, place=PLACE) != sealed


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(PLACE, account_id="c" * 10),
        replace(PLACE, key_id="c" * 24),
        replace(PLACE, generation=2),
        replace(PLACE, kind=KeyKind.SERVICE),
    ],
    ids=["account", "key", "generation", "kind"],
)
def test_sealed_value_does_not_open_elsewhere(vault, data_key, elsewhere):
    sealed = vault.seal(VALUE, data_key=data_key, place=PLACE)
    with pytest.raises(SealError):
        vault.open(sealed, data_key=data_key, place=elsewhere)


@pytest.mark.parametrize(
    "damage", [lambda s: s[:-1], lambda s: s[:5], lambda _: b"", lambda s: s[:-1] + bytes([s[-1] ^ 1])]
)
def test_damaged_value_does_not_open(vault, data_key, damage):
    sealed = vault.seal(VALUE, data_key=data_key, place=PLACE)
    with pytest.raises(SealError):
        vault.open(damage(sealed), data_key=data_key, place=PLACE)


def test_another_master_secret_opens_nothing_and_digests_differently(vault, data_key):
    other = Vault(b"n" * 32, random_bytes=secrets.token_bytes)
    sealed = vault.seal(VALUE, data_key=data_key, place=PLACE)
    with pytest.raises(SealError):
        other.open(sealed, data_key=data_key, place=PLACE)
    assert other.digest(VALUE) != vault.digest(VALUE)
    assert other.check_value != vault.check_value


def test_derivation_is_stable():
    """A release that derived anything differently would make every key of every database unknown."""
    vault = Vault(bytes(range(32)), random_bytes=secrets.token_bytes)
    assert vault.digest(VALUE).hex() == "eb14835b635b9bc88bfa5dc25ee22423ff2e40eb9997988b18534a3557dc1a9f"
    assert vault.check_value.hex() == "6962565379c5a30cfdf47e644999262db51bbe8fad48966dbf732df94e684aff"
    assert vault.open(RECORDED_SEALED, data_key=RECORDED_DATA_KEY, place=PLACE) == VALUE
