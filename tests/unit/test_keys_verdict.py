"""Whether a known value opens the door: every state against every moment. Evidence: keys.md 5.3, 5.4, 5.5, 5.7."""

from itertools import product

import pytest

from logboom.errors import AddressRefused, KeyHeld, KeyRefused, LimitHeld, LimitRefused, NotAuthorized
from logboom.keys.key import Caller, Key, KeyKind, KeyState
from logboom.keys.scopes import Scope
from logboom.keys.verdict import Refusal, Refused, Standing, decide, error_of

NOW = 1_000_000
CALLER = Caller(account_id="a" * 10, key_id="b" * 24, kind=KeyKind.INGESTION, generation=3)

CASES = [
    pytest.param({}, None, id="active"),
    pytest.param({"expires_at_ms": NOW + 1}, None, id="expires in a moment"),
    pytest.param({"expires_at_ms": NOW}, Refusal.EXPIRED, id="expires now"),
    pytest.param({"expires_at_ms": NOW - 1}, Refusal.EXPIRED, id="has expired"),
    pytest.param({"not_before_ms": NOW + 1}, Refusal.NOT_YET_VALID, id="valid in a moment"),
    pytest.param({"not_before_ms": NOW}, None, id="valid from now on"),
    pytest.param({"valid_until_ms": NOW + 1}, None, id="retiring"),
    pytest.param({"valid_until_ms": NOW}, Refusal.RETIRED, id="retired now"),
    pytest.param({"state": KeyState.HELD, "held_until_ms": NOW + 1}, Refusal.HELD, id="held"),
    pytest.param({"state": KeyState.HELD, "held_until_ms": NOW}, None, id="hold has ended by itself"),
    pytest.param({"state": KeyState.DISABLED}, Refusal.DISABLED, id="disabled"),
    pytest.param({"state": KeyState.DELETED, "valid_until_ms": NOW - 1}, Refusal.DELETED, id="deleted"),
    pytest.param({"state": KeyState.DISABLED, "expires_at_ms": 0}, Refusal.DISABLED, id="disabled before expired"),
    pytest.param(
        {"state": KeyState.HELD, "held_until_ms": NOW + 1, "expires_at_ms": NOW},
        Refusal.EXPIRED,
        id="nobody waits for an expired key",
    ),
    pytest.param(
        {"state": KeyState.HELD, "held_until_ms": NOW + 1, "valid_until_ms": NOW},
        Refusal.RETIRED,
        id="nobody waits for a retired value",
    ),
    pytest.param(
        {"state": KeyState.HELD, "held_until_ms": NOW + 1, "not_before_ms": NOW + 1},
        Refusal.NOT_YET_VALID,
        id="not yet valid before held",
    ),
    pytest.param({"expires_at_ms": NOW, "valid_until_ms": NOW}, Refusal.RETIRED, id="retired before expired"),
]


@pytest.mark.parametrize(("members", "refusal"), CASES)
def test_the_decision_table(members, refusal):
    verdict = decide(Standing(caller=CALLER, **members), NOW)
    if refusal is None:
        assert verdict is CALLER
    else:
        assert (verdict.caller, verdict.refusal) == (CALLER, refusal)


@pytest.mark.parametrize(
    ("held_for_ms", "retry_after_s"), [(1, 1), (1_000, 1), (1_001, 2), (29_500, 30), (86_400_000, 30)]
)
def test_a_held_key_says_when_to_come_back_and_never_too_late_for_a_release(held_for_ms, retry_after_s):
    standing = Standing(caller=CALLER, state=KeyState.HELD, held_until_ms=NOW + held_for_ms)
    assert decide(standing, NOW) == Refused(caller=CALLER, refusal=Refusal.HELD, retry_after_s=retry_after_s)


def test_only_a_hold_asks_to_come_back():
    times = (None, NOW - 1, NOW, NOW + 1)
    for state, held, first, last, value in product(KeyState, times, times, times, times):
        standing = Standing(
            caller=CALLER,
            state=state,
            held_until_ms=held,
            not_before_ms=first,
            expires_at_ms=last,
            valid_until_ms=value,
        )
        verdict = decide(standing, NOW)
        is_held = isinstance(verdict, Refused) and verdict.refusal is Refusal.HELD
        assert is_held == (isinstance(verdict, Refused) and verdict.retry_after_s is not None)
        assert not is_held or (state is KeyState.HELD and held == NOW + 1)


@pytest.mark.parametrize(
    ("members", "after"),
    [
        pytest.param({"state": KeyState.HELD, "held_until_ms": NOW}, {}, id="the hold is over"),
        pytest.param(
            {"state": KeyState.HELD, "held_until_ms": NOW + 1},
            {"state": KeyState.HELD, "held_until_ms": NOW + 1},
            id="the hold goes on",
        ),
        pytest.param({"retiring_until_ms": NOW}, {}, id="the overlap is over"),
        pytest.param({"retiring_until_ms": NOW + 1}, {"retiring_until_ms": NOW + 1}, id="the overlap goes on"),
    ],
)
def test_what_ends_by_itself_is_over_when_its_time_comes(members, after):
    key = {"id": "b" * 24, "account_id": "a" * 10, "kind": KeyKind.SERVICE, "name": "n", "created_ms": 0}
    assert Key(**key, **members).at(NOW) == Key(**key, **after)


@pytest.mark.parametrize(
    ("refused", "error", "reason", "retry_after_s"),
    [
        (Refused(caller=CALLER, refusal=Refusal.HELD, retry_after_s=7), KeyHeld, Refusal.HELD.value, 7),
        (Refused(caller=CALLER, refusal=Refusal.HELD), KeyHeld, Refusal.HELD.value, 1),
        (Refused(caller=CALLER, refusal=Refusal.RATE, retry_after_s=3), LimitRefused, Refusal.RATE.value, 3),
        (Refused(caller=CALLER, refusal=Refusal.RATE, retry_after_s=3, is_held=True), LimitHeld, Refusal.RATE.value, 3),
        (Refused(caller=CALLER, refusal=Refusal.DAY_FULL, detail="why"), LimitRefused, "why", 1),
        (Refused(caller=CALLER, refusal=Refusal.DAY_FULL, is_held=True), LimitHeld, Refusal.DAY_FULL.value, 1),
        (Refused(caller=CALLER, refusal=Refusal.DELETED), KeyRefused, Refusal.DELETED.value, None),
        (Refused(caller=CALLER, refusal=Refusal.NARROWED, detail="why"), KeyRefused, "why", None),
        (Refused(caller=CALLER, refusal=Refusal.ADDRESS), KeyRefused, Refusal.ADDRESS.value, None),
    ],
)
def test_what_a_refused_key_is_answered(refused, error, reason, retry_after_s):
    found = error_of(refused, KeyRefused)
    assert (type(found), found.reason, found.retry_after_s) == (error, reason, retry_after_s)


def test_readers_are_told_of_their_address_and_of_the_scope_that_they_lack():
    assert type(error_of(Refused(caller=CALLER, refusal=Refusal.ADDRESS), NotAuthorized)) is AddressRefused
    lacking = Refused(caller=CALLER, refusal=Refusal.SCOPE_MISSING, scopes=(Scope.KEYS_READ, Scope.KEYS_MANAGE))
    assert "keys:read and keys:manage" in error_of(lacking, NotAuthorized).message


@pytest.mark.parametrize(("left_ms", "retry_after_s"), [(1, 1), (1_000, 1), (1_001, 2), (30_000, 30), (10**9, 30)])
def test_who_is_held_is_told_when_to_look_again(left_ms, retry_after_s):
    held = Standing(caller=CALLER, state=KeyState.HELD, held_until_ms=NOW + left_ms)
    assert decide(held, NOW).retry_after_s == retry_after_s
