"""What is told of the use of keys, on the real server: by hour, by value, by user. Evidence: keys.md 5.7, 5.8."""

import time

import pytest

from conftest import basic
from logboom.keys.change import SYSTEM
from logboom.keys.key import KeyKind

HOUR_MS = 3_600_000
LINES = {"lines": [{"line": "one"}, {"line": "two"}]}


@pytest.fixture
def sender_id(tester):
    return next(key.id for key in tester.parts.keys.list_keys(tester.account_id, KeyKind.INGESTION))


def usage_of(tester, key_id, **params):
    answer = tester.get(f"/api/keys/{key_id}/usage", **params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def now_ms():
    return time.time_ns() // 1_000_000


def test_a_use_is_told_with_all_that_is_known_of_the_user(tester, sender_id):
    before_ms = now_ms()
    body = b'{"lines": [{"line": "one"}, {"line": "two"}]}'
    assert tester.send(body, query="hostname=web-7", **{"user-agent": "logdna-agent/3.11.2"}).status_code == 200
    usage = usage_of(tester, sender_id)
    last = usage["last_used"]
    assert before_ms <= last.pop("at_ms") <= now_ms()
    who = {
        "generation": 1,
        "address": "testclient",
        "agent": "logdna-agent/3.11.2",
        "host": "web-7",
        "carrier": "header",
        "dialect": "logs",
    }
    assert last == who
    assert usage["total"] == {"requests": 1, "refusals": 0, "lines": 2, "bytes": len(body)}
    (user,) = usage["users"]
    assert who.items() <= user.items()
    assert (user["requests"], user["refusals"]) == (1, 0)
    (hour,) = usage["hours"]
    assert hour["hour_ms"] % HOUR_MS == 0
    assert (hour["generation"], hour["requests"], hour["lines"]) == (1, 1, 2)
    assert (usage["id"], usage["accuracy_s"]) == (sender_id, 10)


def test_a_key_tells_when_it_was_last_used(tester, sender_id):
    assert tester.get(f"/api/keys/{sender_id}").json()["last_used_ms"] is None
    tester.send(LINES)
    last_ms = usage_of(tester, sender_id)["last_used"]["at_ms"]
    assert tester.get(f"/api/keys/{sender_id}").json()["last_used_ms"] == last_ms
    listed = {key["id"]: key["last_used_ms"] for key in tester.get("/api/keys").json()["keys"]}
    assert listed[sender_id] == last_ms


def test_a_use_is_known_within_ten_seconds_without_anybody_asking(tester, sender_id):
    tester.send(LINES)
    deadline = time.monotonic() + 10
    while tester.get(f"/api/keys/{sender_id}").json()["last_used_ms"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("query", "headers", "carrier"),
    [
        ("hostname=h&apikey={key}", {}, "address"),
        ("hostname=h", {"authorization": "Token {key}"}, "authorization"),
        ("hostname=h", "basic", "basic"),
    ],
)
def test_the_place_of_the_value_is_told(tester, sender_id, query, headers, carrier):
    value = tester.ingestion_key
    given = basic(value) if headers == "basic" else {name: text.format(key=value) for name, text in headers.items()}
    answer = tester.client.post(f"/logs/ingest?{query.format(key=value)}", headers=given, json=LINES)
    assert answer.status_code == 200
    assert usage_of(tester, sender_id)["last_used"]["carrier"] == carrier


def test_a_sender_who_names_its_key_and_host_in_the_body_is_known_by_them(tester, sender_id):
    body = LINES | {"apikey": tester.ingestion_key, "hostname": "from-go"}
    assert tester.client.post("/logs/agent", json=body).status_code == 200
    last = usage_of(tester, sender_id)["last_used"]
    assert (last["carrier"], last["host"], last["dialect"]) == ("body", "from-go", "agent")


def test_refused_uses_are_counted_too(tester, sender_id):
    tester.parts.keys.hold(tester.account_id, sender_id, 60_000, actor=SYSTEM)
    assert tester.send(LINES).status_code == 504
    tester.parts.keys.release(tester.account_id, sender_id, actor=SYSTEM)
    assert tester.send(LINES).status_code == 200
    tester.parts.keys.delete(tester.account_id, sender_id)
    assert tester.send(LINES).status_code == 403
    usage = usage_of(tester, sender_id)
    assert usage["total"]["requests"] == 1
    assert usage["total"]["refusals"] == 2
    assert [generation["state"] for generation in usage["generations"]] == ["ended"]
    (user,) = usage["users"]
    assert (user["requests"], user["refusals"]) == (3, 2)
    metrics = tester.client.get("/metrics").text
    assert 'logboom_key_refusals_total{reason="held"}' in metrics
    assert 'logboom_usage_writes_total{outcome="written"}' in metrics


def test_a_rotation_shows_who_still_uses_the_old_value(tester, sender_id):
    for host in ("web-1", "web-2", "web-3"):
        tester.send(LINES, query=f"hostname={host}")
    usage_of(tester, sender_id)
    rotated = tester.parts.keys.rotate(tester.account_id, sender_id, actor=SYSTEM)
    tester.send(LINES, query="hostname=web-1", apikey=rotated.value)
    new, old = usage_of(tester, sender_id)["generations"]
    assert (new["generation"], new["state"], new["requests"], new["hosts"]) == (2, "active", 1, 1)
    assert (old["generation"], old["state"], old["requests"], old["hosts"]) == (1, "retiring", 3, 2)
    assert new["last_used_ms"] >= old["last_used_ms"]


def test_a_service_key_is_counted_by_what_it_asks(tester):
    service = next(key.id for key in tester.parts.keys.list_keys(tester.account_id, KeyKind.SERVICE))
    tester.get("/v2/export")
    tester.get("/v1/config/keys")
    users = usage_of(tester, service)["users"]
    assert {user["dialect"] for user in users} == {"export", "config", "api"}
    assert {user["host"] for user in users} == {""}


def test_hours_are_told_of_the_range_that_is_asked_for(tester, sender_id):
    tester.send(LINES)
    assert usage_of(tester, sender_id, to=now_ms() - 2 * HOUR_MS)["hours"] == []
    usage = usage_of(tester, sender_id, **{"from": now_ms() - 1, "to": now_ms()})
    assert len(usage["hours"]) == 1
    assert usage["from_ms"] % HOUR_MS == 0


@pytest.mark.parametrize(
    ("params", "rule"),
    [
        ({"from": "yesterday"}, '"from" must be a time in milliseconds since 1970'),
        ({"from": 2, "to": 1}, '"from" must not be later than to'),
        ({"from": 0}, '"from" must be at most 31 days before to'),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(tester, sender_id, params, rule):
    answer = tester.get(f"/api/keys/{sender_id}/usage", **params)
    assert answer.status_code == 400
    assert answer.json()["details"][0]["message"] == rule


def test_another_accounts_key_looks_absent(make_tester, sender_id):
    assert make_tester().get(f"/api/keys/{sender_id}/usage").status_code == 404
