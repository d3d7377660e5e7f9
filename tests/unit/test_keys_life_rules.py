"""In which words the rules of a key's life refuse, and what they leave of a key. Which change is allowed: see rules."""

from dataclasses import replace

import pytest

from logboom.errors import KeyStateConflict, ValidationFailed
from logboom.keys import life
from logboom.keys.change import SYSTEM
from logboom.keys.key import Key, KeyFormat, KeyKind, KeyState, NewKey, Reveal
from logboom.keys.narrowing import Narrowing
from logboom.keys.policy import DEFAULT_POLICY, KeyPolicy, OnLeak, PolicyChange, check_lifetime
from logboom.keys.scopes import Scope
from logboom.keys.terms import Limits, Network, OnExcess

NOW = 1_700_000_000_000
DAY_MS = 86_400_000
ACTIVE = Key(
    id="b" * 24, account_id="a" * 10, kind=KeyKind.SERVICE, name="n", value="v" * 32, mask="…vvvv", created_ms=0
)
HELD = replace(ACTIVE, state=KeyState.HELD, held_until_ms=NOW + 5)
DISABLED = replace(ACTIVE, state=KeyState.DISABLED)

CONFLICTS = [
    (lambda: life.held(DISABLED, NOW), "The key is disabled. Enable it first."),
    (lambda: life.released(DISABLED), "The key is disabled, not held. Enable it instead."),
    (lambda: life.enabled(HELD), "The key is held, not disabled. Release it instead."),
    (lambda: life.rotated(HELD, NOW, 0), "The key is held. Release it first."),
    (lambda: life.rotated(DISABLED, NOW, 0), "The key is disabled. Enable it first."),
    (
        lambda: life.rotated(replace(ACTIVE, expires_at_ms=NOW), NOW, 0),
        "The key has expired. Give it a later expiry first.",
    ),
]


@pytest.mark.parametrize(("change", "message"), CONFLICTS)
def test_a_change_that_is_not_allowed_says_what_to_do_instead(change, message):
    with pytest.raises(KeyStateConflict) as raised:
        change()
    assert raised.value.message == message


def test_what_changes_nothing_is_the_same_key():
    assert life.disabled(DISABLED) is DISABLED
    retiring = replace(ACTIVE, retiring_until_ms=NOW)
    assert life.overlap_ended(retiring) == ACTIVE
    assert life.overlap_ended(ACTIVE) is ACTIVE


def test_a_rotation_keeps_all_but_the_value():
    before = replace(ACTIVE, note="n", labels={"a": "b"}, expires_at_ms=NOW + DAY_MS, generation=4)
    after = life.rotated(before, NOW, 1_000)
    assert after == replace(before, generation=5, retiring_until_ms=NOW + 1_000, value=None, mask=None)


def test_a_deleted_key_keeps_what_it_was_and_no_value():
    before = replace(HELD, note="n", retiring_until_ms=NOW + 1, expires_at_ms=NOW + DAY_MS)
    after = life.deleted(before, NOW)
    ended = {"held_until_ms": None, "retiring_until_ms": None, "deleted_ms": NOW, "value": None, "mask": None}
    assert after == replace(before, state=KeyState.DELETED, **ended)


def said(change, *arguments):
    with pytest.raises(ValidationFailed) as raised:
        change(*arguments)
    return [(detail.message, detail.key) for detail in raised.value.details]


PAST = ('"expires_at_ms" must be later than now, in milliseconds', "expires_at_ms")
BEFORE_BEGINNING = ('"expires_at_ms" must be later than not_before_ms', "expires_at_ms")


def test_times_that_do_not_fit_are_told():
    assert said(life.check_times, None, NOW, NOW) == [PAST]
    assert said(life.check_times, NOW + 5, NOW + 5, NOW) == [BEFORE_BEGINNING]
    assert life.check_times(NOW + 4, NOW + 5, NOW) is None
    assert life.check_times(None, NOW + 1, NOW) is None
    assert life.check_times(NOW, None, NOW) is None


def test_an_edit_looks_at_times_when_one_of_them_changes():
    odd = replace(ACTIVE, not_before_ms=NOW + 5, expires_at_ms=NOW + 5)
    assert life.edited(odd, {"name": "m", "not_before_ms": NOW + 5}, NOW).name == "m"
    assert said(life.edited, odd, {"not_before_ms": NOW + 6}, NOW) == [BEFORE_BEGINNING]
    assert said(life.edited, odd, {"expires_at_ms": NOW}, NOW) == [PAST]


def test_an_edit_that_would_reveal_more_is_refused():
    strict = replace(ACTIVE, reveal=Reveal.NEVER)
    assert said(life.edited, strict, {"reveal": Reveal.ALWAYS}, NOW) == [
        ('"reveal" can only become stricter', "reveal")
    ]
    assert life.edited(ACTIVE, {"name": "m"}, NOW) == replace(ACTIVE, name="m")
    assert life.edited(replace(strict, value=None), {"name": "m"}, NOW).reveal is Reveal.NEVER


EVERY_LIMIT = Limits(requests_per_s=1, bytes_per_day=1, lines_per_day=1, on_excess=OnExcess.HOLD)


@pytest.mark.parametrize("of", [NewKey, lambda **members: replace(ACTIVE, **members)], ids=["new", "edited"])
def test_what_does_not_fit_the_kind_is_told_at_once(of):
    service = of(kind=KeyKind.SERVICE, narrowing=Narrowing(apps=("web",)), limits=EVERY_LIMIT)
    members = ["narrowing", "limits.bytes_per_day", "limits.lines_per_day", "limits.on_excess"]
    assert said(life.check_fit, service) == [(f'"{each}" is not allowed for a service key', each) for each in members]
    sender = of(kind=KeyKind.INGESTION, scopes=frozenset({Scope.KEYS_READ}))
    assert said(life.check_fit, sender) == [('"scopes" is not allowed for an ingestion key', "scopes")]


@pytest.mark.parametrize(
    "fitting",
    [
        NewKey(
            kind=KeyKind.SERVICE, scopes=frozenset(), network=Network(allow=("::/0",)), limits=Limits(requests_per_s=1)
        ),
        NewKey(kind=KeyKind.INGESTION, narrowing=Narrowing(apps=("web",)), network=Network(), limits=EVERY_LIMIT),
        NewKey(kind=KeyKind.SERVICE),
        NewKey(kind=KeyKind.INGESTION),
    ],
)
def test_what_fits_the_kind_is_fine(fitting):
    assert life.check_fit(fitting) is None


def test_an_edit_must_fit_the_kind():
    assert said(life.edited, ACTIVE, {"narrowing": Narrowing(apps=("web",))}, NOW)[0][1] == "narrowing"


def test_durations_that_do_not_fit_are_told():
    shape = "must be a number with s, m, h or d, as in 90s, 15m, 24h or 7d"
    assert said(life.parse_hold, "x") == [(f'"for" {shape}', "for")]
    assert said(life.parse_hold, "0h") == [('"for" must be longer than nothing', "for")]
    assert said(life.parse_hold, "25h") == [('"for" must be less than or equal to 24h', "for")]
    assert said(life.parse_overlap, "31d") == [('"overlap" must be less than or equal to 720h', "overlap")]
    assert said(life.parse_span, "0", "idle", 5_000) == [('"idle" must be longer than nothing', "idle")]
    assert life.parse_span("5s", "idle", 5_000) == 5_000
    assert life.parse_span("1s", "idle", 5_000) == 1_000


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [(1_000, "1s"), (90_000, "90s"), (60_000, "1m"), (3_600_000, "1h"), (DAY_MS, "1d"), (25 * 3_600_000, "25h")],
)
def test_a_duration_is_spelled_in_its_largest_unit(duration_ms, text):
    assert life.render_span(duration_ms) == text
    assert life.parse_span(text, "for", duration_ms) == duration_ms


# -- what an account wants --------------------------------------------------------------------------------------------


def test_without_a_policy_keys_live_as_long_as_they_like():
    assert check_lifetime(DEFAULT_POLICY, None, NOW) is None
    assert check_lifetime(DEFAULT_POLICY, NOW + 10**15, NOW) is None


def test_a_policy_bounds_how_long_keys_live():
    policy = KeyPolicy(lifetime_max_ms=7 * DAY_MS)
    assert check_lifetime(policy, NOW + 7 * DAY_MS, NOW) is None
    rule = "the account's policy lets keys live 7d at most"
    assert said(check_lifetime, policy, None, NOW) == [(f'"expires_at_ms" is required: {rule}', "expires_at_ms")]
    late = (f'"expires_at_ms" is too late: {rule}', "expires_at_ms")
    assert said(check_lifetime, policy, NOW + 7 * DAY_MS + 1, NOW) == [late]


def test_what_happens_to_a_leaked_key_depends_on_its_kind():
    policy = KeyPolicy(on_leak_ingestion=OnLeak.ROTATE, on_leak_service=OnLeak.DISABLE)
    assert policy.on_leak(KeyKind.INGESTION) is OnLeak.ROTATE
    assert policy.on_leak(KeyKind.SERVICE) is OnLeak.DISABLE
    assert {DEFAULT_POLICY.on_leak(kind) for kind in KeyKind} == {OnLeak.WARN}
    change = PolicyChange(account_id="a" * 10, before=DEFAULT_POLICY, after=policy, actor=SYSTEM, at_ms=NOW)
    assert (change.before.format, change.before.reveal) == (KeyFormat.CLASSIC, Reveal.ALWAYS)
