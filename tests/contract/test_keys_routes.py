"""`/v1/config/keys` as Mezmo answers it, request by request, over a minimal application of the key routes."""

import asyncio
import base64
import itertools
import secrets
import time
from dataclasses import dataclass

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from logboom.accounts.repository import AccountRepository
from logboom.asgi.respond import render_error
from logboom.database.engine import open_database
from logboom.database.migrate import migrate
from logboom.errors import LogboomError
from logboom.keys.bounds import Bounds
from logboom.keys.following import follow
from logboom.keys.gate import Gate
from logboom.keys.key import Key, KeyKind
from logboom.keys.keyring import Keyring
from logboom.keys.keys import Keys
from logboom.keys.meter import Meter
from logboom.keys.repository import KeyRepository
from logboom.keys.routes import KeyRoutes
from logboom.keys.scopes import Scope
from logboom.keys.vault import Vault

PATH = "/v1/config/keys"
ABSENT_ID = "0" * 24


@dataclass(frozen=True)
class Door:
    """The application, the account it serves and that account's service key."""

    application: Starlette
    keys: Keys
    account_id: str
    service_key: Key
    foreign_key: Key

    def send(self, method, path=PATH, *, headers=None, **request):
        headers = {"servicekey": self.service_key.value} if headers is None else headers

        async def exchange():
            transport = httpx2.ASGITransport(self.application)
            async with httpx2.AsyncClient(transport=transport, base_url="http://logboom") as client:
                return await client.request(method, path, headers=headers, **request)

        return asyncio.run(exchange())


@pytest.fixture
def door(tmp_path):
    engine = open_database(f"sqlite:///{tmp_path / 'control.db'}")
    migrate(engine)
    vault = Vault(b"m" * 32, random_bytes=secrets.token_bytes)
    keyring = Keyring(vault)
    now_ms = itertools.count(1_700_000_000_000).__next__
    keys = Keys(KeyRepository(engine, vault), keyring, vault, now_ms=now_ms, random_hex=secrets.token_hex)
    accounts = AccountRepository(engine, now_ms=now_ms, random_hex=secrets.token_hex)
    account_id, foreign_id = accounts.create().id, accounts.create().id
    following = follow(engine, keys, now_ms=now_ms, node_id="n" * 16)
    following.start()
    bounds = Bounds(Meter(now_ms=now_ms, monotonic_s=time.monotonic))
    yield Door(
        application=make_application(KeyRoutes(keys), Gate(keyring, following.feed, bounds, now_ms=now_ms)),
        keys=keys,
        account_id=account_id,
        service_key=keys.create(account_id, KeyKind.SERVICE, name="first"),
        foreign_key=keys.create(foreign_id, KeyKind.SERVICE),
    )
    following.stop()
    engine.dispose()


def make_application(routes, gate):
    def admitted(method):
        async def answer(request):
            try:
                return await method(request, await gate.service_caller(request, (Scope.KEYS_READ,)))
            except LogboomError as error:
                return render_error(error)

        return answer

    return Starlette(
        routes=[
            Route(PATH, admitted(routes.list_keys), methods=["GET"]),
            Route(PATH, admitted(routes.create_key), methods=["POST"]),
            Route(PATH + "/{key_id}", admitted(routes.get_key), methods=["GET"]),
            Route(PATH + "/{key_id}", admitted(routes.rename_key), methods=["PUT"]),
            Route(PATH + "/{key_id}", admitted(routes.delete_key), methods=["DELETE"]),
        ]
    )


def invalid(*details):
    return {
        "details": [{"message": message, "key": key} for message, key in details],
        "error": ". ".join(message for message, _ in details),
        "code": "BadRequest",
        "status": "error",
    }


TYPE_MISSING = ('"type" is required', "type")
TYPE_WRONG = ('"type" must be one of [ingestion, service]', "type")
NAME_LONG = ('"name" length must be less than or equal to 30 characters long', "name")
NAME_NO_STRING = ('"name" must be a string', "name")
BAD_JSON = ('"value" must be valid JSON', "value")
NO_OBJECT = ('"value" must be of type object', "value")
NOT_FOUND = {"error": "Not found", "code": "NotFound", "status": "error"}
NOT_AUTHORIZED = {
    "error": "Service Key Validation Error: Invalid or deactivated servicekey",
    "code": "NotAuthorized",
    "status": "error",
}


@pytest.mark.parametrize(
    ("query", "body", "name"),
    [
        pytest.param("type=ingestion", b"", None, id="no-body: mezmo-api 4.3"),
        pytest.param("type=ingestion", b"{}", None, id="terraform-without-name: mezmo-api 4.3"),
        pytest.param("type=service", b'{"name":""}', None, id="empty-name: mezmo-api 4.3"),
        pytest.param("type=service", b'{"name":"my first name"}', "my first name", id="spaces: mezmo-api 4.1"),
        pytest.param("type=service", b'{"name":"first"}', "first", id="name-twice: mezmo-api 4.7"),
        pytest.param("type=ingestion&x=1", b'{"type":"service","id":"1","name":"a"}', "a", id="unknown-ignored"),
    ],
)
def test_create_answers_200_with_the_whole_key(door, query, body, name):
    answer = door.send("POST", f"{PATH}?{query}", content=body)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    created = answer.json()
    assert list(created) == ["id", "key", "name", "type", "created"]
    assert created["name"] == (name or created["name"]) != ""
    assert len(created["name"]) <= 30
    assert f"type={created['type']}" in query
    assert isinstance(created["created"], int)
    assert [len(bytes.fromhex(created[member])) for member in ("id", "key")] == [12, 16]
    assert door.send("GET", f"{PATH}/{created['id']}").json() == created


@pytest.mark.parametrize(
    ("query", "body", "details"),
    [
        pytest.param("", b"", [TYPE_MISSING], id="no-type: mezmo-api 24 Q7"),
        pytest.param("", b'{"type":"service"}', [TYPE_MISSING], id="type-in-body: mezmo-api 4.3"),
        pytest.param("type=all", b"", [TYPE_WRONG], id="type-all: mezmo-api 4.3"),
        pytest.param("type=enterprise", b"{}", [TYPE_WRONG], id="wrong-type: mezmo-api 24 Q5"),
        pytest.param("type=service", b'{"name":"' + b"n" * 31 + b'"}', [NAME_LONG], id="long-name: mezmo-api 24 Q5"),
        pytest.param("type=x", b'{"name":7}', [TYPE_WRONG, NAME_NO_STRING], id="all-reported: mezmo-api 3"),
        pytest.param("type=service", b'{"name":null}', [NAME_NO_STRING], id="null-name"),
        pytest.param("type=service", b"name=x", [BAD_JSON], id="form-body"),
        pytest.param("type=service", b'{"name":"\xc3\x28"}', [BAD_JSON], id="invalid-utf8"),
        pytest.param("type=service", b'{"a":' * 10_000, [BAD_JSON], id="deep"),
        pytest.param("type=service", b'["name"]', [NO_OBJECT], id="array"),
        pytest.param("type=service", b'"name"', [NO_OBJECT], id="string"),
        pytest.param(
            "type=service",
            b'{"name":"a\\u0000b"}',
            [('"name" must not contain NULs or unpaired surrogates', "name")],
            id="nul-in-name",
        ),
    ],
)
def test_create_refuses_in_joi_words_and_creates_nothing(door, query, body, details):
    answer = door.send("POST", f"{PATH}?{query}", content=body)
    assert (answer.status_code, answer.json()) == (400, invalid(*details))
    assert answer.text.startswith('{"details":[{"message":')
    assert len(door.keys.list_keys(door.account_id)) == 1


@pytest.mark.parametrize(("kind", "limit"), [("ingestion", 10), ("service", 20)])
def test_create_above_the_limit_is_400_and_names_it(door, kind, limit):
    """Mezmo-api 24 Q1: 400 is the only error of this call; the text names the kind and the limit."""
    answers = [door.send("POST", f"{PATH}?type={kind}") for _ in range(limit + 1)]
    room = limit - 1 if kind == "service" else limit
    assert [answer.status_code for answer in answers] == [200] * room + [400] * (limit + 1 - room)
    message = f"The account has {limit} of {limit} {kind} keys. Delete one that is not used any more."
    assert answers[-1].json() == invalid((message, "type"))


def test_body_too_large_is_413(door):
    answer = door.send("POST", f"{PATH}?type=service", content=b" " * (64 * 1024 + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "BodyTooLarge")


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("", ["service", "ingestion", "service"]),
        ("?type=all", ["service", "ingestion", "service"]),
        ("?type=ingestion", ["ingestion"]),
        ("?type=service", ["service", "service"]),
    ],
    ids=["no-type: mezmo-api 4.2", "all: mezmo-api 4.2", "ingestion", "service"],
)
def test_list_is_a_bare_array_oldest_first(door, query, kinds):
    for kind in ("ingestion", "service"):
        door.send("POST", f"{PATH}?type={kind}")
    answer = door.send("GET", PATH + query)
    assert answer.status_code == 200
    assert [key["type"] for key in answer.json()] == kinds
    assert [key["created"] for key in answer.json()] == sorted(key["created"] for key in answer.json())
    assert door.foreign_key.id not in answer.text


def test_list_of_a_kind_without_keys_is_an_empty_array(door):
    assert door.send("GET", f"{PATH}?type=ingestion").json() == []


@pytest.mark.parametrize("query", ["type=", "type=x", "type=%22service%22", "type=%FF%00"])
def test_list_refuses_an_unknown_type(door, query):
    answer = door.send("GET", f"{PATH}?{query}")
    assert (answer.status_code, answer.json()) == (400, invalid(TYPE_WRONG))


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"name":"new"}', "new"),
        (b"{}", "first"),
        (b"", "first"),
        (b'{"name":""}', "first"),
        (b'{"type":"x"}', "first"),
    ],
    ids=["name", "nothing: mezmo-api 4.5", "no-body", "empty-name", "type-ignored: mezmo-api 4.5"],
)
def test_rename_answers_200_with_the_whole_key(door, body, name):
    before = door.send("GET", f"{PATH}/{door.service_key.id}").json()
    answer = door.send("PUT", f"{PATH}/{door.service_key.id}", content=body)
    assert (answer.status_code, answer.json()) == (200, before | {"name": name})
    assert door.send("GET", f"{PATH}/{door.service_key.id}").json() == before | {"name": name}


@pytest.mark.parametrize(
    ("body", "details"),
    [
        (b'{"name":"' + b"n" * 31 + b'"}', [NAME_LONG]),
        (b'{"name":false}', [NAME_NO_STRING]),
        (b"[1]", [NO_OBJECT]),
        (b"{", [BAD_JSON]),
    ],
    ids=["long", "boolean", "array", "broken"],
)
def test_rename_refuses_in_joi_words(door, body, details):
    answer = door.send("PUT", f"{PATH}/{door.service_key.id}", content=body)
    assert (answer.status_code, answer.json()) == (400, invalid(*details))


def test_delete_answers_200_and_the_next_request_is_refused(door):
    """Mezmo-api 4.6, 24 Q3 and Q33: a key may delete itself, and is refused from then on."""
    answer = door.send("DELETE", f"{PATH}/{door.service_key.id}")
    assert answer.status_code == 200
    assert answer.json() == {"message": f"Key {door.service_key.id} was deleted.", "deleted": True}
    refused = door.send("GET")
    assert (refused.status_code, refused.json()) == (401, NOT_AUTHORIZED | {"reason": "The key was deleted."})


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("key_id", [ABSENT_ID, "x", "%00", "%FF", "0" * 5000, "foreign", "deleted", "value"])
def test_ids_that_are_not_ours_are_404_alike(door, method, key_id):
    deleted = door.keys.create(door.account_id, KeyKind.SERVICE)
    door.keys.delete(door.account_id, deleted.id)
    ours = {"foreign": door.foreign_key.id, "deleted": deleted.id, "value": door.service_key.value}
    answer = door.send(method, f"{PATH}/{ours.get(key_id, key_id)}")
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_only_a_service_key_opens_the_door(door, method):
    """Mezmo-api 2.3, 24 Q2 and Q12: 401 for none and for an unknown key, 403 for an ingestion key."""
    sender = door.keys.create(door.account_id, KeyKind.INGESTION)
    cases = [({}, 401), ({"servicekey": "f" * 32}, 401), ({"servicekey": sender.value}, 403)]
    answers = [door.send(method, f"{PATH}?type=service", headers=headers) for headers, _ in cases]
    assert [answer.status_code for answer in answers] == [status for _, status in cases]
    assert [answer.json()["code"] for answer in answers] == ["NotAuthorized"] * 3
    assert answers[1].json() == NOT_AUTHORIZED


@pytest.mark.parametrize("carrier", ["servicekey", "apikey", "token", "bearer", "basic-user", "basic-password"])
def test_a_service_key_is_accepted_in_every_documented_carrier(door, carrier):
    """Mezmo-api 2.2."""
    value = door.service_key.value
    headers = {
        "servicekey": {"servicekey": value},
        "apikey": {"apikey": value},
        "token": {"Authorization": f"Token {value}"},
        "bearer": {"Authorization": f"Bearer {value}"},
        "basic-user": {"Authorization": "Basic " + base64.b64encode(f"{value}:".encode()).decode()},
        "basic-password": {"Authorization": "Basic " + base64.b64encode(f"x:{value}".encode()).decode()},
    }
    assert door.send("GET", headers=headers[carrier]).status_code == 200
