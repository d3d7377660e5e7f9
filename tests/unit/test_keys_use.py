"""What is read off a request about who uses a key: as it stands there, within bounds. Evidence: keys.md 5.8."""

import pytest
from starlette.requests import Request

from logboom.keys.credentials import Carrier
from logboom.keys.key import Caller, KeyKind
from logboom.keys.usage import HOUR_MS, Counters, Hour, HourCount, User
from logboom.keys.use import SENDER_HOST, UseListener
from logboom.keys.verdict import Refusal, Refused

NOW = 1_700_000_000_000
HOUR = NOW // HOUR_MS * HOUR_MS
SENDER = Caller(account_id="a", key_id="k", kind=KeyKind.INGESTION, generation=3)
READER = Caller(account_id="a", key_id="s", kind=KeyKind.SERVICE)


@pytest.fixture
def counters():
    return Counters()


@pytest.fixture
def listener(counters):
    return UseListener(counters, now_ms=lambda: NOW)


def request(**members):
    scope = {
        "type": "http",
        "route_name": "/logs/ingest",
        "query_string": b"hostname=from-query",
        "client": ("10.0.0.7", 4711),
        "headers": [(b"host", b"x"), (b"user-agent", b"python/1.18.12"), (b"user-agent", b"second")],
    }
    return Request(scope | members)


def seen(counters):
    counts = counters.take().with_texts(str)
    (user,) = counts.users
    return user, counts


def test_a_sender_is_read_off_its_request(listener, counters):
    listener.admitted(request(), SENDER, Carrier.BASIC)
    user, counts = seen(counters)
    assert user == User("k", 3, "10.0.0.7", "python/1.18.12", "from-query", "basic", "logs")
    assert counts.hours == {Hour("k", 3, HOUR): HourCount(requests=1)}
    assert counts.users[user][3:] == (NOW, NOW)


def test_what_is_safe_belongs_to_the_request_that_was_admitted(listener, counters):
    admitted = request()
    listener.admitted(admitted, SENDER, Carrier.HEADER)
    first = counters.take()
    listener.accepted(admitted, 7, 900)
    assert first.plus(counters.take()).hours == {Hour("k", 3, HOUR): HourCount(requests=1, lines=7, bytes=900)}
    listener.accepted(request(), 7, 900)  # nobody was admitted
    assert not counters.take()


def test_a_refusal_is_of_the_user_that_it_would_have_been(listener, counters):
    listener.refused(request(), Refused(caller=SENDER, refusal=Refusal.HELD), Carrier.HEADER)
    user, counts = seen(counters)
    assert (user.host, user.generation) == ("from-query", 3)
    assert counts.hours == {Hour("k", 3, HOUR): HourCount(refusals=1)}
    assert counts.users[user][:2] == (1, 1)


@pytest.mark.parametrize(
    ("members", "caller", "expected"),
    [
        ({SENDER_HOST: "from-body"}, SENDER, {"host": "from-body"}),
        ({SENDER_HOST: ""}, SENDER, {"host": ""}),
        ({"query_string": b""}, SENDER, {"host": ""}),
        ({}, READER, {"host": ""}),
        ({SENDER_HOST: "h" * 300}, SENDER, {"host": "h" * 254}),
        ({"query_string": b"hostname=" + b"h" * 300}, SENDER, {"host": "h" * 254}),
        ({"headers": []}, SENDER, {"agent": ""}),
        ({"headers": [(b"user-agent", b"\xe9" * 300)]}, SENDER, {"agent": "é" * 200}),
        ({"client": None}, SENDER, {"address": ""}),
        ({"route_name": "/v1/export"}, READER, {"dialect": "export"}),
    ],
)
def test_what_is_said_is_taken_within_bounds(listener, counters, members, caller, expected):
    for _ in range(2):  # the second time from what was learnt
        listener.admitted(request(**members), caller, Carrier.HEADER)
    user, counts = seen(counters)
    assert {member: getattr(user, member) for member in expected} == expected
    assert counts.users[user].requests == 2
