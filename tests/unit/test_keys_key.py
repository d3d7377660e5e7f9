"""The rules of key values and names."""

import secrets
from dataclasses import replace

import pytest

from logboom.errors import ValidationFailed
from logboom.keys.key import (
    Key,
    KeyKind,
    KeyState,
    check_texts,
    is_key_id,
    label_rules_broken,
    mint_name,
    name_rules_broken,
)

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


def said(broken):
    return [(detail.message, detail.key) for detail in broken]


ODD = "must not contain NULs or unpaired surrogates"


@pytest.mark.parametrize(("member", "limit"), [("name", 200), ("note", 1_000), ("owner", 200)])
def test_texts_have_a_length_and_no_odd_characters(member, limit):
    check_texts({member: "x" * limit})
    for text, rule in (
        ("x" * (limit + 1), f"length must be less than or equal to {limit} characters long"),
        ("a\0", ODD),
        ("\ud800", ODD),
        ("\udfff", ODD),
    ):
        with pytest.raises(ValidationFailed) as raised:
            check_texts({member: text})
        assert said(raised.value.details) == [(f'"{member}" {rule}', member)]
    check_texts({member: "\ud7ff\ue000"})


def test_labels_are_few_named_and_short():
    assert label_rules_broken({}) == ()
    assert label_rules_broken({f"{number:080}": "t" * 80 for number in range(20)}) == ()
    many = ('"labels" must have less than or equal to 20 keys', "labels")
    assert said(label_rules_broken({str(number): "" for number in range(21)})) == [many]
    nameless = ('"labels" must not have a label without a name', "labels")
    assert said(label_rules_broken({"a": "b", "": "c"})) == [nameless]
    long = ('"labels" length must be less than or equal to 80 characters long', "labels")
    assert said(label_rules_broken({"n" * 81: ""})) == [long]
    assert said(label_rules_broken({"a": "t" * 81, "b": "t" * 81})) == [long]
    assert said(label_rules_broken({"a": "\0"})) == [(f'"labels" {ODD}', "labels")]


def test_all_texts_are_looked_at_and_others_are_not():
    with pytest.raises(ValidationFailed) as raised:
        check_texts({"owner": "\0", "name": "\0", "labels": {"": ""}, "note": "fine", "format": "\0"})
    assert [detail.key for detail in raised.value.details] == ["name", "owner", "labels"]
    check_texts({})


def test_a_name_of_the_native_api_may_be_longer_but_not_there():
    assert said(name_rules_broken("x" * 201)) == [(TOO_LONG, "name")]


NOW_MS = 1_700_000_000_000
KEY = Key(id="0" * 24, account_id="0" * 10, kind=KeyKind.SERVICE, name="n", value="v", mask="m", created_ms=1)


def test_a_hold_and_an_overlap_end_by_themselves():
    held = replace(KEY, state=KeyState.HELD, held_until_ms=NOW_MS, retiring_until_ms=NOW_MS + 1)
    assert held.at(NOW_MS - 1) is held
    assert held.at(NOW_MS) == replace(held, state=KeyState.ACTIVE, held_until_ms=None)
    assert held.at(NOW_MS + 1) == KEY
    disabled = replace(KEY, state=KeyState.DISABLED)
    assert disabled.at(NOW_MS) is disabled


def test_a_key_without_its_value_keeps_all_else():
    assert KEY.without_value() == replace(KEY, value=None)
