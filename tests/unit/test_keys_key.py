"""The rules of key values and names."""

import secrets

import pytest

from logboom.keys.key import Key, KeyKind, is_key_id, mint_name, name_rules_broken

TOO_LONG = '"name" length must be less than or equal to 30 characters long'


@pytest.mark.parametrize("kind", KeyKind)
def test_minted_name_names_the_kind_and_keeps_the_rules(kind):
    name = mint_name(kind, secrets.token_hex)
    assert name.startswith(f"{kind.value}-")
    assert name_rules_broken(name) == ()


@pytest.mark.parametrize(
    "name",
    ["", "my first name", "x" * 30, "é" * 30, "😀" * 15, "tab\tand\nline"],
    ids=["blank", "spaces", "30-ascii", "30-accents", "15-pairs", "controls"],
)
def test_name_within_the_rules_is_fine(name):
    assert name_rules_broken(name) == ()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("x" * 31, TOO_LONG, id="31-ascii"),
        pytest.param("😀" * 16, TOO_LONG, id="32-utf16-units"),  # mezmo-api 24 Q6
        pytest.param("a\0b", '"name" must not contain NULs or unpaired surrogates', id="nul"),
        pytest.param("\ud800", '"name" must not contain NULs or unpaired surrogates', id="lone-surrogate"),
    ],
)
def test_name_outside_the_rules_is_told_in_joi_words(name, message):
    assert [(detail.message, detail.key) for detail in name_rules_broken(name)] == [(message, "name")]


def test_repr_of_a_key_keeps_the_value_to_itself():
    key = Key(id="0" * 24, account_id="0" * 10, kind=KeyKind.SERVICE, name="n", value="canary" * 4, created_ms=1)
    assert "canary" not in repr(key)
    assert "canary" not in str(key)


@pytest.mark.parametrize(
    ("text", "is_id"),
    [
        ("0123456789abcdef01234567", True),
        ("0" * 23, False),
        ("0" * 25, False),
        ("A" * 24, False),
        ("0" * 24 + "\n", False),
    ],
)
def test_key_id_has_24_lowercase_hex_digits(text, is_id):
    assert is_key_id(text) is is_id
