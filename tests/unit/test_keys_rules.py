"""Which change of a key is allowed when, and what comes of it. Evidence: keys.md 5.5, 5.7; issue of the key's life."""

from dataclasses import replace

import pytest

from logboom.errors import KeyStateConflict, ValidationFailed
from logboom.keys import life
from logboom.keys.key import Key, KeyKind, KeyState, Reveal

NOW = 1_700_000_000_000
ACTIVE = Key(id="b" * 24, account_id="a" * 10, kind=KeyKind.SERVICE, name="n", value="v" * 32, created_ms=0)
HELD = replace(ACTIVE, state=KeyState.HELD, held_until_ms=NOW + 5)
DISABLED = replace(ACTIVE, state=KeyState.DISABLED)
LATER = NOW + 900_000

CHANGES = {
    "hold": lambda key: life.held(key, LATER),
    "release": life.released,
    "disable": life.disabled,
    "enable": life.enabled,
    "rotate": lambda key: life.rotated(key, NOW, 0).state,
}
HELD_LATER = replace(ACTIVE, state=KeyState.HELD, held_until_ms=LATER)


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        ("hold", ACTIVE, HELD_LATER),
        ("hold", HELD, HELD_LATER),
        ("hold", DISABLED, None),
        ("release", ACTIVE, ACTIVE),
        ("release", HELD, ACTIVE),
        ("release", DISABLED, None),
        ("disable", ACTIVE, DISABLED),
        ("disable", HELD, DISABLED),
        ("disable", DISABLED, DISABLED),
        ("enable", ACTIVE, ACTIVE),
        ("enable", HELD, None),
        ("enable", DISABLED, ACTIVE),
        ("rotate", ACTIVE, KeyState.ACTIVE),
        ("rotate", HELD, None),
        ("rotate", DISABLED, None),
    ],
    ids=lambda case: case if isinstance(case, str) else getattr(case, "state", case),
)
def test_the_table_of_changes(change, before, after):
    if after is None:
        with pytest.raises(KeyStateConflict):
            CHANGES[change](before)
    else:
        assert CHANGES[change](before) == after


@pytest.mark.parametrize("change", ["release", "enable"])
def test_what_changes_nothing_is_the_same_key(change):
    assert CHANGES[change](ACTIVE) is ACTIVE
    assert life.edited(ACTIVE, {"name": "n"}, NOW) is ACTIVE
    assert life.overlap_ended(ACTIVE) is ACTIVE


@pytest.mark.parametrize(
    ("expires_at_ms", "overlap_ms", "until_ms"),
    [
        pytest.param(None, 60_000, NOW + 60_000, id="the overlap"),
        pytest.param(NOW + 10, 60_000, NOW + 10, id="never beyond the key's expiry"),
        pytest.param(NOW + 60_001, 60_000, NOW + 60_000, id="the expiry is later"),
        pytest.param(None, 0, None, id="no overlap"),
        pytest.param(NOW + 10, 0, None, id="no overlap before the expiry"),
    ],
)
def test_an_old_value_goes_on_for_the_overlap(expires_at_ms, overlap_ms, until_ms):
    before = replace(ACTIVE, expires_at_ms=expires_at_ms, is_imported=True)
    after = life.rotated(before, NOW, overlap_ms)
    assert (after.generation, after.retiring_until_ms) == (2, until_ms)
    assert (after.value, after.mask, after.is_imported) == (None, None, False)


def test_an_expired_key_does_not_rotate():
    with pytest.raises(KeyStateConflict):
        life.rotated(replace(ACTIVE, expires_at_ms=NOW), NOW, 0)


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        (Reveal.ALWAYS, Reveal.STEP_UP, True),
        (Reveal.ALWAYS, Reveal.NEVER, True),
        (Reveal.STEP_UP, Reveal.NEVER, True),
        (Reveal.STEP_UP, Reveal.ALWAYS, False),
        (Reveal.NEVER, Reveal.ALWAYS, False),
        (Reveal.NEVER, Reveal.STEP_UP, False),
    ],
)
def test_reveal_becomes_stricter_only(before, after, allowed):
    key = replace(ACTIVE, reveal=before)
    if allowed:
        changed = life.edited(key, {"reveal": after}, NOW)
        assert (changed.reveal, changed.value) == (after, None)
    else:
        with pytest.raises(ValidationFailed, match="stricter"):
            life.edited(key, {"reveal": after}, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"expires_at_ms": NOW},
        {"expires_at_ms": NOW // 1_000 + 86_400},
        {"expires_at_ms": NOW + 5, "not_before_ms": NOW + 5},
    ],
    ids=["past", "seconds", "before it begins"],
)
def test_a_key_that_could_never_open_is_refused(changes):
    with pytest.raises(ValidationFailed):
        life.edited(ACTIVE, changes, NOW)


def test_other_members_of_an_expired_key_can_be_changed():
    expired = replace(ACTIVE, expires_at_ms=NOW - 1)
    assert life.edited(expired, {"name": "old"}, NOW).name == "old"
    assert life.edited(expired, {"expires_at_ms": None}, NOW).expires_at_ms is None


@pytest.mark.parametrize(
    ("text", "duration_ms"),
    [
        ("0", 0),
        ("0s", 0),
        ("90s", 90_000),
        ("15m", 900_000),
        ("24h", 86_400_000),
        ("30d", 30 * 86_400_000),
    ],
)
def test_durations_are_read(text, duration_ms):
    assert life.parse_overlap(text) == duration_ms


@pytest.mark.parametrize(
    "text", ["", "1", "-1s", "1.5h", "1h30m", " 1h", "1w", "٣h", "1h\n", "31d", "999999999d", "01h"]
)
def test_other_texts_are_no_durations(text):
    with pytest.raises(ValidationFailed) as refused:
        life.parse_overlap(text)
    assert refused.value.details[0].key == "overlap"


@pytest.mark.parametrize("text", ["0", "0m", "25h", "2d"])
def test_a_hold_has_bounds(text):
    with pytest.raises(ValidationFailed):
        life.parse_hold(text)
    assert life.parse_hold("24h") == 86_400_000
