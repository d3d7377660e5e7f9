"""A key cannot give what it does not have, by the rows as they are then. Evidence: keys.md 5.11, 5.12."""

import pytest
from keys_house import open_keys_house

from logboom.errors import KeyHeld, KeyNotRevealed, NotAuthorized, NotFound, ScopeExceeded, ScopeMissing
from logboom.keys.answers import Once
from logboom.keys.change import SYSTEM, Actor, ActorKind
from logboom.keys.key import KeyKind, KeyState, NewKey, Reveal
from logboom.keys.scopes import PRESETS, Scope

KEYS_ONLY = PRESETS["keys-manage"]
BROUGHT = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"

# Every change that a key can ask for, with what it does to the key that is named.
GIVING = {
    "rename": lambda keys, account, key, actor: keys.rename(account, key, "new", actor=actor),
    "edit": lambda keys, account, key, actor: keys.edit(account, key, {"note": "new"}, actor=actor),
    "rotate": lambda keys, account, key, actor: keys.rotate(account, key, actor=actor),
    "release": lambda keys, account, key, actor: keys.release(account, key, actor=actor),
    "enable": lambda keys, account, key, actor: keys.enable(account, key, actor=actor),
    "reveal": lambda keys, account, key, actor: keys.reveal(account, key, actor=actor),
}
TAKING = {
    "hold": lambda keys, account, key, actor: keys.hold(account, key, 60_000, actor=actor),
    "disable": lambda keys, account, key, actor: keys.disable(account, key, actor=actor),
    "end_overlap": lambda keys, account, key, actor: keys.end_overlap(account, key, actor=actor),
    "delete": lambda keys, account, key, actor: keys.delete(account, key, actor=actor),
    "delete_family": lambda keys, account, key, actor: keys.delete_family(account, key, actor=actor),
}
MAKING = {
    "create": lambda keys, account, _key, actor: keys.create(account, KeyKind.INGESTION, actor=actor),
    "import": lambda keys, account, _key, actor: keys.import_key(
        account, NewKey(kind=KeyKind.INGESTION), BROUGHT, actor=actor
    ),
}
NOT_REVEALED = {name: ask for name, ask in (GIVING | TAKING | MAKING).items() if name not in ("rename", "reveal")}


@pytest.fixture
def house(database_url):
    house = open_keys_house(database_url)
    yield house
    house.engine.dispose()


@pytest.fixture
def account_id(house):
    return house.accounts.create().id


@pytest.fixture
def make(house, account_id):
    """Makes a service key with these scopes; returns it and the actor that asks with it."""

    def make(scopes, **members):
        new = NewKey(kind=KeyKind.SERVICE, scopes=scopes, **members)
        key = house.keys.create_key(account_id, new, actor=SYSTEM)
        return key, Actor(kind=ActorKind.SERVICE_KEY, key_id=key.id, generation=key.generation)

    return make


@pytest.fixture
def sender(house, account_id):
    return house.keys.create(account_id, KeyKind.INGESTION)


def state(house, account_id):
    return [key.without_value() for key in house.keys.list_keys(account_id)]


@pytest.mark.parametrize("ask", (GIVING | TAKING | MAKING).values(), ids=GIVING | TAKING | MAKING)
def test_whoever_may_do_everything_may_do_it(house, account_id, make, sender, ask):
    ask(house.keys, account_id, sender.id, make(None)[1])


@pytest.mark.parametrize("ask", (GIVING | TAKING | MAKING).values(), ids=GIVING | TAKING | MAKING)
def test_a_key_without_the_scope_changes_nothing(house, account_id, make, sender, ask):
    actor = make(frozenset(Scope) - {Scope.KEYS_MANAGE, Scope.KEYS_REVEAL})[1]
    before = state(house, account_id)
    with pytest.raises(ScopeMissing):
        ask(house.keys, account_id, sender.id, actor)
    assert (state(house, account_id), house.changes[-1].actor) == (before, SYSTEM)


@pytest.mark.parametrize("ask", NOT_REVEALED.values(), ids=NOT_REVEALED)
def test_whoever_manages_keys_needs_no_right_to_see_values(house, account_id, make, sender, ask):
    ask(house.keys, account_id, sender.id, make(KEYS_ONLY)[1])


@pytest.mark.parametrize("ask", [GIVING["rename"], GIVING["reveal"]], ids=["rename", "reveal"])
def test_what_shows_a_value_needs_the_right_to_see_it(house, account_id, make, sender, ask):
    with pytest.raises(ScopeMissing, match="keys:reveal"):
        ask(house.keys, account_id, sender.id, make(KEYS_ONLY)[1])


@pytest.mark.parametrize("ask", GIVING.values(), ids=GIVING)
def test_a_key_that_can_do_more_is_not_given_back_changed_or_shown(house, account_id, make, ask):
    bigger, _ = make(None)
    actor = make(KEYS_ONLY | {Scope.KEYS_REVEAL})[1]
    before = state(house, account_id)
    with pytest.raises(ScopeExceeded):
        ask(house.keys, account_id, bigger.id, actor)
    assert state(house, account_id) == before


@pytest.mark.parametrize("ask", TAKING.values(), ids=TAKING)
def test_a_key_that_can_do_more_can_be_stopped(house, account_id, make, ask):
    bigger, _ = make(None)
    ask(house.keys, account_id, bigger.id, make(KEYS_ONLY)[1])


@pytest.mark.parametrize(
    ("asked", "is_given"),
    [
        pytest.param(None, False, id="everything"),
        pytest.param(frozenset(Scope), False, id="every scope"),
        pytest.param(KEYS_ONLY | {Scope.EXPORT_READ}, False, id="one more"),
        pytest.param(KEYS_ONLY, True, id="the same"),
        pytest.param(PRESETS["keys-read"], True, id="less"),
    ],
)
def test_a_key_gives_new_ones_what_it_has_and_no_more(house, account_id, make, asked, is_given):
    same, actor = make(KEYS_ONLY)
    new = NewKey(kind=KeyKind.SERVICE, scopes=asked)
    attempts = [
        lambda: house.keys.create_key(account_id, new, actor=actor),
        lambda: house.keys.import_key(account_id, new, BROUGHT, actor=actor),
        lambda: house.keys.edit(account_id, same.id, {"scopes": asked}, actor=actor),
    ]
    for attempt in attempts:
        if is_given:
            assert attempt().scopes == asked
        else:
            with pytest.raises(ScopeExceeded):
                attempt()
    assert len(house.keys.list_keys(account_id)) == (3 if is_given else 1)


def test_the_compatible_list_leaves_out_what_can_do_more(house, account_id, make, sender):
    bigger, _ = make(None)
    own, actor = make(KEYS_ONLY | {Scope.KEYS_REVEAL})
    shown = house.keys.reveal_all(account_id, actor=actor)
    assert [key.id for key in shown] == [sender.id, own.id]
    assert bigger.id not in {key.id for key in shown}
    with pytest.raises(ScopeMissing):
        house.keys.reveal_all(account_id, actor=make(KEYS_ONLY)[1])


# -- the row as it is then --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", (GIVING | TAKING | MAKING).values(), ids=GIVING | TAKING | MAKING)
def test_a_key_that_was_deleted_meanwhile_does_nothing(house, account_id, make, sender, ask):
    key, actor = make(None)
    house.keys.delete(account_id, key.id)
    before = state(house, account_id)
    with pytest.raises(NotAuthorized) as refused:
        ask(house.keys, account_id, sender.id, actor)
    assert refused.value.reason == "The key was deleted."
    assert state(house, account_id) == before


@pytest.mark.parametrize(
    ("end", "error"),
    [
        pytest.param(lambda keys, account, key: keys.disable(account, key, actor=SYSTEM), NotAuthorized, id="disabled"),
        pytest.param(lambda keys, account, key: keys.hold(account, key, 9_000, actor=SYSTEM), KeyHeld, id="held"),
        pytest.param(
            lambda keys, account, key: keys.rotate(account, key, overlap_ms=0, actor=SYSTEM),
            NotAuthorized,
            id="rotated",
        ),
        pytest.param(
            lambda keys, account, key: keys.edit(account, key, {"scopes": PRESETS["keys-read"]}, actor=SYSTEM),
            ScopeMissing,
            id="narrowed",
        ),
    ],
)
def test_a_key_that_was_changed_meanwhile_is_judged_as_it_is(house, account_id, make, end, error):
    key, actor = make(None)
    end(house.keys, account_id, key.id)
    with pytest.raises(error):
        house.keys.create(account_id, KeyKind.INGESTION, actor=actor)
    assert [one.id for one in house.keys.list_keys(account_id)] == [key.id]


def test_a_key_that_expired_meanwhile_does_nothing(house, account_id, make):
    actor = make(None, expires_at_ms=house.clock() + 5)[1]
    house.clock.now_ms += 5
    with pytest.raises(NotAuthorized):
        house.keys.create(account_id, KeyKind.INGESTION, actor=actor)


def test_the_old_value_of_an_overlap_still_may(house, account_id, make):
    key, actor = make(None)
    house.keys.rotate(account_id, key.id, overlap_ms=60_000, actor=actor)
    assert house.keys.create(account_id, KeyKind.INGESTION, actor=actor).created_by == key.id
    house.clock.now_ms += 60_000
    with pytest.raises(NotAuthorized):
        house.keys.create(account_id, KeyKind.INGESTION, actor=actor)


def test_a_key_of_another_account_may_nothing(house, make):
    actor = make(None)[1]
    with pytest.raises(NotAuthorized):
        house.keys.create(house.accounts.create().id, KeyKind.INGESTION, actor=actor)


def test_a_remembered_answer_is_not_told_to_a_key_that_has_ended(house, account_id, make):
    key, actor = make(None)
    once = Once(name="deploy", request=b"same")
    new = NewKey(kind=KeyKind.INGESTION)
    house.keys.create_key(account_id, new, actor=actor, once=once)
    house.keys.delete(account_id, key.id)
    with pytest.raises(NotAuthorized):
        house.keys.create_key(account_id, new, actor=actor, once=once)


def test_a_value_that_nobody_may_see_stays_hidden_from_full_keys_too(house, account_id, make):
    hidden, _ = make(None, reveal=Reveal.NEVER)
    with pytest.raises(KeyNotRevealed):
        house.keys.reveal(account_id, hidden.id, actor=make(None)[1])


# -- families ---------------------------------------------------------------------------------------------------------


def test_a_family_goes_together_and_nobody_else(house, account_id, make):
    root, root_actor = make(None)
    child = house.keys.create(account_id, KeyKind.SERVICE, actor=root_actor)
    child_actor = Actor(kind=ActorKind.SERVICE_KEY, key_id=child.id, generation=1)
    grandchild = house.keys.create(account_id, KeyKind.INGESTION, actor=child_actor)
    house.keys.delete(account_id, child.id)
    stranger, stranger_actor = make(None)
    assert house.keys.children(account_id, root.id) == [grandchild.id]
    told = len(house.changes)
    deleted = house.keys.delete_family(account_id, root.id, actor=stranger_actor)
    assert [key.id for key in deleted] == [root.id, grandchild.id]
    assert {key.state for key in deleted} == {KeyState.DELETED}
    assert [key.id for key in house.keys.list_keys(account_id)] == [stranger.id]
    assert {house.refusal(key.value) for key in (root, grandchild)} == {"DELETED"}
    assert [change.after.id for change in house.changes[told:]] == [root.id, grandchild.id]
    assert {change.after.revision for change in house.changes[told:]} == {house.keys.catch_up()}
    with pytest.raises(NotFound):
        house.keys.delete_family(account_id, root.id, actor=stranger_actor)


def test_a_family_of_another_account_is_absent(house, account_id, make):
    root, _ = make(None)
    other = house.accounts.create().id
    with pytest.raises(NotFound):
        house.keys.delete_family(other, root.id, actor=SYSTEM)
    assert house.keys.children(other, root.id) == []
    assert [key.id for key in house.keys.list_keys(account_id)] == [root.id]
