"""What a key with some scopes may do and give to others. Evidence: keys.md 5.11."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logboom.keys.scopes import FULL, PRESETS, Scope, covers, lacking, read_scopes, render_scopes

SCOPES = st.none() | st.frozensets(st.sampled_from(Scope))


@given(SCOPES, SCOPES)
def test_one_covers_another_exactly_when_it_lacks_nothing_that_the_other_can(own, other):
    can = set(Scope) | {"what comes later"} if other is FULL else set(other)
    has = set(Scope) | {"what comes later"} if own is FULL else set(own)
    assert covers(own, other) == (can <= has)


@given(SCOPES, SCOPES, SCOPES)
def test_what_is_given_on_is_never_more_than_there_was_at_first(first, second, third):
    if covers(first, second) and covers(second, third):
        assert covers(first, third)
    assert covers(first, first)


@given(SCOPES, st.lists(st.sampled_from(Scope), unique=True))
def test_what_is_lacking_is_what_has_to_be_added(own, needed):
    missing = lacking(own, needed)
    assert set(missing) == (set() if own is FULL else set(needed) - own)
    if own is not FULL:
        assert lacking(own | set(missing), needed) == ()


@given(SCOPES)
def test_scopes_are_read_back_as_they_were_stored(scopes):
    rendered = render_scopes(scopes)
    assert read_scopes(None if rendered is None else json.dumps(rendered)) == scopes


def test_a_name_that_is_not_known_allows_nothing():
    assert read_scopes('["keys:read", "keys:own", "*"]') == {Scope.KEYS_READ}


@pytest.mark.parametrize("stored", ["[]", "", "{", "null", '"keys:read"', '{"keys:read": true}'])
def test_what_cannot_be_read_allows_nothing(stored):
    assert read_scopes(stored) == frozenset()


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "full"])
def test_no_preset_but_the_full_one_reveals_values_or_has_everything(name):
    assert PRESETS[name]
    assert Scope.KEYS_REVEAL not in PRESETS[name]
    assert not covers(PRESETS[name], FULL)


def test_the_full_preset_has_everything():
    assert covers(PRESETS["full"], FULL)
    assert not covers(frozenset(Scope), FULL)
