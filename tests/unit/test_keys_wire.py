"""Mezmo's spelling of keys: what is read, what is refused and in which words. Evidence: mezmo-api 3, 4, 24 Q5-Q7."""

import pytest

from logboom.errors import ValidationFailed
from logboom.keys import wire
from logboom.keys.key import Key, KeyKind, NewKey

TYPE_MISSING = ('"type" is required', "type")
TYPE_WRONG = ('"type" must be one of [ingestion, service]', "type")
NAME_NO_STRING = ('"name" must be a string', "name")
NAME_LONG = ('"name" length must be less than or equal to 30 characters long', "name")
BAD_JSON = ('"value" must be valid JSON', "value")
NO_OBJECT = ('"value" must be of type object', "value")


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"", ""),
        (b" \n", ""),
        (b"{}", ""),
        (b'{"name":""}', ""),
        (b'{"name":"edge"}', "edge"),
        (b'{"name":"a","type":"service","x":[1,{}]}', "a"),
    ],
    ids=["none", "blank", "empty", "empty-name", "name", "unknown-members-ignored"],
)
def test_new_key_is_read(body, name):
    assert wire.parse_new_key("ingestion", body) == NewKey(kind=KeyKind.INGESTION, name=name)
    assert wire.parse_name(body) == name


@pytest.mark.parametrize(
    ("kind", "body", "details"),
    [
        pytest.param(None, b"", [TYPE_MISSING], id="no-type"),
        pytest.param(None, b'{"type":"service"}', [TYPE_MISSING], id="type-in-body"),
        pytest.param("", b"", [TYPE_WRONG], id="empty-type"),
        pytest.param("all", b"", [TYPE_WRONG], id="type-all"),
        pytest.param("Ingestion", b"", [TYPE_WRONG], id="capital"),
        pytest.param("service", b'{"name":null}', [NAME_NO_STRING], id="null-name"),
        pytest.param("service", b'{"name":["a"]}', [NAME_NO_STRING], id="array-name"),
        pytest.param("x", b'{"name":"' + b"n" * 31 + b'"}', [TYPE_WRONG, NAME_LONG], id="both-reported"),
        pytest.param("service", b"{", [BAD_JSON], id="broken"),
        pytest.param("service", b'{"name":"\xff"}', [BAD_JSON], id="not-utf8"),
        pytest.param("service", b'{"name":"\\ud800x"}', [BAD_JSON], id="lone-surrogate"),
        pytest.param("service", b"[" * 60_000, [BAD_JSON], id="deep"),
        pytest.param("service", b"[]", [NO_OBJECT], id="array"),
        pytest.param("service", b"null", [NO_OBJECT], id="null"),
    ],
)
def test_new_key_is_refused_with_every_rule_it_breaks(kind, body, details):
    with pytest.raises(ValidationFailed) as refused:
        wire.parse_new_key(kind, body)
    assert [(detail.message, detail.key) for detail in refused.value.details] == details


@pytest.mark.parametrize(
    ("text", "kind"), [(None, None), ("all", None), ("service", KeyKind.SERVICE), ("ingestion", KeyKind.INGESTION)]
)
def test_kind_filter_is_read(text, kind):
    assert wire.parse_kind_filter(text) is kind


@pytest.mark.parametrize("text", ["", "x", "ALL"])
def test_kind_filter_is_refused(text):
    with pytest.raises(ValidationFailed) as refused:
        wire.parse_kind_filter(text)
    assert refused.value.message == TYPE_WRONG[0]


def test_key_has_the_five_documented_members():
    key = Key(
        id="b" * 24, account_id="a" * 10, kind=KeyKind.SERVICE, name="n", value="v" * 32, created_ms=1_700_000_000_000
    )
    assert wire.render_key(key) == {
        "id": "b" * 24,
        "key": "v" * 32,
        "name": "n",
        "type": "service",
        "created": 1_700_000_000_000,
    }
