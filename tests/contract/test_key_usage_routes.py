"""What is told of the use of keys, on the real server: by hour, by value, by user. Evidence: keys.md 5.7, 5.8."""

import json
import secrets
import time

import pytest

from conftest import basic
from logboom.keys.change import SYSTEM
from logboom.keys.key import KeyKind
from logboom.server import OPENAPI

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


# -- impact and hygiene ------------------------------------------------------------------------------------------------


def impact_of(tester, key_id):
    answer = tester.get(f"/api/keys/{key_id}/impact")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_impact_tells_what_real_clients_will_do(tester, sender_id):
    for host, agent in (("app-1", "python/1.18.12"), ("app-2", "@logdna/logger/2.6.13")):
        assert tester.send(LINES, query=f"hostname={host}", **{"user-agent": agent}).status_code == 200
    impact = impact_of(tester, sender_id)
    assert (impact["advice"], impact["refused_with"], impact["complete"], impact["own"]) == ("rotate", 403, True, False)
    assert impact["text"].startswith("2 hosts used it in the last 24 hours. Rotate it with an overlap")
    by_family = {client["family"]: client for client in impact["clients"]}
    assert by_family["python"]["text"] == (
        "1 host with logdna (Python) 1.18.12: drops the lines that it has buffered, and goes on with the next (403)."
    )
    assert by_family["node_logger"]["text"].startswith("1 host with @logdna/logger (Node) 2.6.13: drops the lines")
    assert by_family["node_logger"]["on"]["504"]["outcome"] == "kept"
    assert by_family["python"]["on"]["504"]["outcome"] == "kept_briefly"
    assert impact["last_minute"] == {"users": 2, "hosts": 2}
    assert impact["last_day"].items() >= {"users": 2, "hosts": 2, "requests": 2, "lines": 4}.items()
    for user in impact["users"]:
        assert (user["in_last_minute"], user["requests_per_minute"], user["lines_per_minute"]) == (True, 1, 2)


def test_the_impact_of_a_key_that_nobody_uses_is_none(tester, sender_id):
    impact = impact_of(tester, sender_id)
    assert (impact["advice"], impact["clients"], impact["users"], impact["last_used_ms"]) == ("remove", [], [], None)


def test_the_impact_of_the_own_key_says_so(tester):
    service = next(key.id for key in tester.parts.keys.list_keys(tester.account_id, KeyKind.SERVICE))
    impact = impact_of(tester, service)
    assert (impact["own"], impact["refused_with"]) == (True, 401)


def test_keys_that_want_looking_after_are_listed(make_tester, tester, sender_id):
    imported_id = tester.client.post(
        "/api/keys/import",
        headers={"servicekey": tester.service_key},
        json={"type": "ingestion", "value": secrets.token_hex(16)},
    ).json()["id"]
    value = tester.ingestion_key
    assert tester.client.post(f"/logs/ingest?hostname=h&apikey={value}", json=LINES).status_code == 200

    def found():
        listed = tester.get("/api/keys/hygiene").json()["findings"]
        return {(finding["id"], finding["concern"]) for finding in listed if finding["concern"] != "no_expiry"}

    assert found() == {(sender_id, "seen_in_address"), (imported_id, "imported")}
    rotated = tester.parts.keys.rotate(tester.account_id, sender_id, actor=SYSTEM)
    assert found() == {(imported_id, "imported")}
    tester.send(LINES)
    assert found() == {(sender_id, "old_value_in_use"), (imported_id, "imported")}
    tester.parts.keys.end_overlap(tester.account_id, sender_id, actor=SYSTEM)
    tester.send(LINES, apikey=rotated.value)
    assert found() == {(imported_id, "imported")}
    others = make_tester().get("/api/keys/hygiene").json()["findings"]
    assert {finding["concern"] for finding in others} == {"no_expiry"}
    assert not {finding["id"] for finding in others} & {sender_id, imported_id}


def test_the_answers_have_the_described_members(tester, sender_id):
    described = json.loads(OPENAPI.read_bytes())["components"]["schemas"]
    tester.send(LINES)
    usage, impact = usage_of(tester, sender_id), impact_of(tester, sender_id)
    assert set(usage) == set(described["Usage"]["required"])
    assert set(impact) == set(described["Impact"]["required"])
    assert set(usage["users"][0]) | {"at_ms"} == set(described["User"]["properties"])
    client, finding = impact["clients"][0], tester.get("/api/keys/hygiene").json()["findings"][0]
    assert set(client) == set(described["Impact"]["properties"]["clients"]["items"]["required"])
    assert set(finding) == set(described["Findings"]["properties"]["findings"]["items"]["required"])


@pytest.mark.parametrize("path", ["/api/keys/hygiene", "/api/keys/{key_id}/impact", "/api/keys/{key_id}/usage"])
def test_only_a_service_key_may_know(tester, sender_id, path):
    path = path.format(key_id=sender_id)
    assert tester.client.get(path).status_code == 401
    assert tester.client.get(path, headers={"servicekey": tester.ingestion_key}).status_code == 403
