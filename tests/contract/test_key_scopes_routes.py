"""Scopes of service keys over HTTP: how they are asked for, what they open, and what a stolen key takes along.

Evidence: keys.md 5.4, 5.11. Every route with every scope: `test_route_table.py`.
"""

import time

import pytest

KEYS = "/api/keys"


@pytest.fixture
def ask(tester):
    def ask(method, path="", body=None, **headers):
        content = {} if body is None else {"json": body}
        return tester.client.request(
            method, KEYS + path, headers={"servicekey": tester.service_key, **headers}, **content
        )

    return ask


@pytest.fixture
def sender(tester):
    """The account's ingestion key."""
    return next(key for key in tester.parts.keys.list_keys(tester.account_id) if key.value == tester.ingestion_key)


def details(answer):
    assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest")
    return [detail["message"] for detail in answer.json()["details"]]


@pytest.mark.parametrize(
    ("wish", "scopes"),
    [
        pytest.param("export-only", ["export:read"], id="preset"),
        pytest.param("full", None, id="full"),
        pytest.param(None, None, id="null"),
        pytest.param(["keys:manage", "keys:read", "keys:read"], ["keys:read", "keys:manage"], id="names"),
    ],
)
def test_a_service_key_gets_the_scopes_that_are_asked_for(ask, wish, scopes):
    key = ask("POST", body={"type": "service", "scopes": wish}).json()
    assert key["scopes"] == scopes
    assert ask("GET", f"/{key['id']}").json()["scopes"] == scopes
    assert ask("GET", "/self", servicekey=key["value"]).json()["scopes"] == scopes


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        pytest.param([], '"scopes" must be an array of scopes, null, or one of [full, export-only', id="empty"),
        pytest.param("all", '"scopes" must be an array of scopes, null, or one of [full, export-only', id="preset"),
        pytest.param(["keys:read", "keys:own"], '"scopes[1]" must be one of [export:read, config:read', id="unknown"),
        pytest.param([["keys:read"]], '"scopes[0]" must be one of [export:read, config:read', id="nested"),
    ],
)
def test_scopes_that_are_none_are_refused(ask, wish, message):
    (told,) = details(ask("POST", body={"type": "service", "scopes": wish}))
    assert told.startswith(message)


def test_an_ingestion_key_has_no_scopes(ask, sender):
    refusal = ['"scopes" is not allowed for an ingestion key']
    assert details(ask("POST", body={"type": "ingestion", "scopes": ["keys:read"]})) == refusal
    assert details(ask("PATCH", f"/{sender.id}", {"scopes": ["keys:read"]})) == refusal
    assert ask("GET", f"/{sender.id}").json()["scopes"] is None


def test_changed_scopes_count_from_the_next_request_on(ask):
    key = ask("POST", body={"type": "service", "scopes": ["keys:read"]}).json()
    assert ask("GET", servicekey=key["value"]).status_code == 200
    ask("PATCH", f"/{key['id']}", {"scopes": "export-only"})
    refused = ask("GET", servicekey=key["value"])
    assert (refused.status_code, refused.json()["code"]) == (403, "ScopeMissing")
    assert refused.json()["error"] == "This key is not allowed to do this. It needs the scope keys:read."


def test_showing_a_value_needs_its_own_scope(ask, sender):
    reader = ask("POST", body={"type": "service", "scopes": "keys-read"}).json()["value"]
    seer = ask("POST", body={"type": "service", "scopes": ["keys:read", "keys:reveal"]}).json()["value"]
    path = f"/{sender.id}"
    assert ask("GET", path, servicekey=reader).status_code == 200
    assert ask("GET", f"{path}?reveal=1", servicekey=reader).json()["code"] == "ScopeMissing"
    assert ask("GET", f"{path}?reveal=1", servicekey=seer).json()["value"] == sender.value
    own = ask("GET", "/self").json()["id"]
    refused = ask("GET", f"/{own}?reveal=1", servicekey=seer)
    assert (refused.status_code, refused.json()["code"]) == (403, "ScopeExceeded")


def test_who_wants_to_give_more_than_it_has_is_told_of(ask):
    small = ask("POST", body={"type": "service", "scopes": "keys-manage"}).json()
    refused = ask("POST", body={"type": "service"}, servicekey=small["value"])
    assert (refused.status_code, refused.json()["code"]) == (403, "ScopeExceeded")
    deadline = time.monotonic() + 20
    while not (events := ask("GET", f"/{small['id']}/events?action=key.refused").json()["events"]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert events[0]["after"]["refusal"] == "scope_exceeded"


def test_a_stolen_key_takes_its_children_along_when_that_is_asked_for(ask, tester):
    stolen = ask("POST", body={"type": "service"}).json()
    child = ask("POST", body={"type": "service"}, servicekey=stolen["value"]).json()
    grandchild = ask("POST", body={"type": "ingestion"}, servicekey=child["value"]).json()
    answer = ask("DELETE", f"/{child['id']}").json()
    assert (answer["deleted_children"], answer["children"]) == ([], [grandchild["id"]])
    assert tester.send({"lines": []}, apikey=grandchild["value"]).status_code == 200
    answer = ask("DELETE", f"/{stolen['id']}?children=1&wait=1").json()
    assert (answer["deleted_children"], answer["children"]) == ([grandchild["id"]], [])
    assert answer["seen"]["all"] is True
    assert tester.send({"lines": []}, apikey=grandchild["value"]).json()["reason"] == "The key was deleted."
    assert tester.send({"lines": []}).status_code == 200


def test_a_repeated_request_is_its_own_keys(ask):
    other = ask("POST", body={"type": "service"}).json()["value"]
    body, name = {"type": "ingestion"}, {"Idempotency-Key": "deploy-17"}
    first = ask("POST", body=body, **name)
    assert ask("POST", body=body, **name).json() == first.json()
    refused = ask("POST", body=body, servicekey=other, **name)
    assert details(refused) == ['"Idempotency-Key" was used for another request']
