"""Every change of a key and every showing of a value stands in the audit log, whichever door it came by."""

import pytest


def events(tester, **params):
    answer = tester.get("/api/audit", **params)
    assert answer.status_code == 200
    return answer.json()["events"]


def ask(tester, method, path, **options):
    answer = tester.client.request(method, path, headers={"servicekey": tester.service_key}, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_life_of_a_key_is_recorded(tester):
    key_id = ask(tester, "POST", "/v1/config/keys?type=ingestion", json={"name": "web"})["id"]
    ask(tester, "PUT", f"/v1/config/keys/{key_id}", json={"name": "edge"})
    ask(tester, "PATCH", f"/api/keys/{key_id}", json={"labels": {"value": "a label may be named like this"}})
    ask(tester, "POST", f"/api/keys/{key_id}/rotate", json={"overlap": "1h"})
    ask(tester, "POST", f"/api/keys/{key_id}/hold", json={"for": "1m"})
    ask(tester, "POST", f"/api/keys/{key_id}/release")
    ask(tester, "POST", f"/api/keys/{key_id}/disable")
    ask(tester, "DELETE", f"/v1/config/keys/{key_id}")
    found = [event for event in events(tester, key=key_id) if event["action"] != "key.revealed"]
    assert [(event["action"], event["door"]) for event in reversed(found)] == [
        ("key.created", "compatible"),
        ("key.renamed", "compatible"),
        ("key.changed", "api"),
        ("key.rotated", "api"),
        ("key.held", "api"),
        ("key.released", "api"),
        ("key.disabled", "api"),
        ("key.deleted", "compatible"),
    ]
    renamed = found[-2]
    assert (renamed["before"]["name"], renamed["after"]["name"]) == ("web", "edge")
    assert renamed["actor"]["kind"] == "service_key"
    assert len(renamed["request_id"]) == 16


def test_a_program_that_reads_a_value_again_and_again_is_noted_once(tester):
    key_id = ask(tester, "POST", "/v1/config/keys?type=ingestion")["id"]
    for _ in range(3):
        assert ask(tester, "GET", f"/v1/config/keys/{key_id}")["key"]
    assert len(events(tester, key=key_id, action="key.revealed")) == 1


def test_no_value_is_in_the_log(tester):
    value = ask(tester, "POST", "/v1/config/keys?type=ingestion")["key"]
    assert value not in tester.get("/api/audit").text
    assert tester.service_key not in tester.get("/api/audit").text


def test_a_key_tells_of_itself_even_when_it_is_deleted(tester):
    key_id = ask(tester, "POST", "/v1/config/keys?type=ingestion")["id"]
    ask(tester, "DELETE", f"/api/keys/{key_id}")
    found = ask(tester, "GET", f"/api/keys/{key_id}/events")
    assert [event["action"] for event in found["events"]] == ["key.deleted", "key.created"]
    assert found["events"] == events(tester, key=key_id)


def test_another_accounts_events_look_absent(make_tester):
    one, other = make_tester(), make_tester()
    key_id = ask(one, "POST", "/v1/config/keys?type=ingestion")["id"]
    assert events(other, key=key_id) == []
    assert other.get(f"/api/keys/{key_id}/events").status_code == 404


def test_the_chain_is_proven(tester):
    ask(tester, "POST", "/v1/config/keys?type=ingestion")
    assert ask(tester, "GET", "/api/audit/verify")["ok"] is True


@pytest.mark.parametrize("path", ["/api/audit", "/api/audit/verify", f"/api/keys/{'0' * 24}/events"])
def test_only_a_service_key_reads_the_log(tester, path):
    assert tester.client.get(path).status_code == 401
    assert tester.client.get(path, headers={"servicekey": tester.ingestion_key}).status_code == 403
