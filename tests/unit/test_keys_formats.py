"""The shapes of key values: minted, preset, imported, mistyped, masked."""

import re
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logboom.errors import ValidationFailed
from logboom.keys.formats import (
    DIGITS,
    KEY_VALUE,
    NATIVE_CHARACTERS,
    NATIVE_SHAPE,
    check_value,
    is_broken,
    is_importable,
    mask,
    mint_value,
)
from logboom.keys.key import KeyFormat, KeyKind


def test_minted_value_has_the_shape_every_client_carries():
    value = mint_value(KeyKind.SERVICE, KeyFormat.CLASSIC, secrets.token_hex)
    assert len(value) == 32
    assert set(value) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    "look_alike", ["0" * 32, "12345678901234567890123456789012", "1234567890123456789e123456789012"]
)
def test_minted_value_is_never_a_number_in_yaml(look_alike):
    offered = iter([look_alike, look_alike, "0123456789abcdef" * 2])
    assert mint_value(KeyKind.INGESTION, KeyFormat.CLASSIC, lambda _size: next(offered)) == "0123456789abcdef" * 2


@pytest.mark.parametrize("value", ["a" * 16, "Z" * 80, "0123456789abcdef" * 2, "sta_" + "0" * 40])
def test_preset_value_within_the_rules_is_kept(value):
    assert check_value(value) == value
    assert KEY_VALUE.fullmatch(value)


@pytest.mark.parametrize("value", ["", "a" * 15, "a" * 81, "a" * 20 + ":", "a" * 20 + "\n", "ä" * 20, "a b" * 8])
def test_preset_value_outside_the_rules_is_refused_and_not_repeated(value):
    with pytest.raises(ValidationFailed) as refused:
        check_value(value)
    assert refused.value.message == '"key" must have 16 to 80 characters of 0-9, A-Z, a-z and _'


RECORDED_NATIVE = "lbi_00000000_0000000000000000000000000000012qrko2"


def test_native_value_has_its_parts():
    for kind, prefix in ((KeyKind.INGESTION, "lbi_"), (KeyKind.SERVICE, "lbs_")):
        value = mint_value(kind, KeyFormat.NATIVE, secrets.token_hex)
        assert len(value) == NATIVE_CHARACTERS == 49
        assert NATIVE_SHAPE.fullmatch(value)
        assert KEY_VALUE.fullmatch(value)
        assert value.startswith(prefix)
        assert not re.match(r"st[a-z]_", value)  # Terraform's provider takes those for platform tokens. keys.md 4.1
        assert not is_broken(value)


def test_native_values_use_every_digit_everywhere():
    minted = [mint_value(KeyKind.SERVICE, KeyFormat.NATIVE, secrets.token_hex) for _ in range(2_000)]
    for place in (*range(4, 12), *range(13, 43)):
        assert {value[place] for value in minted} == set(DIGITS)


def test_the_checksum_is_stable():
    """A release that computed it differently would refuse every native key."""
    value = mint_value(KeyKind.INGESTION, KeyFormat.NATIVE, lambda size: "00" * (size - 1) + "01")
    assert value == RECORDED_NATIVE


@given(place=st.integers(0, 48), character=st.sampled_from(DIGITS))
def test_every_mistake_in_one_place_is_found(place, character):
    wrong = RECORDED_NATIVE[:place] + character + RECORDED_NATIVE[place + 1 :]
    assert wrong == RECORDED_NATIVE or is_broken(wrong) or not NATIVE_SHAPE.fullmatch(wrong)


@pytest.mark.parametrize("value", ["0" * 32, "lbi_short", "lbx_" + "0" * 45, RECORDED_NATIVE[:-1]])
def test_other_shapes_are_not_judged_by_the_checksum(value):
    assert not is_broken(value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0f1e2d3c4b5a69788796a5b4c3d2e1f0", "…e1f0"),
        (RECORDED_NATIVE, "lbi_00000000…"),
        ("Preset_0123456789", "…"),
    ],
    ids=["classic", "native", "too short to show any of it"],
)
def test_a_mask_tells_values_apart_and_keeps_them(value, shown):
    assert mask(value) == shown


IMPORTS = [
    pytest.param("0f1e2d3c4b5a69788796a5b4c3d2e1f0", True, id="Mezmo's own"),
    pytest.param("0F1E2D3C4B5A69788796A5B4C3D2E1F0", True, id="capital hex"),
    pytest.param("0" * 32, False, id="one digit"),
    pytest.param("deadbeef" * 4, False, id="few different digits"),
    pytest.param("kV7mQ2xT9bN4wZ1sR8pL5cJ3", False, id="24 different characters have 110 bits"),
    pytest.param("kV7mQ2xT9bN4wZ1sR8pL5cJ3hG6", True, id="27 different characters"),
    pytest.param("correcthorsebatterystaple", False, id="words"),
    pytest.param("a" * 80, False, id="long and simple"),
    pytest.param("kV7mQ2xT9bN4wZ1sR8pL5cJ3hG6-", False, id="character of no key"),
    pytest.param("kV7mQ2xT9bN4wZ1", False, id="short"),
    pytest.param(RECORDED_NATIVE, True, id="native of another server"),
    pytest.param("lbs_" + RECORDED_NATIVE[4:], False, id="native with a mistake"),
]


@pytest.mark.parametrize(("value", "usable"), IMPORTS)
def test_what_is_brought_along_must_be_hard_to_guess(value, usable):
    assert is_importable(value, KeyKind.INGESTION) is usable


def test_a_native_value_keeps_its_kind():
    assert not is_importable(RECORDED_NATIVE, KeyKind.SERVICE)


def test_what_a_preset_value_breaks_is_told():
    with pytest.raises(ValidationFailed) as raised:
        check_value("short")
    ((detail,),) = [raised.value.details]
    rule = '"key" must have 16 to 80 characters of 0-9, A-Z, a-z and _'
    assert (detail.message, detail.key) == (rule, "key")


def test_minted_values_have_as_many_random_bytes_as_they_need():
    asked = []

    def random_hex(size):
        asked.append(size)
        return "1e" * 16 if len(asked) == 1 else secrets.token_hex(size)

    mint_value(KeyKind.INGESTION, KeyFormat.CLASSIC, random_hex)
    mint_value(KeyKind.INGESTION, KeyFormat.NATIVE, random_hex)
    assert asked == [16, 37]  # 38 digits of base62 are 227 bits, and 64 more


def test_a_number_in_yaml_is_drawn_again_at_full_length():
    drawn = iter(["0" * 32, "1" * 32, "f" * 32])
    asked = []
    value = mint_value(KeyKind.INGESTION, KeyFormat.CLASSIC, lambda size: asked.append(size) or next(drawn))
    assert (value, asked) == ("f" * 32, [16, 16, 16])


def test_a_classic_value_needs_seven_different_digits():
    assert not is_importable("012345" * 5 + "01", KeyKind.INGESTION)
    assert is_importable("0123456" * 4 + "0123", KeyKind.INGESTION)


def test_a_value_of_another_shape_needs_112_bits():
    exactly = "ghijklmn" * 2 + "opqr" * 4
    assert is_importable(exactly, KeyKind.INGESTION)
    assert not is_importable(exactly.replace("h", "g", 1), KeyKind.INGESTION)
