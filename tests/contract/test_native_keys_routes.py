"""`/api/keys`: the life of a key over HTTP, on the real server. Evidence: keys.md 5.5, 5.7, 5.9, 5.11."""

import json
import re
import secrets
import time

import pytest

from logboom.keys.change import SYSTEM
from logboom.keys.key import KeyFormat, KeyKind, NewKey, Reveal
from logboom.server import OPENAPI, route_table

KEYS = "/api/keys"
COMPATIBLE = "/v1/config/keys"
ABSENT_ID = "0" * 24
CHANGES = ["rotate", "end-overlap", "hold", "release", "disable", "enable"]


@pytest.fixture
def door(tester):
    return Door(tester)


class Door:
    """What the account's service key asks for, and what its ingestion key meets."""

    def __init__(self, tester):
        self.tester = tester
        self.keys = tester.parts.keys
        self.account_id = tester.account_id
        self.sender = next(key for key in self.keys.list_keys(tester.account_id) if key.value == tester.ingestion_key)

    def ask(self, method, path="", body=None, **headers):
        content = {} if body is None else {"content": body} if isinstance(body, bytes) else {"json": body}
        headers = {"servicekey": self.tester.service_key, **headers}
        return self.tester.client.request(method, KEYS + path, headers=headers, **content)

    def change(self, verb, body=None, **headers):
        """One of the changes of the sender's key."""
        return self.ask("POST", f"/{self.sender.id}/{verb}", body, **headers)

    def send(self, value=None):
        return self.tester.send({"lines": []}, apikey=value or self.sender.value)

    def create(self, **members):
        return self.keys.create_key(self.account_id, NewKey(kind=KeyKind.INGESTION, **members), actor=SYSTEM)


def details(answer):
    assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest")
    return [detail["message"] for detail in answer.json()["details"]]


def now_ms():
    return time.time_ns() // 1_000_000


# -- create, list, get, edit, delete ----------------------------------------------------------------------------------


def test_a_key_is_created_with_all_that_is_written_on_it(door):
    body = {
        "type": "service",
        "name": "n" * 200,
        "note": "for the exporter",
        "labels": {"team": "web"},
        "owner": "ops",
        "not_before_ms": None,
        "expires_at_ms": now_ms() + 60_000,
        "format": "native",
        "reveal": "step_up",
    }
    answer = door.ask("POST", body=body)
    assert answer.status_code == 200
    key = answer.json()
    assert {member: key[member] for member in body} == body
    assert re.fullmatch(r"lbs_[0-9A-Za-z]{8}_[0-9A-Za-z]{36}", key["value"])
    assert (key["mask"], key["state"], key["refusal"], key["generation"]) == (
        key["value"][:12] + "…",
        "active",
        None,
        1,
    )
    assert door.keys.get(door.account_id, key["created_by"]).kind is KeyKind.SERVICE
    del key["value"]
    assert door.ask("GET", f"/{key['id']}").json() == key
    assert key in door.ask("GET").json()["keys"]


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        pytest.param({}, ['"type" is required'], id="no type"),
        pytest.param(b"", ['"type" is required'], id="no body"),
        pytest.param({"type": "all"}, ['"type" must be one of [ingestion, service]'], id="type"),
        pytest.param({"type": ["service"]}, ['"type" must be one of [ingestion, service]'], id="type as a list"),
        pytest.param({"type": "service", "expires": 5}, ['"expires" is not allowed'], id="unknown member"),
        pytest.param({"type": "service", "value": "x" * 32}, ['"value" is not allowed'], id="preset value"),
        pytest.param({"type": "service", "name": None}, ['"name" must be a string'], id="null name"),
        pytest.param(
            {"type": "service", "name": "n" * 201},
            ['"name" length must be less than or equal to 200 characters long'],
            id="long name",
        ),
        pytest.param(
            {"type": "service", "note": 1, "labels": {"a": 1}},
            ['"note" must be a string', '"labels" must be an object of strings'],
            id="two at once",
        ),
        pytest.param(
            {"type": "service", "expires_at_ms": 1_700_000_000},
            ['"expires_at_ms" must be later than now, in milliseconds'],
            id="seconds",
        ),
        *(
            pytest.param(
                {"type": "service", "expires_at_ms": moment},
                ['"expires_at_ms" must be a time in milliseconds since 1970, or null'],
                id=f"no time {moment}",
            )
            for moment in (True, "2030-01-01", -1, 1.5, 10**18)
        ),
        pytest.param({"type": "service", "format": "uuid"}, ['"format" must be one of [classic, native]'], id="format"),
        pytest.param(
            {"type": "service", "reveal": "once"}, ['"reveal" must be one of [always, step_up, never]'], id="reveal"
        ),
        pytest.param(b"[]", ['"value" must be of type object'], id="array"),
        pytest.param(b"{", ['"value" must be valid JSON'], id="broken"),
    ],
)
def test_what_cannot_be_created_is_refused_in_joi_words(door, body, messages):
    before = door.keys.list_keys(door.account_id)
    assert details(door.ask("POST", body=body)) == messages
    assert door.keys.list_keys(door.account_id) == before


def test_the_list_is_filtered_and_paged(door):
    made = [door.create(name=str(number), labels={"team": "ab"[number % 2], "n": ""}) for number in range(4)]
    door.change("disable")
    door.keys.delete(door.account_id, made[3].id)
    ids = [key.id for key in made]
    cases = {
        "?label=n": ids[:3],
        "?label=team=a": [ids[0], ids[2]],
        "?label=team=": [],
        "?state=disabled": [door.sender.id],
        "?state=deleted": [ids[3]],
        "?state=active&type=ingestion": ids[:3],
        "?type=ingestion&limit=2": [door.sender.id, ids[0]],
        f"?type=ingestion&limit=2&after={ids[0]}": ids[1:3],
        f"?after={ids[2]}": [],
    }
    answers = {query: door.ask("GET", query).json() for query in cases}
    assert {query: [key["id"] for key in answer["keys"]] for query, answer in answers.items()} == cases
    assert [answer["after"] for answer in answers.values()] == [None] * 6 + [ids[0]] + [None] * 2
    assert not [key for answer in answers.values() for key in answer["keys"] if "value" in key]


@pytest.mark.parametrize(
    "query", ["type=x", "state=", "state=expired", "limit=0", "limit=101", "limit=x", "limit=٣", "after=x"]
)
def test_the_list_refuses_filters_that_it_cannot_read(door, query):
    assert len(details(door.ask("GET", f"?{query}"))) == 1


def test_a_value_is_shown_on_request_as_its_mode_allows(door):
    path = f"/{door.sender.id}?reveal=1"
    assert door.ask("GET", path).json()["value"] == door.sender.value
    assert "value" not in door.ask("GET", f"/{door.sender.id}").json()
    for mode in (Reveal.STEP_UP, Reveal.NEVER):
        key = door.create(reveal=mode)
        answer = door.ask("GET", f"/{key.id}?reveal=1")
        assert (answer.status_code, answer.json()["code"]) == (403, "NotAuthorized")
        assert "reveal mode" in answer.json()["error"]


@pytest.mark.parametrize("mode", [Reveal.STEP_UP, Reveal.NEVER])
def test_the_compatible_api_refuses_rather_than_answers_a_blank(door, mode):
    """A blank would be written into Terraform's state. keys.md 5.2"""
    key = door.create(reveal=mode, name="hidden")
    client, headers = door.tester.client, {"servicekey": door.tester.service_key}
    one, listed = client.get(f"{COMPATIBLE}/{key.id}", headers=headers), client.get(COMPATIBLE, headers=headers)
    renamed = client.put(f"{COMPATIBLE}/{key.id}", headers=headers, json={"name": "other"})
    assert (one.status_code, renamed.status_code, listed.status_code) == (403, 403, 200)
    assert key.id not in listed.text
    assert door.keys.get(door.account_id, key.id).name == "hidden"
    assert client.delete(f"{COMPATIBLE}/{key.id}", headers=headers).status_code == 200


def test_the_compatible_api_goes_on_through_hold_and_disable_and_shows_the_new_value(door):
    headers = {"servicekey": door.tester.service_key}
    rotated = door.change("rotate").json()
    for verb in ("hold", "disable"):
        door.change(verb)
        key = door.tester.client.get(f"{COMPATIBLE}/{door.sender.id}", headers=headers).json()
        assert (key["key"], list(key)) == (rotated["value"], ["id", "key", "name", "type", "created"])


def test_members_that_are_left_out_stay(door):
    later = now_ms() + 60_000
    first = door.ask("PATCH", f"/{door.sender.id}", {"note": "a", "labels": {"x": "y"}, "expires_at_ms": later}).json()
    second = door.ask("PATCH", f"/{door.sender.id}", {"name": "b", "labels": {}, "expires_at_ms": None}).json()
    assert (first["note"], first["labels"], first["expires_at_ms"]) == ("a", {"x": "y"}, later)
    assert second == first | {"name": "b", "labels": {}, "expires_at_ms": None}
    assert door.ask("PATCH", f"/{door.sender.id}", b"").json() == second


def test_editing_refuses_what_cannot_change(door):
    assert details(door.ask("PATCH", f"/{door.sender.id}", {"type": "service", "format": "native", "state": "x"})) == [
        f'"{member}" is not allowed' for member in ("type", "format", "state")
    ]


def test_a_deleted_key_can_still_be_looked_at(door):
    answer = door.ask("DELETE", f"/{door.sender.id}")
    assert answer.json() == {
        "id": door.sender.id,
        "deleted": True,
        "message": f"Key {door.sender.id} was deleted.",
        "deleted_children": [],
        "children": [],
    }
    key = door.ask("GET", f"/{door.sender.id}").json()
    assert (key["state"], key["refusal"], key["mask"]) == ("deleted", "deleted", None)
    assert key["deleted_ms"] >= key["created_ms"]
    assert door.ask("GET", f"/{door.sender.id}?reveal=1").status_code == 404


def test_a_key_that_deletes_itself_is_told_so(door):
    key_id = door.ask("GET", "/self").json()["id"]
    assert door.ask("DELETE", f"/{key_id}").json()["message"].endswith("It was the key of this request.")
    assert door.ask("GET").json()["reason"] == "The key was deleted."


@pytest.mark.parametrize("key_id", [ABSENT_ID, "x", "%00", "0" * 5000, "foreign", "deleted"])
def test_ids_that_are_not_ours_are_404_alike(door, make_tester, key_id):
    gone = door.create()
    door.keys.delete(door.account_id, gone.id)
    foreign = Door(make_tester()).sender
    asked = {"foreign": foreign.id, "deleted": gone.id}.get(key_id, key_id)
    answers = [door.ask("POST", f"/{asked}/{change}") for change in CHANGES]
    answers += [door.ask("PATCH", f"/{asked}", {"name": "x"}), door.ask("DELETE", f"/{asked}")]
    answers += [door.ask("GET", f"/{asked}?reveal=1")]
    answers += [] if key_id == "deleted" else [door.ask("GET", f"/{asked}"), door.ask("GET", f"/{asked}/events")]
    assert {(answer.status_code, answer.text) for answer in answers} == {
        (404, '{"error":"Not found","code":"NotFound","status":"error"}')
    }


# -- rotate -----------------------------------------------------------------------------------------------------------


def test_rotation_keeps_the_key_and_lets_both_values_send(door):
    answer = door.change("rotate", {"overlap": "1h"})
    key = answer.json()
    assert (answer.status_code, key["id"], key["generation"]) == (200, door.sender.id, 2)
    assert abs(key["retiring_until_ms"] - now_ms() - 3_600_000) < 60_000
    assert [door.send(value).status_code for value in (door.sender.value, key["value"])] == [200, 200]
    ended = door.change("end-overlap").json()
    assert (ended["retiring_until_ms"], "value" in ended) == (None, False)
    refused = door.send(door.sender.value)
    assert (refused.status_code, refused.json()["reason"]) == (
        403,
        "The key was rotated, and this is its old value.",
    )
    assert refused.json()["error"] == "Account not found or inactive"


@pytest.mark.parametrize("body", [{"overlap": "0"}, {"overlap": 0}, {"overlap": "0h"}])
def test_rotation_without_overlap_ends_the_old_value_at_once(door, body):
    assert door.change("rotate", body).json()["retiring_until_ms"] is None
    assert door.send(door.sender.value).status_code == 403


@pytest.mark.parametrize(
    "body", [{"overlap": 24}, {"overlap": True}, {"overlap": "1y"}, {"overlap": "31d"}, {"for": "1h"}]
)
def test_rotation_refuses_an_overlap_that_it_cannot_read(door, body):
    assert len(details(door.change("rotate", body))) == 1
    assert door.keys.get(door.account_id, door.sender.id).generation == 1


def test_the_same_request_under_a_name_is_done_once(door):
    header = {"Idempotency-Key": "deploy-17"}
    answers = [door.change("rotate", {"overlap": "1h"}, **header) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["generation"] == 2
    assert details(door.change("rotate", {"overlap": "2h"}, **header)) == [
        '"Idempotency-Key" was used for another request'
    ]
    body = {"type": "service", "reveal": "never"}
    created = [door.ask("POST", body=body, **{"Idempotency-Key": "new"}).json() for _ in range(2)]
    assert created[0] == created[1]
    assert details(door.ask("POST", body=body, **{"Idempotency-Key": "x" * 256}))


# -- hold, disable ----------------------------------------------------------------------------------------------------


def test_a_held_sender_is_told_to_keep_its_lines(door):
    held = door.change("hold", {"for": "10m"}).json()
    assert (held["state"], held["refusal"]) == ("held", "held")
    answer = door.send()
    assert (answer.status_code, answer.headers["retry-after"]) == (504, "30")
    assert (answer.json()["code"], answer.json()["reason"]) == ("KeyHeld", "The key is on hold for a while.")
    assert door.change("release").json()["state"] == "active"
    assert door.send().status_code == 200


def test_a_held_service_key_is_504_as_well(door):
    key = door.keys.create(door.account_id, KeyKind.SERVICE)
    door.keys.hold(door.account_id, key.id, 60_000, actor=SYSTEM)
    answer = door.ask("GET", servicekey=key.value)
    assert (answer.status_code, answer.json()["code"]) == (504, "KeyHeld")


@pytest.mark.parametrize("body", [{"for": "0"}, {"for": "25h"}, {"for": 900}, {"for": None}, {"until": "1h"}])
def test_a_hold_that_cannot_be_read_is_refused(door, body):
    assert len(details(door.change("hold", body))) == 1
    assert door.send().status_code == 200


def test_a_disabled_key_is_refused_until_it_is_enabled(door):
    assert door.change("disable").json()["state"] == "disabled"
    answer = door.send()
    assert (answer.status_code, answer.json()) == (
        403,
        {
            "error": "Account not found or inactive",
            "code": "NotAuthorized",
            "status": "error",
            "reason": "The key is disabled.",
        },
    )
    assert door.change("enable").json()["state"] == "active"
    assert door.send().status_code == 200


@pytest.mark.parametrize(
    ("before", "verb"),
    [("disable", "hold"), ("disable", "release"), ("disable", "rotate"), ("hold", "enable"), ("hold", "rotate")],
)
def test_what_the_state_does_not_allow_is_409(door, before, verb):
    door.change(before)
    answer = door.change(verb)
    assert (answer.status_code, answer.json()["code"]) == (409, "Conflict")


@pytest.mark.parametrize("verb", ["release", "disable", "enable", "end-overlap"])
def test_a_change_without_parameters_takes_none(door, verb):
    assert details(door.change(verb, {"for": "1h"})) == ['"for" is not allowed']


# -- reasons ----------------------------------------------------------------------------------------------------------


def test_a_reason_is_told_only_to_who_holds_the_value(door):
    native = door.create(format=KeyFormat.NATIVE)
    mistyped = native.value[:-1] + ("0" if native.value[-1] != "0" else "1")
    assert door.send(native.value).status_code == 200
    for stranger in (secrets.token_hex(16), mistyped, "x" * 100, "short"):
        assert door.send(stranger).json() == {
            "error": "Account not found or inactive",
            "code": "NotAuthorized",
            "status": "error",
        }
    wrong_door = door.send(door.tester.service_key).json()
    assert wrong_door["reason"] == "This is a service key. Send lines with an ingestion key."


# -- self, import, exposed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ingestion", "service"])
@pytest.mark.parametrize("carrier", ["apikey", "servicekey", "authorization"])
def test_every_key_may_ask_who_it_is(door, kind, carrier):
    value = door.sender.value if kind == "ingestion" else door.tester.service_key
    header = {carrier: f"Bearer {value}" if carrier == "authorization" else value}
    answer = door.tester.client.get(f"{KEYS}/self", headers=header)
    assert answer.status_code == 200
    assert (answer.json()["account"], answer.json()["type"], answer.json()["generation"]) == (door.account_id, kind, 1)
    assert not {"value", "mask", "note", "labels", "owner"} & answer.json().keys()


def test_the_holder_of_an_old_value_is_told_when_it_ends(door):
    rotated = door.change("rotate").json()
    old, new = (
        door.ask("GET", "/self", servicekey="", apikey=value).json() for value in (door.sender.value, rotated["value"])
    )
    assert (old["generation"], old["retiring_until_ms"]) == (1, rotated["retiring_until_ms"])
    assert (new["generation"], new["retiring_until_ms"]) == (2, None)


def test_nobody_is_401_at_self_and_the_address_carries_no_key(door):
    client = door.tester.client
    assert client.get(f"{KEYS}/self").status_code == 401
    assert client.get(f"{KEYS}/self", params={"apikey": door.sender.value}).status_code == 401


def test_a_key_is_brought_along_and_works_at_once(door):
    value = secrets.token_hex(16)
    answer = door.ask("POST", "/import", {"type": "ingestion", "value": value, "name": "fleet"})
    assert (answer.status_code, answer.json()["imported"], "value" in answer.json()) == (200, True, False)
    assert door.send(value).status_code == 200
    refused = door.ask("POST", "/import", {"type": "ingestion", "value": value})
    assert details(refused) == details(door.ask("POST", "/import", {"type": "ingestion", "value": "weak" * 8}))
    assert value not in refused.text


def test_importing_is_limited_to_ten_an_hour(door):
    answers = [door.ask("POST", "/import", {"type": "ingestion", "value": "weak"}) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [400] * 10 + [429]
    assert 3_500 < int(answers[-1].headers["retry-after"]) <= 3_600
    assert answers[-1].json()["code"] == "TooManyRequests"


def test_who_finds_a_value_can_end_it_and_learns_nothing(door, make_tester):
    client = door.tester.client
    known, unknown = (
        client.post(f"{KEYS}/revoke-exposed", json={"value": value}) for value in (door.sender.value, "f" * 32)
    )
    assert (known.status_code, known.text) == (unknown.status_code, unknown.text) == (200, unknown.text)
    assert door.send().json()["reason"] == "The key was deleted."
    assert details(client.post(f"{KEYS}/revoke-exposed", json={"values": []})) == [
        '"value" is required',
        '"values" is not allowed',
    ]


# -- every route ------------------------------------------------------------------------------------------------------


def native_routes(parts):
    return [route for route in route_table(parts) if route.path.startswith(KEYS)]


def test_only_a_service_key_opens_the_addresses_of_keys(door):
    open_to_others = {("GET", f"{KEYS}/self"), ("POST", f"{KEYS}/revoke-exposed")}
    asked = [
        (route.method, route.path.replace("{key_id}", door.sender.id))
        for route in native_routes(door.tester.parts)
        if (route.method, route.path) not in open_to_others
    ]
    assert len(asked) >= 12
    for method, path in asked:
        statuses = [
            door.tester.client.request(method, path, headers=headers).status_code
            for headers in ({}, {"servicekey": "f" * 32}, {"servicekey": door.sender.value})
        ]
        assert statuses == [401, 401, 403], path
    assert door.keys.get(door.account_id, door.sender.id) == door.sender


def test_the_description_names_every_native_key_address_and_no_other(door):
    described = json.loads(OPENAPI.read_bytes())
    assert door.tester.client.get("/api/openapi.json").json() == described
    methods = {
        (method.upper(), path)
        for path, item in described["paths"].items()
        for method in item
        if method != "parameters" and path.startswith(KEYS)
    }
    assert methods == {(route.method, route.path) for route in native_routes(door.tester.parts)}
    names = [
        item[method]["operationId"] for item in described["paths"].values() for method in item if method != "parameters"
    ]
    assert len(names) == len(set(names))


def test_answers_have_the_described_members(door):
    described = json.loads(OPENAPI.read_bytes())["components"]["schemas"]
    page = door.ask("GET", f"/{door.sender.id}/events").json()
    assert (set(page), set(page["events"][0])) == ({"events", "next"}, set(described["Event"]["required"]))
    key = door.ask("GET", f"/{door.sender.id}").json()
    assert set(key) == set(described["Key"]["required"])
    assert set(door.ask("GET", "/self").json()) == set(described["Self"]["required"])


def test_no_value_of_a_life_is_logged(door, capfd):
    values = [door.sender.value, door.change("rotate").json()["value"], secrets.token_hex(16)]
    door.ask("POST", "/import", {"type": "ingestion", "value": values[2]})
    door.tester.client.post(f"{KEYS}/revoke-exposed", json={"value": values[2]})
    door.ask("GET", f"/{door.sender.id}?reveal=1")
    for value in values:
        door.send(value)
    output = capfd.readouterr()
    metrics = door.tester.client.get("/metrics").text
    assert not [value for value in values if value in output.out + output.err + metrics]
