"""The JSON of `/api/keys`: what is read and what is refused, in which words, and what a key looks like outside."""

import json

import pytest
from starlette.datastructures import QueryParams

from logboom.errors import ValidationFailed
from logboom.keys import native_wire as wire
from logboom.keys.key import Caller, Key, KeyFormat, KeyKind, KeyState, NewKey, Reveal
from logboom.keys.narrowing import Narrowing
from logboom.keys.nodes import Seen
from logboom.keys.readers import EPOCH_MS_MAX
from logboom.keys.scopes import PRESETS, Scope
from logboom.keys.terms import Limits, Network

NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000
KEY_ID, OTHER_KEY_ID = "a" * 24, "b" * 24
VALUE = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"


def body(**members):
    return json.dumps(members).encode()


def refused(read, *arguments):
    """What is said of each member that is wrong."""
    with pytest.raises(ValidationFailed) as raised:
        read(*arguments)
    return [(detail.message, detail.key) for detail in raised.value.details]


def make_key(**members):
    usual = {
        "id": KEY_ID,
        "account_id": "c" * 10,
        "kind": KeyKind.SERVICE,
        "name": "web",
        "created_ms": NOW_MS - DAY_MS,
    }
    return Key(**(usual | {"created_by": OTHER_KEY_ID} | members))


# -- reading ----------------------------------------------------------------------------------------------------------

WRITTEN = {
    "name": "web",
    "note": "for the exporter",
    "owner": "ops",
    "labels": {"team": "edge"},
    "not_before_ms": 5,
    "expires_at_ms": None,
    "reveal": "step_up",
    "scopes": ["keys:read", "export:read"],
}
READ = {
    **WRITTEN,
    "reveal": Reveal.STEP_UP,
    "scopes": frozenset({Scope.KEYS_READ, Scope.EXPORT_READ}),
}


def test_all_that_is_written_on_a_key_is_read():
    assert wire.parse_changes(body(**WRITTEN)) == READ
    new = NewKey(kind=KeyKind.SERVICE, format=KeyFormat.NATIVE, **READ)
    assert wire.parse_new_key(body(type="service", format="native", **WRITTEN)) == new
    imported = NewKey(kind=KeyKind.SERVICE, **READ)
    assert wire.parse_import(body(type="service", value=VALUE, **WRITTEN)) == (imported, VALUE)


def test_what_is_left_out_is_not_made_up():
    assert wire.parse_changes(b"") == {}
    assert wire.parse_new_key(body(type="ingestion")) == NewKey(kind=KeyKind.INGESTION)


def test_what_is_needed_must_be_there():
    assert refused(wire.parse_new_key, b"") == [('"type" is required', "type")]
    assert refused(wire.parse_import, b"{}") == [('"type" is required', "type"), ('"value" is required', "value")]
    assert refused(wire.parse_exposed, b"") == [('"value" is required', "value")]


NO_CHANGES = {
    "type": ("service", '"type" is not allowed'),
    "format": ("native", '"format" is not allowed'),
    "value": (VALUE, '"value" is not allowed'),
    "expires_at": (1, '"expires_at" is not allowed'),
    "x" * 41: (1, f'"{"x" * 40}" is not allowed'),
    "name": (None, '"name" must be a string'),
    "note": (1, '"note" must be a string'),
    "owner": ([], '"owner" must be a string'),
    "labels": ({"team": 1}, '"labels" must be an object of strings'),
    "reveal": ("sometimes", '"reveal" must be one of [always, step_up, never]'),
    "not_before_ms": (True, '"not_before_ms" must be a time in milliseconds since 1970, or null'),
    "expires_at_ms": ("1", '"expires_at_ms" must be a time in milliseconds since 1970, or null'),
}


@pytest.mark.parametrize("member", NO_CHANGES)
def test_a_change_that_cannot_be_is_refused(member):
    given, message = NO_CHANGES[member]
    assert refused(wire.parse_changes, body(**{member: given})) == [(message, member[:40])]


def test_all_that_is_wrong_is_told_at_once():
    given = body(**{member: given for member, (given, _) in NO_CHANGES.items()})
    assert [message for message, _ in refused(wire.parse_changes, given)] == [said for _, said in NO_CHANGES.values()]


@pytest.mark.parametrize("moment", [-1, EPOCH_MS_MAX + 1, 1.5, "5", False])
def test_a_moment_that_is_none_is_refused(moment):
    assert len(refused(wire.parse_changes, body(not_before_ms=moment))) == 1


@pytest.mark.parametrize("moment", [0, EPOCH_MS_MAX])
def test_the_first_and_the_last_moment_are_moments(moment):
    assert wire.parse_changes(body(not_before_ms=moment)) == {"not_before_ms": moment}


@pytest.mark.parametrize("labels", [[], "a", None, {"a": None}])
def test_labels_are_an_object_of_strings(labels):
    assert refused(wire.parse_changes, body(labels=labels)) == [('"labels" must be an object of strings', "labels")]


def test_scopes_are_names_or_a_preset_or_everything():
    assert wire.parse_changes(body(scopes=None)) == {"scopes": None}
    for name, scopes in PRESETS.items():
        assert wire.parse_changes(body(scopes=name)) == {"scopes": scopes}


PRESET_NAMES = "full, export-only, config-read, config-write, keys-read, keys-manage, audit-read, usage-read"
NO_SCOPES = f'"scopes" must be an array of scopes, null, or one of [{PRESET_NAMES}]'


@pytest.mark.parametrize("given", [[], "everything", 1, {}, True])
def test_scopes_that_are_none_are_refused(given):
    assert refused(wire.parse_changes, body(scopes=given)) == [(NO_SCOPES, "scopes")]


def test_a_scope_that_is_not_known_is_named_by_its_place():
    ((message, key),) = refused(wire.parse_changes, body(scopes=["keys:read", "keys:write"]))
    assert message.startswith('"scopes[1]" must be one of [export:read, config:read')
    assert key == "scopes[1]"


def test_durations():
    assert wire.parse_hold_ms(b"") == 15 * 60_000
    assert wire.parse_hold_ms(body(**{"for": "90s"})) == 90_000
    assert wire.parse_overlap_ms(b"{}") == 24 * 3_600_000
    assert wire.parse_overlap_ms(body(overlap="15m")) == 15 * 60_000
    assert [wire.parse_overlap_ms(body(overlap=none)) for none in ("0", 0)] == [0, 0]


@pytest.mark.parametrize("given", [False, 1, 0.0, None, []])
def test_an_overlap_that_is_none_is_refused(given):
    assert refused(wire.parse_overlap_ms, body(overlap=given)) == [('"overlap" must be a string', "overlap")]
    assert refused(wire.parse_hold_ms, body(**{"for": given})) == [('"for" must be a string', "for")]


def test_an_exposed_value_is_read_without_what_stands_around_it_and_never_whole_when_it_is_long():
    assert wire.parse_exposed(body(value=f" {VALUE}\n")) == VALUE
    assert wire.parse_exposed(body(value="x" * 1_000)) == "x" * 81
    assert refused(wire.parse_exposed, body(value=1)) == [('"value" must be a string', "value")]


def test_nothing_is_read_where_nothing_is_wanted():
    assert wire.parse_nothing(b"") is None
    assert wire.parse_nothing(b"{}") is None
    assert refused(wire.parse_nothing, body(a=1)) == [('"a" is not allowed', "a")]


def test_names_of_requests():
    assert wire.parse_idempotency_key(None) is None
    assert wire.parse_idempotency_key("") is None
    assert wire.parse_idempotency_key("n" * 255) == "n" * 255
    said = '"Idempotency-Key" length must be less than or equal to 255 characters long'
    assert refused(wire.parse_idempotency_key, "n" * 256) == [(said, "Idempotency-Key")]


# -- which keys to list -----------------------------------------------------------------------------------------------


def parse_filter(**parameters):
    return wire.parse_filter(QueryParams(parameters))


def test_without_parameters_every_key_is_listed():
    assert parse_filter() == wire.KeyFilter(kind=None, state=None, label=None, limit=100, after_id=None)


def test_every_parameter_narrows_the_list():
    found = parse_filter(type="service", state="held", label="team=edge=1", limit="7", after=KEY_ID)
    assert found == wire.KeyFilter(
        kind=KeyKind.SERVICE, state=KeyState.HELD, label=("team", "edge=1"), limit=7, after_id=KEY_ID
    )
    assert parse_filter(label="team").label == ("team", None)
    assert parse_filter(label="team=").label == ("team", "")
    assert [parse_filter(limit=limit).limit for limit in ("1", "100")] == [1, 100]


LIMIT = ('"limit" must be a number from 1 to 100', "limit")
NO_FILTERS = [
    ({"limit": "0"}, LIMIT),
    ({"limit": "101"}, LIMIT),
    ({"limit": ""}, LIMIT),
    ({"limit": "-1"}, LIMIT),
    ({"limit": "²"}, LIMIT),
    ({"limit": "٣"}, LIMIT),
    ({"limit": "1" * 10_000}, LIMIT),
    ({"after": "x"}, ('"after" must be the id of a key', "after")),
    ({"state": "gone"}, ('"state" must be one of [active, held, disabled, deleted]', "state")),
    ({"type": "x"}, ('"type" must be one of [ingestion, service]', "type")),
]


@pytest.mark.parametrize(("parameters", "said"), NO_FILTERS)
def test_a_parameter_that_cannot_be_is_refused(parameters, said):
    assert refused(wire.parse_filter, QueryParams(parameters)) == [said]


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({}, True),
        ({"state": KeyState.ACTIVE}, True),
        ({"state": KeyState.HELD}, False),
        ({"label": ("team", None)}, True),
        ({"label": ("team", "edge")}, True),
        ({"label": ("team", "web")}, False),
        ({"label": ("owner", None)}, False),
        ({"state": KeyState.ACTIVE, "label": ("team", "web")}, False),
    ],
)
def test_state_and_label_fit_or_not(wanted, fits):
    assert wire.KeyFilter(**wanted).fits(make_key(labels={"team": "edge"})) is fits


# -- what is shown ----------------------------------------------------------------------------------------------------

NARROWING = Narrowing(apps=("web",))
NETWORK = Network(deny=("192.0.2.0/24",))
LIMITS = Limits(requests_per_s=5)
WHOLE = {
    "id": KEY_ID,
    "type": "service",
    "name": "web",
    "note": "n",
    "labels": {"team": "edge"},
    "owner": "ops",
    "mask": "…e1f0",
    "format": "native",
    "reveal": "step_up",
    "scopes": ["export:read"],
    "narrowing": {"apps": ("web",)},
    "network": {"allow": (), "deny": ("192.0.2.0/24",), "dry_run": False},
    "limits": {"requests_per_s": 5},
    "imported": True,
    "created_by": OTHER_KEY_ID,
    "created_ms": NOW_MS - 60 * DAY_MS,
    "last_used_ms": NOW_MS - 3,
    "state": "held",
    "refusal": "held",
    "generation": 3,
    "retiring_until_ms": NOW_MS + 4,
    "held_until_ms": NOW_MS + 5,
    "not_before_ms": NOW_MS - 6,
    "expires_at_ms": NOW_MS + DAY_MS + 1,
    "expiry_warning": 2,
    "deleted_ms": None,
}


def whole_key(**members):
    own = {
        name: WHOLE[name] for name in ("note", "labels", "owner", "mask", "created_ms", "last_used_ms", "generation")
    }
    own |= {name: text for name, text in WHOLE.items() if name.endswith("_until_ms")}
    own |= {"not_before_ms": WHOLE["not_before_ms"], "expires_at_ms": WHOLE["expires_at_ms"], "value": VALUE}
    own |= {"state": KeyState.HELD, "format": KeyFormat.NATIVE, "reveal": Reveal.STEP_UP, "is_imported": True}
    own |= {"narrowing": NARROWING, "network": NETWORK, "limits": LIMITS}
    return make_key(**(own | {"scopes": frozenset({Scope.EXPORT_READ})} | members))


def test_all_of_a_key_is_shown_but_its_value():
    assert wire.render_key(whole_key(), NOW_MS) == WHOLE
    assert wire.render_key(whole_key(), NOW_MS, with_value=True) == WHOLE | {"value": VALUE}


@pytest.mark.parametrize(
    ("members", "refusal"),
    [
        ({"state": KeyState.ACTIVE, "held_until_ms": None}, None),
        ({"state": KeyState.DISABLED, "held_until_ms": None}, "disabled"),
        ({"state": KeyState.DELETED, "deleted_ms": NOW_MS}, "deleted"),
        ({"expires_at_ms": NOW_MS}, "expired"),
        ({"not_before_ms": NOW_MS + 1}, "not_yet_valid"),
    ],
)
def test_why_a_key_is_refused_is_shown(members, refusal):
    assert wire.render_key(whole_key(**members), NOW_MS)["refusal"] == refusal


def test_a_page_of_keys():
    shown = wire.render_keys([make_key(), whole_key()], NOW_MS, after_id=KEY_ID)
    assert shown == {"keys": [wire.render_key(make_key(), NOW_MS), WHOLE], "after": KEY_ID}


def caller(generation=3, key_id=KEY_ID):
    return Caller(account_id="c" * 10, key_id=key_id, kind=KeyKind.SERVICE, generation=generation)


def test_who_holds_a_key_sees_little_of_it():
    own = ("id", "type", "name", "scopes", "state", "refusal", "generation", "held_until_ms", "not_before_ms")
    shown = {name: WHOLE[name] for name in (*own, "expires_at_ms", "expiry_warning", "deleted_ms")}
    assert wire.render_self(whole_key(), caller(3), NOW_MS) == shown | {"account": "c" * 10, "retiring_until_ms": None}
    old = wire.render_self(whole_key(), caller(2), NOW_MS)
    assert (old["generation"], old["retiring_until_ms"]) == (2, NOW_MS + 4)


def test_what_was_deleted_is_told():
    gone, child = make_key(), make_key(id=OTHER_KEY_ID)
    assert wire.render_deleted([gone], caller(key_id="d" * 24), children=["e" * 24]) == {
        "id": KEY_ID,
        "deleted": True,
        "message": f"Key {KEY_ID} was deleted.",
        "deleted_children": [],
        "children": ["e" * 24],
    }
    own = wire.render_deleted([gone, child], caller(key_id=OTHER_KEY_ID), children=[])
    assert own["message"] == f"Key {KEY_ID} was deleted. So were 1 that go back to it. It was the key of this request."
    assert own["deleted_children"] == [OTHER_KEY_ID]


def test_an_exposed_value_is_answered_alike():
    assert wire.render_exposed() == {"message": "If this was the value of a key, it is refused from now on."}


def test_who_has_seen_a_change_is_told():
    assert wire.render_seen(Seen(names=("a:1",), missing=(), waited_ms=3)) == {
        "seen": {"all": True, "servers": ("a:1",), "missing": (), "waited_ms": 3}
    }
    assert wire.render_seen(Seen(names=(), missing=("b:2",), waited_ms=9))["seen"]["all"] is False
