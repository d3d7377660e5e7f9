"""Our own values in lines, through the real door: redacted before anything is kept, counted, told, answered.

Evidence: keys.md 5.9.
"""

import base64
import json
import time
from contextlib import suppress
from pathlib import Path

import pytest

from logboom.keys.change import SYSTEM
from logboom.keys.key import KeyFormat, KeyKind, NewKey

DAY_MS = 86_400_000
TOLD_WITHIN_S = 5


def key_ids(tester, kind=KeyKind.INGESTION):
    return [key.id for key in tester.parts.keys.list_keys(tester.account_id, kind)]


def leaks_of(tester, key_id):
    answer = tester.get(f"/api/keys/{key_id}/leaks")
    assert answer.status_code == 200, answer.text
    assert answer.json()["id"] == key_id
    return answer.json()["leaks"]


def events_of(tester, key_id, action):
    events = tester.get(f"/api/keys/{key_id}/events").json()["events"]
    return [event for event in events if event["action"] == action]


def await_events(tester, key_id, action):
    """The events of that kind, as soon as there are any."""
    deadline = time.monotonic() + TOLD_WITHIN_S
    while not (events := events_of(tester, key_id, action)):
        assert time.monotonic() < deadline, f"no {action}"
        time.sleep(0.01)
    return events


def set_policy(tester, **on_leak):
    answer = tester.client.patch(
        "/api/keys/policy", json={"on_leak": on_leak}, headers={"servicekey": tester.service_key}
    )
    assert answer.status_code == 200


def basic_text(value):
    return "Basic " + base64.b64encode(f"{value}:".encode()).decode()


def test_a_value_is_redacted_before_it_is_stored_and_its_owners_are_told(tester):
    (sender_id,), (reader_id,) = key_ids(tester), key_ids(tester, KeyKind.SERVICE)
    lines = [
        {"line": f"key={tester.ingestion_key}", "app": "api"},
        {"line": basic_text(tester.ingestion_key), "app": "api"},
        {"line": json.dumps({"servicekey": tester.service_key}), "app": "web", "meta": {"k": tester.service_key}},
        {"line": "nothing"},
    ]
    assert tester.send({"lines": lines}, query="hostname=h1").status_code == 200
    found = tester.lines(4)
    assert [line["_line"] for line in found] == [
        f"key=[redacted key {sender_id}]",
        f"Basic [redacted key {sender_id}]",
        json.dumps({"servicekey": f"[redacted key {reader_id}]"}),
        "nothing",
    ]
    assert tester.service_key not in json.dumps(found)
    (leak,) = leaks_of(tester, sender_id)
    assert (leak["app"], leak["host"], leak["count"], leak["in_own_lines"]) == ("api", "h1", 2, True)
    assert leak["day_ms"] % DAY_MS == 0
    assert leak["first_ms"] <= leak["last_ms"]
    (event,) = events_of(tester, sender_id, "key.leaked")
    told = {"app": "api", "host": "h1", "generation": 1, "kind": "ingestion", "in_own_lines": True, "policy": "warn"}
    assert (event["after"], event["actor"]["kind"], event["door"]) == (told, "system", "ingest")
    assert leaks_of(tester, reader_id)[0]["count"] == 2


def test_a_place_is_told_once_a_day_and_counted_each_time(tester):
    (sender_id,) = key_ids(tester)
    for _ in range(3):
        tester.send({"lines": [{"line": tester.ingestion_key, "app": "api"}] * 2})
        assert tester.parts.leaks.flush() is None
    tester.send({"lines": [{"line": tester.ingestion_key, "app": "web"}]})
    assert {leak["app"]: leak["count"] for leak in leaks_of(tester, sender_id)} == {"api": 6, "web": 1}
    assert {event["after"]["app"] for event in events_of(tester, sender_id, "key.leaked")} == {"api", "web"}
    assert len(events_of(tester, sender_id, "key.leaked")) == 2


def test_values_beside_the_lines_are_redacted_whole(tester):
    (sender_id,) = key_ids(tester)
    key, mark = tester.ingestion_key, f"[redacted key {sender_id}]"
    query = f"hostname={'h' * 250}{key}&app=a-{key}&tags=x,{key}&mac={key}"
    assert tester.send({"lines": [{"line": "one"}]}, query=query).status_code == 200
    (line,) = tester.lines(1)
    assert line["_host"] == f"{'h' * 250}{mark}"[:256]
    assert (line["_app"], sorted(line["_tag"])) == (f"a-{mark}", [mark, "x"])
    assert key not in json.dumps(line)
    assert [leak["count"] for leak in leaks_of(tester, sender_id)] == [4]


BODIES = {
    "many lines": lambda key: (
        b'{"lines":[%s]}' % b",".join([b'{"line":"%s"}' % (b"x" * 60), b'{"line":"%s"}' % key] * 1_000)
    ),
    "the agent's names": lambda key: b'{"ls":[{"l":"%s","t":1}],"apikey":"%s"}' % (key, key),
    "not UTF-8": lambda key: b'{"lines":[{"line":"caf\xe9 %s"}]}' % key,
    "one object": lambda key: b'{"line":"%s","meta":{"deep":[{"k":"%s"}]}}' % (key, key),
    "plain text": lambda key: b"GET /?apikey=%s HTTP/1.1" % key,
    "no object": lambda key: b'{"lines":["%s"]}' % key,
}


@pytest.mark.parametrize("make_body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("path", ["/logs/ingest", "/logs/agent"])
def test_values_are_redacted_in_every_body_that_is_accepted(tester, make_body, path):
    body = make_body(tester.ingestion_key.encode())
    headers = {"apikey": tester.ingestion_key, "content-type": "text/plain"}
    assert tester.client.post(f"{path}?hostname=h", content=body, headers=headers).status_code == 200
    lines = tester.lines(2_000 if len(body) > 50_000 else 1, size=5_000)
    assert tester.ingestion_key not in json.dumps(lines)
    assert "[redacted key " in json.dumps(lines)


def test_what_is_kept_of_a_sender_holds_no_value(tester):
    """The host and the program of a request are kept as its user, also across the place where they are cut."""
    (sender_id,) = key_ids(tester)
    key, agent = tester.ingestion_key, "a" * 180
    assert tester.send({"lines": []}, query=f"hostname={key}", **{"user-agent": f"{agent} {key}"}).status_code == 200
    (user,) = tester.get(f"/api/keys/{sender_id}/usage").json()["users"]
    assert (user["host"], user["agent"]) == ("[redacted secret]", f"{agent} [redacted secret]"[:200])


def test_an_audit_event_holds_no_value(tester):
    (reader_id,) = key_ids(tester, KeyKind.SERVICE)
    key = tester.service_key
    headers = {"servicekey": key, "user-agent": f"terraform {key}"}
    body = {"name": f"made with {key}"[:40], "note": f"made with {key}", "labels": {"by": key}}
    assert tester.client.patch(f"/api/keys/{reader_id}", json=body, headers=headers).status_code == 200
    (event,) = events_of(tester, reader_id, "key.changed")
    assert event["after"]["note"] == "made with [redacted secret]"
    assert key not in json.dumps(event)


def test_the_start_proves_that_values_are_redacted(tester):
    assert "logboom_redaction_proven 1.0" in tester.client.get("/metrics").text


def test_the_owner_of_the_lines_does_not_learn_whose_a_value_is(make_tester):
    sender, owner = make_tester(), make_tester()
    (reader_id,) = key_ids(owner, KeyKind.SERVICE)
    sender.send({"lines": [{"line": f"<{owner.service_key}>", "app": "secret-app"}]}, query="hostname=secret-host")
    assert sender.lines(1)[0]["_line"] == "<[redacted secret]>"
    (leak,) = leaks_of(owner, reader_id)
    assert (leak["app"], leak["host"], leak["in_own_lines"], leak["count"]) == ("", "", False, 1)
    told = json.dumps(events_of(owner, reader_id, "key.leaked"))
    assert sender.account_id not in told
    assert "secret-" not in told
    assert sender.get(f"/api/keys/{reader_id}/leaks").status_code == 404
    assert sender.get("/api/audit", action="key.leaked").json()["events"] == []


ENDED = {
    "rotated": lambda keys, account_id, key_id: keys.rotate(account_id, key_id, overlap_ms=0, actor=SYSTEM),
    "retiring": lambda keys, account_id, key_id: keys.rotate(account_id, key_id, actor=SYSTEM),
    "held": lambda keys, account_id, key_id: keys.hold(account_id, key_id, 60_000, actor=SYSTEM),
    "disabled": lambda keys, account_id, key_id: keys.disable(account_id, key_id, actor=SYSTEM),
    "deleted": lambda keys, account_id, key_id: keys.delete(account_id, key_id),
}


@pytest.mark.parametrize("end", ENDED.values(), ids=ENDED)
@pytest.mark.parametrize("shape", list(KeyFormat))
def test_values_are_known_whatever_has_become_of_their_key(tester, end, shape):
    keys, account_id = tester.parts.keys, tester.account_id
    key = keys.create_key(account_id, NewKey(kind=KeyKind.SERVICE, format=shape), actor=SYSTEM)
    end(keys, account_id, key.id)
    assert tester.send_line(line=f"old {key.value}")["_line"] == f"old [redacted key {key.id}]"
    assert leaks_of(tester, key.id)[0]["count"] == 1


def test_nothing_is_done_to_a_key_whose_account_wants_to_be_warned(tester):
    (sender_id,) = key_ids(tester)
    tester.send({"lines": [{"line": tester.ingestion_key}]})
    await_events(tester, sender_id, "key.leaked")
    assert tester.get(f"/api/keys/{sender_id}").json()["state"] == "active"


def test_the_policy_hold_holds_once_for_each_value(tester):
    (sender_id,) = key_ids(tester)
    set_policy(tester, ingestion="hold")
    lines = {"lines": [{"line": tester.ingestion_key}]}
    assert tester.send(lines).status_code == 200
    (event,) = await_events(tester, sender_id, "key.held")
    assert event["actor"]["kind"] == "system"
    assert tester.send(lines).status_code == 504
    release = tester.client.post(f"/api/keys/{sender_id}/release", headers={"servicekey": tester.service_key})
    assert release.status_code == 200
    assert tester.send(lines).status_code == 200
    tester.parts.leaks.flush()
    assert tester.get(f"/api/keys/{sender_id}").json()["state"] == "active"
    assert [leak["count"] for leak in leaks_of(tester, sender_id)] == [2]


def test_the_policy_disable_disables(tester):
    key = tester.parts.keys.create(tester.account_id, KeyKind.SERVICE)
    set_policy(tester, service="disable")
    tester.send({"lines": [{"line": key.value}]})
    await_events(tester, key.id, "key.disabled")
    assert tester.client.get("/api/keys", headers={"servicekey": key.value}).status_code == 401
    assert tester.send({"lines": [{"line": tester.ingestion_key}]}).status_code == 200


def test_the_policy_disable_ends_an_old_value_and_leaves_the_new_one(tester):
    old = tester.parts.keys.create(tester.account_id, KeyKind.SERVICE)
    new = tester.parts.keys.rotate(tester.account_id, old.id, actor=SYSTEM)
    set_policy(tester, service="disable")
    tester.send({"lines": [{"line": old.value}]})
    await_events(tester, old.id, "key.retired")
    assert tester.client.get("/api/keys", headers={"servicekey": old.value}).status_code == 401
    assert tester.client.get("/api/keys", headers={"servicekey": new.value}).status_code == 200


def test_the_policy_rotate_gives_a_new_value_and_an_hour(tester):
    (sender_id,) = key_ids(tester)
    set_policy(tester, ingestion="rotate")
    tester.send({"lines": [{"line": tester.ingestion_key}]})
    await_events(tester, sender_id, "key.rotated")
    tester.send({"lines": [{"line": tester.ingestion_key}]})
    tester.parts.leaks.flush()
    key = tester.get(f"/api/keys/{sender_id}", reveal="1").json()
    assert key["generation"] == 2
    left_ms = key["retiring_until_ms"] - time.time_ns() // 1_000_000
    assert 3_590_000 < left_ms <= 3_600_000
    assert tester.send({"lines": [{"line": key["value"]}]}).status_code == 200


def test_redactions_are_counted_for_the_operator(tester):
    counted = 'logboom_redacted_key_values_total{kind="ingestion"}'

    def figure():
        rows = tester.client.get("/metrics").text.splitlines()
        return sum(float(row.split()[-1]) for row in rows if row.startswith(counted))

    before = figure()
    tester.send({"lines": [{"line": tester.ingestion_key}] * 3})
    assert figure() == before + 3


def contents(folder):
    """Of every file; the engine merges its own meanwhile, and a file that has gone holds nothing."""
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError, IsADirectoryError):
            yield path.read_bytes()


def test_no_file_of_the_server_holds_a_value(tester, tmp_path):
    tester.send({"lines": [{"line": f"x{form}y"} for form in (tester.ingestion_key, tester.ingestion_key.upper())]})
    tester.lines(2)
    tester.parts.leaks.flush()
    folder = Path(tester.parts.folder_lock.name).parent
    stored = list(contents(folder))
    value = tester.ingestion_key.encode()
    assert sum(map(len, stored)) > 0
    assert not [content for content in stored if value in content or value.upper() in content]
