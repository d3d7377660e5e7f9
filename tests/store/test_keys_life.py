"""The life of a key in a real database and in memory: holds, rotations, values that end, answers given once."""

from dataclasses import replace

import pytest
from keys_house import Clock, open_keys_house
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from logboom.database.engine import reading, writing
from logboom.database.tables import key_values, remembered_answers
from logboom.errors import (
    KeyLimitReached,
    KeyNotRevealed,
    KeyStateConflict,
    NotFound,
    TooManyRequests,
    ValidationFailed,
)
from logboom.keys.answers import Once
from logboom.keys.change import SYSTEM, Actor, ActorKind
from logboom.keys.key import KeyFormat, KeyKind, KeyState, NewKey, Reveal

DAY_MS = 86_400_000
ACTOR = Actor(kind=ActorKind.HOLDER, key_id="c" * 24, address="192.0.2.1", user_agent="curl")
BROUGHT = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"


@pytest.fixture
def house(database_url):
    house = open_keys_house(database_url)
    yield house
    house.engine.dispose()


@pytest.fixture
def account_id(house):
    return house.accounts.create().id


@pytest.fixture
def key(house, account_id):
    return house.keys.create(account_id, KeyKind.INGESTION, name="web")


def rows_of(house, key):
    rows = select(key_values).where(key_values.c.key_id == key.id).order_by(key_values.c.generation)
    with reading(house.engine) as connection:
        return [(row.generation, row.state, row.sealed is not None) for row in connection.execute(rows)]


def restarted(house, database_url):
    """Another server on the same database, at the same time of day, which has just started."""
    other = open_keys_house(database_url, clock=house.clock)
    assert other.keys.load() == ()
    other.engine.dispose()
    return other


def test_everything_that_is_written_on_a_key_is_read_back(house, account_id):
    new = NewKey(
        kind=KeyKind.SERVICE,
        name="n" * 200,
        note="why 😀",
        labels={"team": "web", "env": ""},
        owner="ops@example.com",
        not_before_ms=house.clock() + 5,
        expires_at_ms=house.clock() + 10,
        format=KeyFormat.NATIVE,
        reveal=Reveal.ALWAYS,
    )
    key = house.keys.create_key(account_id, new, actor=ACTOR)
    assert house.keys.get(account_id, key.id) == key
    assert (key.created_by, key.mask) == (ACTOR.key_id, key.value[:12] + "…")
    assert [getattr(key, name) for name in vars(new)] == list(vars(new).values())


@pytest.mark.parametrize(
    "members",
    [
        {"name": "n" * 201},
        {"note": "n" * 1_001},
        {"owner": "o" * 201},
        {"note": "a\0b"},
        {"labels": {str(number): "" for number in range(21)}},
        {"labels": {"": "x"}},
        {"labels": {"x": "y" * 81}},
        {"labels": {"x" * 81: "y"}},
    ],
    ids=lambda members: f"{next(iter(members))}-{len(str(members))}",
)
def test_texts_have_bounds_when_created_and_when_changed(house, account_id, key, members):
    with pytest.raises(ValidationFailed):
        house.keys.create_key(account_id, NewKey(kind=KeyKind.SERVICE, **members), actor=ACTOR)
    with pytest.raises(ValidationFailed):
        house.keys.edit(account_id, key.id, members, actor=ACTOR)
    assert house.keys.list_keys(account_id) == [key]


def test_a_held_key_waits_and_goes_on_by_itself(house, account_id, key):
    held = house.keys.hold(account_id, key.id, 60_000, actor=ACTOR)
    assert (held.state, held.held_until_ms) == (KeyState.HELD, house.clock() + 60_000)
    assert house.refusal(key.value) == "HELD"
    house.clock.now_ms += 60_000
    assert house.caller(key.value)
    assert house.keys.get(account_id, key.id) == key
    assert house.keys.rotate(account_id, key.id, actor=ACTOR).generation == 2


def test_a_released_key_opens_at_once(house, account_id, key):
    house.keys.hold(account_id, key.id, 60_000, actor=ACTOR)
    assert house.keys.release(account_id, key.id, actor=ACTOR) == key
    assert house.caller(key.value)


def test_a_disabled_key_keeps_its_slot_and_can_come_back(house, account_id, key):
    house.keys.disable(account_id, key.id, actor=ACTOR)
    assert house.refusal(key.value) == "DISABLED"
    for _ in range(9):
        house.keys.create(account_id, KeyKind.INGESTION)
    with pytest.raises(KeyLimitReached):
        house.keys.create(account_id, KeyKind.INGESTION)
    house.keys.enable(account_id, key.id, actor=ACTOR)
    assert house.caller(key.value)


def test_a_key_opens_between_its_times(house, account_id, key):
    now_ms = house.clock()
    times = {"not_before_ms": now_ms + 10, "expires_at_ms": now_ms + 20}
    house.keys.edit(account_id, key.id, times, actor=ACTOR)
    seen = []
    for house.clock.now_ms in (now_ms, now_ms + 10, now_ms + 19, now_ms + 20):
        seen.append(house.refusal(key.value))
    assert seen == ["NOT_YET_VALID", None, None, "EXPIRED"]
    with pytest.raises(KeyStateConflict):
        house.keys.rotate(account_id, key.id, actor=ACTOR)


def test_rotation_gives_a_new_value_and_lets_the_old_one_go_on(house, account_id, key, database_url):
    rotated = house.keys.rotate(account_id, key.id, overlap_ms=60_000, actor=ACTOR)
    assert (rotated.id, rotated.name, rotated.generation) == (key.id, "web", 2)
    assert rotated.value != key.value
    assert house.keys.get(account_id, key.id) == rotated
    for server in (house, restarted(house, database_url)):
        callers = [server.caller(value) for value in (key.value, rotated.value)]
        assert [caller.generation for caller in callers] == [1, 2]
    house.clock.now_ms += 60_000
    for server in (house, restarted(house, database_url)):
        assert (server.refusal(key.value), server.caller(rotated.value).generation) == ("RETIRED", 2)
    assert house.keys.get(account_id, key.id).retiring_until_ms is None
    assert rows_of(house, key) == [(1, "dead", False), (2, "active", True)]


def test_a_second_rotation_ends_the_older_value_at_once(house, account_id, key):
    second = house.keys.rotate(account_id, key.id, actor=ACTOR)
    third = house.keys.rotate(account_id, key.id, actor=ACTOR)
    assert house.refusal(key.value) == "RETIRED"
    assert [house.caller(value).generation for value in (second.value, third.value)] == [2, 3]
    assert rows_of(house, key) == [(1, "dead", False), (2, "retiring", True), (3, "active", True)]


def test_without_overlap_the_old_value_ends_at_once(house, account_id, key):
    rotated = house.keys.rotate(account_id, key.id, overlap_ms=0, actor=ACTOR)
    assert (house.refusal(key.value), rotated.retiring_until_ms) == ("RETIRED", None)
    assert house.caller(rotated.value)


def test_an_overlap_can_end_early(house, account_id, key):
    house.keys.rotate(account_id, key.id, actor=ACTOR)
    house.keys.end_overlap(account_id, key.id, actor=ACTOR)
    assert house.refusal(key.value) == "RETIRED"
    told = len(house.changes)
    house.keys.end_overlap(account_id, key.id, actor=ACTOR)
    assert len(house.changes) == told


def test_rotation_works_with_every_slot_taken(house, account_id, key):
    for _ in range(9):
        house.keys.create(account_id, KeyKind.INGESTION)
    assert house.caller(house.keys.rotate(account_id, key.id, actor=ACTOR).value)


@pytest.mark.parametrize("state", ["held", "disabled", "deleted"])
def test_rotation_is_refused_where_nobody_would_learn_of_the_new_value(house, account_id, key, state):
    if state == "held":
        house.keys.hold(account_id, key.id, 1_000, actor=ACTOR)
    elif state == "disabled":
        house.keys.disable(account_id, key.id, actor=ACTOR)
    else:
        house.keys.delete(account_id, key.id)
    with pytest.raises(NotFound if state == "deleted" else KeyStateConflict):
        house.keys.rotate(account_id, key.id, actor=ACTOR)
    assert len(rows_of(house, key)) == 1


@pytest.mark.parametrize("state", ["active", "retiring"])
def test_database_itself_refuses_a_second_value_of_a_state(house, account_id, key, state):
    house.keys.rotate(account_id, key.id, actor=ACTOR)
    with reading(house.engine) as connection:
        row = connection.execute(select(key_values).where(key_values.c.state == state)).one()._asdict()
    with pytest.raises(IntegrityError), writing(house.engine) as connection:
        connection.execute(insert(key_values).values(row | {"generation": 9, "digest": b"other"}))


def test_ended_values_are_named_for_400_days(house, account_id, key, database_url):
    rotated = house.keys.rotate(account_id, key.id, overlap_ms=0, actor=ACTOR)
    house.clock.now_ms += 399 * DAY_MS
    assert restarted(house, database_url).refusal(key.value) == "RETIRED"
    house.keys.delete(account_id, key.id)
    house.clock.now_ms += 2 * DAY_MS
    later = restarted(house, database_url)
    assert (later.refusal(key.value), later.refusal(rotated.value)) == (None, "DELETED")
    assert later.caller(key.value) is None


@pytest.mark.parametrize("mode", [Reveal.STEP_UP, Reveal.NEVER])
def test_a_value_that_is_not_always_shown_is_shown_once(house, account_id, database_url, mode):
    key = house.keys.create_key(account_id, NewKey(kind=KeyKind.SERVICE, reveal=mode), actor=ACTOR)
    assert house.keys.get(account_id, key.id).value is None
    assert house.keys.list_keys(account_id)[0].value is None
    with pytest.raises(KeyNotRevealed):
        house.keys.reveal(account_id, key.id, actor=ACTOR)
    with pytest.raises(KeyNotRevealed):
        house.keys.rename(account_id, key.id, "other")
    assert house.keys.get(account_id, key.id).name == key.name
    rotated = house.keys.rotate(account_id, key.id, actor=ACTOR)
    server = restarted(house, database_url)
    assert [server.caller(value).generation for value in (key.value, rotated.value)] == [1, 2]


def test_a_value_that_shall_never_be_shown_again_is_forgotten(house, account_id, key, database_url):
    rotated = house.keys.rotate(account_id, key.id, actor=ACTOR)
    changed = house.keys.edit(account_id, key.id, {"reveal": Reveal.NEVER}, actor=ACTOR)
    assert (changed.value, changed.mask) == (None, None)
    server = restarted(house, database_url)
    assert [server.caller(value).generation for value in (key.value, rotated.value)] == [1, 2]


def test_a_row_whose_value_is_not_kept_cannot_be_moved_either(house, account_id, database_url):
    mine, other = (
        house.keys.create_key(account_id, NewKey(kind=KeyKind.SERVICE, reveal=Reveal.NEVER), actor=ACTOR)
        for _ in range(2)
    )
    with writing(house.engine) as connection:
        row = connection.execute(select(key_values).where(key_values.c.key_id == mine.id)).one()
        connection.execute(update(key_values).where(key_values.c.key_id == mine.id).values(digest=b"moved"))
        planted = {"digest": row.digest, "sealed": row.sealed}
        connection.execute(update(key_values).where(key_values.c.key_id == other.id).values(planted))
    server = open_keys_house(database_url)
    assert set(server.keys.load()) == {mine.id, other.id}
    assert server.caller(mine.value) is None
    server.engine.dispose()


def test_a_planted_old_value_never_enters_the_keyring(house, account_id, key, database_url):
    """Whoever changes the key, and however the row looks: what does not open in its place is not believed."""
    thief = house.keys.create(house.accounts.create().id, KeyKind.INGESTION)
    with writing(house.engine) as connection:
        row = connection.execute(select(key_values).where(key_values.c.key_id == thief.id)).one()._asdict()
        connection.execute(delete(key_values).where(key_values.c.key_id == thief.id))
        planted = {"key_id": key.id, "generation": 9, "state": "retiring", "valid_until_ms": house.clock() + 5}
        connection.execute(insert(key_values).values(row | planted))
    for learn in (lambda: house.keys.rename(account_id, key.id, "other"), house.keys.catch_up):
        learn()
        assert house.caller(thief.value).account_id == thief.account_id
    other = open_keys_house(database_url, clock=house.clock)
    assert other.keys.load() == (key.id,)
    assert other.caller(thief.value) is None
    house.clock.now_ms += 5
    house.keys.end_lapsed_overlaps()
    assert house.refusal(thief.value) == "RETIRED"
    other.engine.dispose()


def test_an_altered_key_can_be_deleted(house, account_id, key):
    with writing(house.engine) as connection:
        connection.execute(update(key_values).values(sealed=b"altered"))
    house.keys.delete(account_id, key.id)
    assert house.refusal(key.value) == "DELETED"


def test_what_was_done_once_is_answered_again(house, account_id, key):
    new = NewKey(kind=KeyKind.SERVICE, reveal=Reveal.NEVER, labels={"a": "b"})
    once = Once(name="first", request=b"create")
    created = house.keys.create_key(account_id, new, actor=ACTOR, once=once)
    assert house.keys.create_key(account_id, new, actor=ACTOR, once=once) == created
    again = Once(name="again", request=b"rotate")
    rotated = house.keys.rotate(account_id, key.id, actor=ACTOR, once=again)
    assert house.keys.rotate(account_id, key.id, actor=ACTOR, once=again) == rotated
    assert house.keys.get(account_id, key.id).generation == 2
    assert len(house.keys.list_keys(account_id)) == 2
    with pytest.raises(ValidationFailed) as refused:
        house.keys.rotate(account_id, key.id, actor=ACTOR, once=replace(again, request=b"another"))
    assert refused.value.details[0].key == "Idempotency-Key"


def test_an_answer_is_remembered_for_a_day_and_for_one_account(house, account_id):
    new, once = NewKey(kind=KeyKind.SERVICE), Once(name="n", request=b"r")
    first = house.keys.create_key(account_id, new, actor=ACTOR, once=once)
    other = house.keys.create_key(house.accounts.create().id, new, actor=ACTOR, once=once)
    house.clock.now_ms += DAY_MS
    later = house.keys.create_key(account_id, new, actor=ACTOR, once=once)
    assert len({first.id, other.id, later.id}) == 3
    with reading(house.engine) as connection:
        (kept,) = connection.execute(select(remembered_answers)).all()
    assert later.value.encode() not in kept.sealed


def test_an_imported_value_works_and_is_marked_until_it_is_replaced(house, account_id):
    key = house.keys.import_key(account_id, NewKey(kind=KeyKind.INGESTION, name="fleet"), BROUGHT, actor=ACTOR)
    assert (key.value, key.is_imported, key.name) == (None, True, "fleet")
    assert house.caller(BROUGHT).key_id == key.id
    assert house.keys.get(account_id, key.id).value == BROUGHT
    assert not house.keys.rotate(account_id, key.id, actor=ACTOR).is_imported


def test_an_import_does_not_tell_which_values_are_taken(house, account_id, key):
    house.keys.import_key(house.accounts.create().id, NewKey(kind=KeyKind.INGESTION), BROUGHT, actor=ACTOR)
    texts = set()
    for value in (BROUGHT, key.value, "weak" * 8, "short", ""):
        with pytest.raises(ValidationFailed) as refused:
            house.keys.import_key(account_id, NewKey(kind=KeyKind.INGESTION), value, actor=ACTOR)
        texts.add(refused.value.message)
    assert texts == {'"value" cannot be used as a key'}


def test_an_account_imports_ten_times_an_hour(house, account_id):
    for _ in range(10):
        with pytest.raises(ValidationFailed):
            house.keys.import_key(account_id, NewKey(kind=KeyKind.INGESTION), "weak", actor=ACTOR)
    house.clock.now_ms += 600_000
    with pytest.raises(TooManyRequests) as refused:
        house.keys.import_key(account_id, NewKey(kind=KeyKind.INGESTION), BROUGHT, actor=ACTOR)
    assert refused.value.retry_after_s == 3_000
    house.keys.import_key(house.accounts.create().id, NewKey(kind=KeyKind.INGESTION), BROUGHT, actor=ACTOR)
    house.clock.now_ms += 3_000_000
    with pytest.raises(ValidationFailed):
        house.keys.import_key(account_id, NewKey(kind=KeyKind.INGESTION), BROUGHT, actor=ACTOR)


def test_a_value_that_became_known_takes_its_key_along(house, account_id, key):
    house.keys.disable(account_id, key.id, actor=ACTOR)
    house.keys.end_exposed(key.value, actor=ACTOR)
    assert house.refusal(key.value) == "DELETED"
    assert house.changes[-1].action == "exposed"
    house.keys.end_exposed(key.value, actor=ACTOR)
    house.keys.end_exposed("f" * 32, actor=ACTOR)
    assert len(house.changes) == 3


def test_an_old_value_that_became_known_ends_alone(house, account_id, key):
    rotated = house.keys.rotate(account_id, key.id, actor=ACTOR)
    house.keys.end_exposed(key.value, actor=ACTOR)
    assert (house.refusal(key.value), house.caller(rotated.value).generation) == ("RETIRED", 2)
    house.keys.end_exposed(key.value, actor=ACTOR)
    assert house.caller(rotated.value)


def test_every_change_is_told_once_without_any_value(house, account_id, key):
    keys = house.keys
    keys.rename(account_id, key.id, "other", actor=ACTOR)
    keys.edit(account_id, key.id, {"note": "n"}, actor=ACTOR)
    keys.hold(account_id, key.id, 1_000, actor=ACTOR)
    keys.release(account_id, key.id, actor=ACTOR)
    keys.disable(account_id, key.id, actor=ACTOR)
    keys.enable(account_id, key.id, actor=ACTOR)
    keys.rotate(account_id, key.id, overlap_ms=1_000, actor=ACTOR)
    house.clock.now_ms += 1_000
    keys.end_lapsed_overlaps()
    keys.rename(account_id, key.id, "", actor=ACTOR)
    keys.delete(account_id, key.id, actor=ACTOR)
    told = "created renamed changed held released disabled enabled rotated retired deleted"
    assert [change.action for change in house.changes] == told.split()
    assert [change.actor for change in house.changes[1:]] == [ACTOR] * 7 + [SYSTEM, ACTOR]
    assert house.changes[0].before is None
    assert [change.before.state for change in house.changes[3:5]] == [KeyState.ACTIVE, KeyState.HELD]
    assert all(side.value is None for change in house.changes for side in (change.before or change.after, change.after))


def test_a_change_that_cannot_be_told_has_not_happened(house, account_id, key):
    def refuse(_connection, _change):
        raise KeyStateConflict

    house.keys._on_change = refuse
    for change in (house.keys.delete, house.keys.rotate, house.keys.disable):
        with pytest.raises(KeyStateConflict):
            change(account_id, key.id, actor=ACTOR)
    with pytest.raises(KeyStateConflict):
        house.keys.create(account_id, KeyKind.SERVICE)
    assert house.keys.list_keys(account_id) == [key]
    assert house.caller(key.value)


def test_another_servers_change_is_learnt(house, account_id, key, database_url):
    other = open_keys_house(database_url, clock=Clock(house.clock()))
    other.keys.load()
    rotated = house.keys.rotate(account_id, key.id, overlap_ms=0, actor=ACTOR)
    assert other.caller(key.value)
    other.keys.catch_up()
    assert (other.refusal(key.value), other.caller(rotated.value).generation) == ("RETIRED", 2)
    other.engine.dispose()


def test_deleted_keys_are_listed_apart_page_by_page(house, account_id):
    made = [house.keys.create(account_id, KeyKind.SERVICE) for _ in range(3)]
    for key in made[:2]:
        house.keys.delete(account_id, key.id)
    gone = house.keys.list_keys(account_id, is_live=False)
    assert [(key.id, key.state, key.value) for key in gone] == [(key.id, KeyState.DELETED, None) for key in made[:2]]
    assert [key.id for key in house.keys.list_keys(account_id, is_live=False, after_id=gone[0].id)] == [made[1].id]
    assert house.keys.get(account_id, made[0].id, is_live=False) == gone[0]
