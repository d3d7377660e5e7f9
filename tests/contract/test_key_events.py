"""Every route that changes something yields exactly one event, which says what was before and what is after.

The table of routes is the list: one that changes something and has no case here fails.
"""

import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import pytest

from logboom.keys.change import SYSTEM
from logboom.keys.key import Key, KeyKind, NewKey, Reveal
from logboom.records import _facts
from logboom.server import route_table

PATIENCE_S = 20
CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
# What lines do is not told event by event.
OF_LINES = {"POST /logs/ingest", "POST /logs/agent"}
# Of a key: what names its place, what never leaves the server or only with an answer, and when, which the event has.
NOT_TOLD = {"id", "account_id", "value", "mask", "created_ms", "revision", "last_used_ms", "expiry_warned_days"}


@dataclass(frozen=True)
class Case:
    """A request that changes something: what it is told as, its body, and what was done to the key before."""

    action: str
    body: Any = None
    prepared: tuple[str, ...] = ()
    query: str = ""
    subject: str = "key"
    is_new: bool = False


def body_with_value(**members: Any) -> Callable[["House"], dict[str, Any]]:
    return lambda house: {**members, "value": house.values[0]}


def imported(_house: "House") -> dict[str, Any]:
    return {"type": "ingestion", "value": secrets.token_hex(16)}


CASES = {
    "POST /v1/config/keys": Case("key.created", {"name": "web"}, query="?type=ingestion", is_new=True),
    "PUT /v1/config/keys/{key_id}": Case("key.renamed", {"name": "edge"}),
    "DELETE /v1/config/keys/{key_id}": Case("key.deleted"),
    "POST /api/keys": Case("key.created", {"type": "service"}, is_new=True),
    "POST /api/keys/import": Case("key.imported", imported, is_new=True),
    "POST /api/keys/revoke-exposed": Case("key.exposed", body_with_value()),
    "PATCH /api/keys/policy": Case("policy.changed", {"lifetime_max": "30d"}, subject="policy"),
    "PATCH /api/keys/{key_id}": Case("key.changed", {"labels": {"team": "web"}, "note": "n"}),
    "DELETE /api/keys/{key_id}": Case("key.deleted"),
    "POST /api/keys/{key_id}/rotate": Case("key.rotated", {"overlap": "1h"}),
    "POST /api/keys/{key_id}/end-overlap": Case("key.retired", prepared=("rotate",)),
    "POST /api/keys/{key_id}/hold": Case("key.held"),
    "POST /api/keys/{key_id}/release": Case("key.released", prepared=("hold",)),
    "POST /api/keys/{key_id}/disable": Case("key.disabled"),
    "POST /api/keys/{key_id}/enable": Case("key.enabled", prepared=("disable",)),
}


class House:
    """An account with a key to change, and all values that are about."""

    def __init__(self, tester):
        self.tester = tester
        self.key = tester.parts.keys.create_key(tester.account_id, NewKey(kind=KeyKind.INGESTION), actor=SYSTEM)
        self.values = [self.key.value, tester.service_key, tester.ingestion_key]
        self.seen_seq = 0

    def ask(self, method, path, body=None, **headers):
        headers = {"servicekey": self.tester.service_key, "user-agent": "drill/1", **headers}
        answer = self.tester.client.request(method, path, headers=headers, **({} if body is None else {"json": body}))
        if isinstance(body, dict) and "value" in body:
            self.values.append(body["value"])
        if answer.status_code == 200 and method != "GET":
            told = answer.json()
            self.values += [told[name] for name in ("value", "key") if isinstance(told.get(name), str)]
        return answer

    def new_events(self, *, but=("key.revealed",), **filters):
        """What was told since the last look, oldest first."""
        page = self.tester.get("/api/audit", prefer="head", after=self.seen_seq, **filters)
        assert page.json()["next"] is None
        assert not [value for value in self.values if value in page.text]
        found = page.json()["events"]
        self.seen_seq = found[-1]["seq"] if found else self.seen_seq
        return [event for event in found if event["action"] not in but]

    def wait_for_events(self, count, **filters):
        deadline = time.monotonic() + PATIENCE_S
        found = []
        while len(found) < count:
            assert time.monotonic() < deadline, found
            found += self.new_events(but=(), **filters)
        return found

    def later_event(self, action):
        """The one event of *action* that a thread records after the answer."""
        (event,) = self.wait_for_events(1, action=action)
        return event


@pytest.fixture
def house(tester):
    return House(tester)


def changing_routes(parts):
    found = {f"{route.method} {route.path}" for route in route_table(parts) if route.method in CHANGING}
    return found - OF_LINES


def test_every_route_that_changes_something_has_a_case(tester):
    assert changing_routes(tester.parts) == set(CASES)


@pytest.mark.parametrize("route", CASES)
def test_one_change_is_one_event(house, route):
    case = CASES[route]
    for verb in case.prepared:
        assert house.ask("POST", f"/api/keys/{house.key.id}/{verb}").status_code == 200
    house.new_events()
    method, path = route.replace("{key_id}", house.key.id).split()
    answer = house.ask(method, path + case.query, case.body(house) if callable(case.body) else case.body)
    assert answer.status_code == 200, answer.text
    (event,) = house.new_events()
    is_public = event["actor"]["kind"] == "holder"
    caller = house.ask("GET", "/api/keys/self").json()
    assert (event["action"], event["door"]) == (case.action, "api" if path.startswith("/api/") else "compatible")
    assert event["actor"] == {"kind": "service_key", "id": caller["id"], "name": ""} or is_public
    assert (event["user_agent"], event["address"], len(event["request_id"])) == ("drill/1", "testclient", 16)
    subject_id = {"key": answer.json().get("id", house.key.id), "policy": house.tester.account_id}[case.subject]
    assert event["subject"] == {"kind": case.subject, "id": subject_id}
    assert (event["before"] is None) == case.is_new
    assert event["after"] is not None
    assert event["before"] != event["after"]


@pytest.mark.parametrize("route", CASES)
def test_a_change_that_is_refused_or_changes_nothing_is_no_event(house, route):
    house.new_events()
    method, path = route.replace("{key_id}", "0" * 24).split()
    answer = house.ask(method, path, {"nonsense": True} if "{key_id}" not in route else CASES[route].body)
    assert answer.status_code in (400, 404), answer.text
    assert house.new_events() == []


@pytest.mark.parametrize("verb", ["release", "enable", "end-overlap"])
def test_what_is_so_already_is_no_event(house, verb):
    house.new_events()
    assert house.ask("POST", f"/api/keys/{house.key.id}/{verb}").status_code == 200
    assert house.new_events() == []


def test_a_request_that_is_repeated_under_its_name_is_one_event(house):
    house.new_events()
    for path in ("/api/keys", f"/api/keys/{house.key.id}/rotate"):
        body = {"type": "ingestion"} if path == "/api/keys" else {"overlap": "1h"}
        for _ in range(3):
            assert house.ask("POST", path, body, **{"idempotency-key": path}).status_code == 200
    assert [event["action"] for event in house.new_events()] == ["key.created", "key.rotated"]


def test_an_event_tells_all_that_a_key_is(house):
    told = set(_facts(house.key)) | {"is_imported"}
    assert {member.name for member in fields(Key)} - NOT_TOLD - told == set()


# -- values that are shown --------------------------------------------------------------------------------------------


def test_each_showing_that_was_asked_for_is_an_event(house):
    house.new_events()
    for _ in range(3):
        assert house.ask("GET", f"/api/keys/{house.key.id}?reveal=1").json()["value"] == house.key.value
    house.ask("GET", f"/api/keys/{house.key.id}")
    house.ask("GET", "/api/keys")
    shown = house.new_events(but=())
    assert [(event["action"], event["subject"]["id"]) for event in shown] == [("key.revealed", house.key.id)] * 3


def test_a_list_of_values_is_one_event_for_each(house):
    hidden = house.tester.parts.keys.create_key(
        house.tester.account_id, NewKey(kind=KeyKind.INGESTION, reveal=Reveal.NEVER), actor=SYSTEM
    )
    house.new_events()
    listed = [key["id"] for key in house.ask("GET", "/v1/config/keys").json()]
    assert house.ask("GET", "/v1/config/keys").status_code == 200
    shown = house.new_events(but=())
    assert [event["subject"]["id"] for event in shown] == listed
    assert hidden.id not in listed
    # Another program that reads them is news.
    assert house.ask("GET", f"/v1/config/keys/{house.key.id}", **{"user-agent": "other/1"}).status_code == 200
    assert len(house.new_events(but=())) == 1


# -- refusals ---------------------------------------------------------------------------------------------------------

ENDS = {
    "deleted": lambda house: house.ask("DELETE", f"/api/keys/{house.key.id}"),
    "disabled": lambda house: house.ask("POST", f"/api/keys/{house.key.id}/disable"),
    "retired": lambda house: house.ask("POST", f"/api/keys/{house.key.id}/rotate", {"overlap": "0"}),
}


@pytest.mark.parametrize("refusal", ENDS)
def test_the_use_of_a_value_that_has_ended_is_told_of(house, refusal):
    assert ENDS[refusal](house).status_code == 200
    for _ in range(3):
        answer = house.tester.send({"lines": []}, apikey=house.key.value, **{"user-agent": "old-agent/2"})
        assert answer.status_code == 403
    event = house.later_event("key.used_after_end")
    assert event["subject"] == {"kind": "key", "id": house.key.id}
    assert event["actor"] == {"kind": "holder", "id": house.key.id, "name": ""}
    assert (event["door"], event["user_agent"], event["address"]) == ("ingest", "old-agent/2", "testclient")
    assert event["after"] == {"refusal": refusal, "generation": 1, "carrier": "header", "times": 1}
    assert house.new_events(but=()) == []


def test_an_expired_service_key_is_told_of_by_its_door(house):
    moment = time.time_ns() // 1_000_000 + 400
    new = NewKey(kind=KeyKind.SERVICE, expires_at_ms=moment)
    key = house.tester.parts.keys.create_key(house.tester.account_id, new, actor=SYSTEM)
    deadline = time.monotonic() + PATIENCE_S
    while house.ask("GET", "/v1/config/keys", servicekey=key.value).status_code == 200:
        assert time.monotonic() < deadline
    event = house.later_event("key.used_after_end")
    assert (event["after"]["refusal"], event["door"]) == ("expired", "compatible")


def test_a_key_at_the_wrong_door_is_told_of(house):
    assert house.tester.send({"lines": []}, apikey=house.tester.service_key).status_code == 403
    event = house.later_event("key.refused")
    assert (event["after"]["refusal"], event["door"]) == ("wrong_kind", "ingest")
    assert house.ask("GET", "/api/keys", servicekey=house.key.value).status_code == 403
    event = house.later_event("key.refused")
    assert (event["after"]["refusal"], event["subject"]["id"]) == ("wrong_kind", house.key.id)


def test_a_hold_and_an_unknown_value_are_no_news(house):
    house.ask("POST", f"/api/keys/{house.key.id}/hold")
    assert house.tester.send({"lines": []}, apikey=house.key.value).status_code == 504
    assert house.tester.send({"lines": []}, apikey=secrets.token_hex(16)).status_code == 403
    house.ask("POST", f"/api/keys/{house.key.id}/disable")
    assert house.tester.send({"lines": []}, apikey=house.key.value).status_code == 403
    # What was refused last is told of, so whatever was before it would be there as well.
    (event,) = house.wait_for_events(1, action="key.used_after_end,key.refused")
    assert event["after"]["refusal"] == "disabled"


def test_an_import_that_is_refused_is_told_of_without_a_reason(house):
    other = house.tester.parts.accounts.create().id
    taken = house.tester.parts.keys.create(other, KeyKind.INGESTION).value
    told = []
    for value in (taken, "0" * 32):
        answer = house.ask("POST", "/api/keys/import", {"type": "ingestion", "value": value})
        assert answer.status_code == 400
        told.append(answer.text)
    assert told[0] == told[1]
    event = house.later_event("key.import_refused")
    assert event["after"] == {"kind": "ingestion", "times": 1}
    assert event["actor"]["kind"] == "service_key"


@pytest.mark.parametrize("path", ["/api/keys", "/api/keys/import"])
def test_a_key_too_many_is_told_of(house, path):
    answers = []
    for _ in range(12):
        body = {"type": "ingestion"} | ({"value": secrets.token_hex(16)} if "import" in path else {})
        answers.append(house.ask("POST", path, body).status_code)
    if "import" not in path:  # ten imports an hour
        assert answers.count(400) == 4
    event = house.later_event("key.limit_refused")
    assert event["subject"] == {"kind": "account", "id": house.tester.account_id}
    assert (event["actor"]["kind"], event["door"]) == ("service_key", "api")
    assert event["after"] == {"kind": "ingestion", "keys_max": 10, "times": 1}


# -- what the server does by itself -----------------------------------------------------------------------------------


def test_the_end_of_an_overlap_is_told_once_however_many_servers_see_it(house):
    house.ask("POST", f"/api/keys/{house.key.id}/rotate", {"overlap": "1s"})
    house.new_events()
    deadline, found = time.monotonic() + PATIENCE_S, []
    while not found:
        assert time.monotonic() < deadline
        servers = [threading.Thread(target=house.tester.parts.keys.end_lapsed_overlaps) for _ in range(3)]
        for server in servers:
            server.start()
        for server in servers:
            server.join()
        found = house.new_events()
    (event,) = found
    assert (event["action"], event["actor"]["kind"], event["door"]) == ("key.retired", "system", "server")
    assert (event["after"]["generation"], event["after"]["retiring_until_ms"]) == (2, None)


def test_the_first_start_is_told_of(parts_and_client):
    parts, _ = parts_and_client
    rows = list(parts.audit.export(parts.first_start.account_id))[:4]
    assert [row.event.action.value for row in rows] == [
        "account.created",
        "key.created",
        "key.created",
        "member.created",
    ]
    assert {(row.event.actor.kind.value, row.event.door.value) for row in rows} == {("first_start", "server")}
    text = json.dumps([[row.event.before, row.event.after] for row in rows])
    values = (parts.first_start.ingestion_key, parts.first_start.service_key, parts.first_start.password)
    assert not [value for value in values if value in text]
