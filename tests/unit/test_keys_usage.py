"""The counters of use: exact whatever is written when, bounded, and quick to tell of somebody new."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logboom.keys.key import Key, KeyKind, KeyState
from logboom.keys.usage import HOUR_MS, Counters, Counts, Hour, HourCount, User, UserCount
from logboom.keys.usage_report import idle_since_ms, report_usage
from logboom.keys.usage_repository import KeptUser
from logboom.keys.use import dialect_of

HOUR = 1_700_000_000_000 // HOUR_MS * HOUR_MS
ANNA = User("k1", 1, "10.0.0.1", "curl/8", "anna", "header", "logs")


def use(user=ANNA, hour_ms=HOUR):
    return (*user, hour_ms)


USERS = [ANNA, ANNA._replace(generation=2), ANNA._replace(key_id="k2"), ANNA._replace(host="bob")]
steps = st.lists(
    st.tuples(
        st.sampled_from(["opened", "refused", "accepted", "take"]),
        st.sampled_from(USERS),
        st.integers(0, 2 * HOUR_MS),
    )
)


@given(steps, st.randoms(use_true_random=False))
def test_sums_are_kept_whatever_is_taken_when_and_added_in_whatever_order(done, random):
    counters, parts = Counters(), []
    for step, user, after_ms in done:
        now_ms = HOUR + after_ms
        this = use(user, now_ms - now_ms % HOUR_MS)
        if step == "take":
            parts.append(counters.take())
        elif step == "accepted":
            counters.accepted(this, now_ms, lines=3, body_bytes=100)
        else:
            getattr(counters, step)(this, now_ms)
    parts.append(counters.take())
    random.shuffle(parts)
    total = sum_of(parts)
    for user in USERS:
        mine = [(step, after_ms) for step, who, after_ms in done if who == user and step != "take"]
        seen = total.users.get(user)
        assert (seen is None) == (not mine)
        if seen:
            counts = [sum(step == wanted for step, _ in mine) for wanted in ("opened", "refused", "accepted")]
            assert seen[:3] == (counts[0] + counts[1], counts[1], 3 * counts[2])
            assert (seen.first_ms, seen.last_ms) == (
                HOUR + min(after_ms for _, after_ms in mine),
                HOUR + max(after_ms for _, after_ms in mine),
            ) or not is_in_order(mine)
    for hour, count in total.hours.items():
        mine = [
            step
            for step, who, after_ms in done
            if (who.key_id, who.generation) == hour[:2] and 0 <= HOUR + after_ms - hour.hour_ms < HOUR_MS
        ]
        counted = (
            mine.count("opened"),
            mine.count("refused"),
            3 * mine.count("accepted"),
            100 * mine.count("accepted"),
        )
        assert count == counted
    assert sum(count.requests for count in total.hours.values()) == sum(step == "opened" for step, *_ in done)


def is_in_order(mine):
    """Whether the clock went on, as it does in a server; a row tells the last time it was told."""
    times = [after_ms for step, after_ms in mine]
    return times == sorted(times) and all(step != "accepted" for step, _ in mine)


def sum_of(parts):
    total = Counts()
    for part in parts:
        total = total.plus(part)
    return total


def test_many_threads_lose_no_count():
    counters, parts = Counters(), []

    def count():
        for _ in range(5_000):
            counters.opened(use(), HOUR)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        parts.append(counters.take())
    parts.append(counters.take())
    assert sum_of(parts).hours == {Hour("k1", 1, HOUR): HourCount(requests=20_000)}


def test_users_that_are_too_many_are_counted_without_their_names():
    counters = Counters(uses_max=3)
    for number in range(10):
        counters.opened(use(ANNA._replace(host=f"host-{number}")), HOUR)
    counts = counters.take()
    assert counts.hours == {Hour("k1", 1, HOUR): HourCount(requests=10)}
    assert [user.host for user in counts.users] == ["host-0", "host-1", "host-2"]


def test_what_cannot_be_written_is_kept_within_bounds_and_the_newest_of_it():
    hours = {Hour("k1", 1, HOUR + number * HOUR_MS): HourCount(requests=number) for number in range(5)}
    users = {ANNA._replace(host=str(number)): UserCount(1, 0, 0, number, number) for number in range(5)}
    kept = Counts(hours, users).newest(hours_max=2, users_max=3)
    assert [count.requests for count in kept.hours.values()] == [4, 3]
    assert [user.host for user in kept.users] == ["4", "3", "2"]


def test_somebody_new_is_told_of_once():
    told = []
    counters = Counters(on_new=lambda: told.append(1))
    for _ in range(3):
        counters.opened(use(), HOUR)
        counters.opened(use(hour_ms=HOUR + HOUR_MS), HOUR)
        counters.take()
    assert len(told) == 1
    counters.opened(use(ANNA._replace(address="10.0.0.2")), HOUR)
    assert len(told) == 2


def test_nothing_counted_is_nothing_to_write():
    assert not Counters().take()
    assert Counts({Hour("k1", 1, HOUR): HourCount(refusals=1)})


@pytest.mark.parametrize(
    ("route", "dialect"),
    [
        ("/logs/ingest", "logs"),
        ("/logs/agent", "agent"),
        ("/v1/export", "export"),
        ("/v2/export", "export"),
        ("/v1/config/keys/{key_id}", "config"),
        ("/api/keys", "api"),
        ("", "other"),
    ],
)
def test_a_dialect_is_a_family_of_addresses(route, dialect):
    assert dialect_of(route) == dialect


# -- what is told ------------------------------------------------------------------------------------------------------


def key(**members):
    return Key(id="k1", account_id="a", kind=KeyKind.INGESTION, name="web", created_ms=0, **members)


def kept(last_ms, generation=1, host="anna", address="10.0.0.1"):
    user = ANNA._replace(generation=generation, host=host, address=address)
    return KeptUser(user=user, seen=UserCount(1, 0, 0, last_ms, last_ms))


def test_a_host_counts_for_the_value_that_it_used_last():
    users = [
        kept(9, generation=2),
        kept(8, generation=1, host="bob"),
        kept(7, generation=1, host="", address="10.0.0.7"),
        kept(6, generation=1),
        kept(5, generation=1, host="", address="10.0.0.7"),
    ]
    usage = report_usage(key(generation=2, retiring_until_ms=10), {}, users)
    assert [(use.generation, use.state, use.hosts) for use in usage.generations] == [
        (2, "active", 1),
        (1, "retiring", 2),
    ]


def test_a_value_without_kept_users_was_last_used_in_its_last_hour():
    hours = {Hour("k1", 1, HOUR): HourCount(requests=2), Hour("k1", 2, HOUR): HourCount(requests=1, lines=5)}
    usage = report_usage(key(generation=2), hours, [kept(HOUR + 5, generation=2)])
    assert [(use.state, use.last_used_ms) for use in usage.generations] == [
        ("active", HOUR + 5),
        ("ended", HOUR + HOUR_MS - 1),
    ]
    assert usage.total == HourCount(requests=3, lines=5)


def test_a_deleted_key_has_no_value_any_more():
    usage = report_usage(key(state=KeyState.DELETED, deleted_ms=1), {}, [])
    assert [(use.generation, use.state, use.last_used_ms) for use in usage.generations] == [(1, "ended", None)]


def test_an_old_value_is_idle_from_its_last_use_or_the_first_of_the_new_one():
    new = kept(90, generation=2)
    assert idle_since_ms(1, {}, [kept(50)]) is None
    assert idle_since_ms(1, {}, [new]) == 90
    assert idle_since_ms(1, {}, [new, kept(95)]) == 95
    # Its users were pushed out of those that are kept: only the hour is known.
    assert idle_since_ms(1, {Hour("k1", 1, HOUR): HourCount(requests=1)}, [new]) == HOUR + HOUR_MS - 1


def test_a_new_value_that_was_only_refused_is_not_in_use():
    refused = KeptUser(user=ANNA._replace(generation=2), seen=UserCount(3, 3, 0, 90, 90))
    assert idle_since_ms(1, {}, [refused, kept(50)]) is None
