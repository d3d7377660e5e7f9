"""Audit events: no member that may hold a key value is accepted at any depth, and texts are cut to their columns."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logboom.audit.columns import CHARACTERS_MAX, columns_of, row_of
from logboom.audit.event import (
    FORBIDDEN_MEMBERS,
    SYSTEM,
    Action,
    Actor,
    ActorKind,
    AuditEvent,
    AuditRow,
    Door,
    ForbiddenMember,
    SubjectKind,
)
from logboom.keys.change import ActorKind as KeyActorKind
from logboom.keys.change import KeyAction

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def make_event(**members):
    usual = {"account_id": "a" * 10, "action": Action.KEY_CREATED, "actor": SYSTEM, "door": Door.API}
    return AuditEvent(**(usual | {"subject_kind": SubjectKind.KEY, "at_ms": 1} | members))


def names_of(content):
    if isinstance(content, dict):
        return {name.lower() for name in content}.union(*map(names_of, content.values()))
    return set().union(*map(names_of, content)) if isinstance(content, list) else set()


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"key": "0f" * 16}, id="key"),
        pytest.param({"name": "web", "value": None}, id="even without a value"),
        pytest.param({"secret": {}}, id="secret"),
        pytest.param({"password": ""}, id="password"),
        pytest.param({"Key": 1}, id="capital"),
        pytest.param({"labels": {"KEY": 1}}, id="inside an object"),
        pytest.param({"list": [1, [{"value": 1}]]}, id="inside arrays"),
        pytest.param({"list": ({"value": 1},)}, id="inside a tuple"),
    ],
)
def test_members_that_may_hold_a_value_are_refused(side, content):
    with pytest.raises(ForbiddenMember):
        make_event(**{side: content})


@given(before=st.dictionaries(st.sampled_from(["key", "valuE", "secrets", "name", ""]) | st.text(), JSON, max_size=3))
def test_a_member_is_refused_exactly_when_its_name_is_forbidden(before):
    is_forbidden = bool(names_of(before) & FORBIDDEN_MEMBERS)
    try:
        make_event(before=before)
    except ForbiddenMember:
        assert is_forbidden
    else:
        assert not is_forbidden


@given(st.dictionaries(st.text().filter(lambda name: name.lower() not in FORBIDDEN_MEMBERS), st.text()))
def test_an_event_is_the_same_after_it_was_a_row(content):
    event = make_event(before=content, after=None, subject_id="c" * 24, actor=Actor(kind=ActorKind.CLI, name="root"))
    assert row_of(columns_of(7, event) | {"hash": b"h"}) == AuditRow(seq=7, event=event, hash=b"h")


def test_what_comes_from_outside_is_cut_and_cleaned_to_what_a_database_keeps():
    hostile = "\0\ud800" + "😀" * 1000
    actor = Actor(kind=ActorKind.SERVICE_KEY, id=hostile, name=hostile)
    places = dict.fromkeys(("address", "user_agent", "request_id", "subject_id"), hostile)
    columns = columns_of(1, make_event(actor=actor, before={hostile: hostile}, **places))
    assert {name: columns[name] for name in CHARACTERS_MAX} == {
        name: ("\ufffd?" + "😀" * 1000)[:longest] for name, longest in CHARACTERS_MAX.items()
    }
    assert json.loads(columns["before"]) == {"\0?" + "😀" * 1000: "\0?" + "😀" * 1000}
    assert "\0" not in columns["before"]


@pytest.mark.parametrize("action", KeyAction)
def test_every_change_of_a_key_has_its_action(action):
    assert Action(f"key.{action.value}")


@pytest.mark.parametrize("kind", KeyActorKind)
def test_whoever_can_change_a_key_can_be_told(kind):
    assert ActorKind(kind.value)
