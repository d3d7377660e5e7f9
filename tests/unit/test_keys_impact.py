"""What is told before a key is removed, and which keys want looking after: pure rules. Evidence: keys.md 5.5."""

from dataclasses import replace

import pytest

from logboom.keys.clients import DROPPED, SHUTS_DOWN
from logboom.keys.hygiene import DAY_MS, IDLE_MS, UNUSED_MS, Concern, Signs, findings
from logboom.keys.impact import Advice, assess
from logboom.keys.key import Key, KeyKind, KeyState
from logboom.keys.recent import LastMinute, Recent
from logboom.keys.usage import HourCount, User, UserCount
from logboom.keys.usage_repository import KeptUser

NOW = 1_700_000_000_000
KEY = Key(id="k", account_id="a", kind=KeyKind.INGESTION, name="web", created_ms=0, last_used_ms=NOW)


def user(host="web-1", agent="logdna-agent/3.11.2", **members):
    return User("k", 1, "10.0.0.1", agent, host, "header", "agent")._replace(**members)


def kept(who, *, ago_ms=0, requests=1, refusals=0):
    return KeptUser(user=who, seen=UserCount(requests, refusals, 0, NOW - ago_ms, NOW - ago_ms))


def impact(users=(), recent=None, key=KEY):
    return assess(key, list(users), recent or {}, HourCount(), NOW)


# -- impact ------------------------------------------------------------------------------------------------------------


def test_users_are_told_by_what_their_programs_will_do():
    users = [kept(user(host=f"web-{number}", agent="logdna-agent/3.11.2 (Debian)")) for number in range(2)]
    users += [kept(user(host="web-0", agent="logdna-agent/3.10.0")), kept(user(host="app", agent="python/1.18.12"))]
    found = impact(users)
    assert [client.text for client in found.clients] == [
        f"2 hosts with logdna-agent 3.10.0, 3.11.2: {SHUTS_DOWN.text} (403).",
        f"1 host with logdna (Python) 1.18.12: {DROPPED.text} (403).",
    ]
    assert [(client.users, client.hosts) for client in found.clients] == [(3, 2), (1, 1)]


def test_a_reader_is_answered_401():
    found = impact([kept(user(agent="curl/8", dialect="export", host=""))], key=replace(KEY, kind=KeyKind.SERVICE))
    assert found.refused_with == 401
    assert found.clients[0].text.endswith("(401).")


def test_who_was_not_seen_for_a_day_does_not_count():
    found = impact([kept(user(), ago_ms=DAY_MS - 1), kept(user(host="old"), ago_ms=DAY_MS)])
    assert [active.host for active in found.users] == ["web-1"]


def test_what_this_server_remembers_and_what_the_database_keeps_are_one_list():
    recent = {
        user(): (UserCount(2, 0, 9, NOW, NOW), LastMinute(requests=2, lines=9)),
        user(host="only-here"): (UserCount(1, 0, 1, NOW, NOW - 1), LastMinute()),
    }
    found = impact([kept(user(), requests=70), kept(user(host="elsewhere"), ago_ms=70_000)], recent)
    assert [(active.host, active.seen.requests, active.last_minute) for active in found.users] == [
        ("web-1", 70, LastMinute(requests=2, lines=9)),
        ("only-here", 1, LastMinute()),
        ("elsewhere", 1, None),
    ]
    assert [active.host for active in found.within_minute(NOW)] == ["web-1", "only-here"]


@pytest.mark.parametrize(("count", "is_complete"), [(19, True), (20, False)])
def test_a_list_that_may_go_on_says_so(count, is_complete):
    users = [kept(user(host=f"web-{number}")) for number in range(count)]
    assert impact(users).is_complete is is_complete
    assert impact([*users[:19], kept(user(host="old"), ago_ms=DAY_MS)]).is_complete


@pytest.mark.parametrize(
    ("key", "users", "advice", "beginning"),
    [
        (KEY, [kept(user())], Advice.ROTATE, "1 host used it in the last 24 hours. Rotate it"),
        (
            replace(KEY, state=KeyState.HELD),
            [kept(user())],
            Advice.ROTATE,
            "1 host used it in the last 24 hours. Release",
        ),
        (KEY, [], Advice.REMOVE, "Nobody has used it for 24 hours."),
        (replace(KEY, last_used_ms=None), [], Advice.REMOVE, "Nobody has ever used it."),
        (KEY, [kept(user(), refusals=1)], Advice.REMOVE, "Nobody has used it for 24 hours."),
        (replace(KEY, state=KeyState.DISABLED), [kept(user())], Advice.REMOVE, "The key is refused already"),
        (replace(KEY, expires_at_ms=NOW), [kept(user())], Advice.REMOVE, "The key is refused already"),
        (replace(KEY, expires_at_ms=NOW + 1), [kept(user())], Advice.ROTATE, "1 host"),
        (replace(KEY, state=KeyState.DELETED), [kept(user())], Advice.NOTHING, "The key is deleted. 1 host tried it"),
        (replace(KEY, state=KeyState.DELETED), [], Advice.NOTHING, "The key is deleted."),
    ],
)
def test_the_advice_follows_from_the_use(key, users, advice, beginning):
    found = impact(users, key=key)
    assert found.advice is advice
    assert found.text.startswith(beginning)


# -- the memory of the last minute -------------------------------------------------------------------------------------


def test_the_last_minute_is_of_the_last_minute():
    recent = Recent()
    for ago_ms in (70_000, 59_999, 30_000, 0):
        recent.add({user(): UserCount(1, 0, 5, NOW - ago_ms, NOW - ago_ms)})
    ((counted, last_minute),) = recent.users("k", NOW).values()
    assert (counted.requests, counted.lines, counted.first_ms) == (4, 20, NOW - 70_000)
    assert last_minute == LastMinute(requests=3, lines=15)
    assert recent.users("k", NOW + 60_000)[user()][1] == LastMinute()
    assert recent.users("k", NOW + DAY_MS) == {}
    assert recent.users("other", NOW) == {}


def test_what_is_told_many_times_a_second_is_one_part_of_it():
    recent = Recent()
    for number in range(5_000):
        recent.add({user(): UserCount(1, 0, 2, NOW + number, NOW + number)})
    assert recent.users("k", NOW + 5_000)[user()][1] == LastMinute(requests=5_000, lines=10_000)
    assert len(recent._traces[user()].parts) == 5


def test_memory_is_bounded_and_keeps_the_newest():
    recent = Recent(users_max=2)
    for number in (1, 2, 1, 3):
        recent.add({user(host=str(number)): UserCount(1, 0, 0, NOW, NOW)})
    assert {found.host for found in recent.users("k", NOW)} == {"1", "3"}


# -- hygiene -----------------------------------------------------------------------------------------------------------

FINE = replace(KEY, created_ms=NOW - 300 * DAY_MS, expires_at_ms=NOW + DAY_MS)


@pytest.mark.parametrize(
    ("signs", "concerns"),
    [
        (Signs(key=FINE), []),
        (Signs(key=replace(FINE, expires_at_ms=None)), [Concern.NO_EXPIRY]),
        (Signs(key=replace(FINE, is_imported=True)), [Concern.IMPORTED]),
        (Signs(key=replace(FINE, last_used_ms=NOW - IDLE_MS)), []),
        (Signs(key=replace(FINE, last_used_ms=NOW - IDLE_MS - 1)), [Concern.IDLE]),
        (Signs(key=replace(FINE, last_used_ms=None, created_ms=NOW - UNUSED_MS)), []),
        (Signs(key=replace(FINE, last_used_ms=None, created_ms=NOW - UNUSED_MS - 1)), [Concern.NEVER_USED]),
        (Signs(key=FINE, url_seen_ms=5), [Concern.SEEN_IN_ADDRESS]),
        (Signs(key=FINE, url_seen_ms=5, rotated_ms=5), []),
        (Signs(key=FINE, leaked_ms=6, rotated_ms=5), [Concern.LEAKED]),
        (Signs(key=FINE, leaked_ms=4, rotated_ms=5), []),
        (Signs(key=FINE, old_value_used_ms=6, rotated_ms=5), [Concern.OLD_VALUE_IN_USE]),
        (Signs(key=FINE, old_value_used_ms=4, rotated_ms=5), []),
    ],
)
def test_a_key_is_found_for_what_is_wrong_with_it(signs, concerns):
    assert [finding.concern for finding in findings([signs], NOW)] == concerns


def test_the_worst_comes_first_then_the_oldest():
    found = findings(
        [
            Signs(key=replace(FINE, id="1", expires_at_ms=None)),
            Signs(key=replace(FINE, id="2"), leaked_ms=9),
            Signs(key=replace(FINE, id="3"), leaked_ms=8, url_seen_ms=7),
        ],
        NOW,
    )
    assert [(finding.key.id, finding.concern, finding.since_ms) for finding in found] == [
        ("3", Concern.LEAKED, 8),
        ("2", Concern.LEAKED, 9),
        ("3", Concern.SEEN_IN_ADDRESS, 7),
        ("1", Concern.NO_EXPIRY, FINE.created_ms),
    ]
    assert all(finding.advice.endswith(".") for finding in found)
