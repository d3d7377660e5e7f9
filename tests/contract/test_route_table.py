"""Who may ask what: every route of the real table, with every kind of key and every scope, over the real server.

The table is written down here once more by hand: a route that was not thought about fails, and so does one that is open
to somebody else than it was meant for. Evidence: keys.md 5.3, 5.12.
"""

import pytest

from logboom.asgi.routing import Access, Route, addresses
from logboom.keys.change import SYSTEM
from logboom.keys.key import KeyKind, NewKey
from logboom.keys.scopes import Scope
from logboom.server import route_table

ABSENT_ID = "0" * 24
PUBLIC, INGESTION, ANY = (Access.PUBLIC, ""), (Access.INGESTION_KEY, ""), (Access.ANY_KEY, "")

EXPECTED = {
    "GET /healthz": PUBLIC,
    "GET /readyz": PUBLIC,
    "GET /metrics": PUBLIC,
    "POST /logs/ingest": INGESTION,
    "POST /logs/agent": INGESTION,
    "GET /v1/export": (Access.SERVICE_KEY_OR_QUERY, "export:read"),
    "GET /v2/export": (Access.SERVICE_KEY, "export:read"),
    "GET /api/search/count": (Access.SERVICE_KEY, "export:read"),
    "GET /api/audit": (Access.SERVICE_KEY, "audit:read"),
    "GET /api/audit/verify": (Access.SERVICE_KEY, "audit:read"),
    "GET /v1/config/keys": (Access.SERVICE_KEY, "keys:read keys:reveal"),
    "POST /v1/config/keys": (Access.SERVICE_KEY, "keys:manage"),
    "GET /v1/config/keys/{key_id}": (Access.SERVICE_KEY, "keys:read keys:reveal"),
    "PUT /v1/config/keys/{key_id}": (Access.SERVICE_KEY, "keys:manage keys:reveal"),
    "DELETE /v1/config/keys/{key_id}": (Access.SERVICE_KEY, "keys:manage"),
    "GET /api/openapi.json": PUBLIC,
    "GET /api/keys": (Access.SERVICE_KEY, "keys:read"),
    "POST /api/keys": (Access.SERVICE_KEY, "keys:manage"),
    "GET /api/keys/hygiene": (Access.SERVICE_KEY, "usage:read"),
    "GET /api/keys/self": ANY,
    "GET /api/keys/policy": (Access.SERVICE_KEY, "config:read"),
    "PATCH /api/keys/policy": (Access.SERVICE_KEY, "config:write"),
    "POST /api/keys/import": (Access.SERVICE_KEY, "keys:manage"),
    "POST /api/keys/revoke-exposed": PUBLIC,
    "GET /api/keys/{key_id}": (Access.SERVICE_KEY, "keys:read"),
    "PATCH /api/keys/{key_id}": (Access.SERVICE_KEY, "keys:manage"),
    "DELETE /api/keys/{key_id}": (Access.SERVICE_KEY, "keys:manage"),
    "GET /api/keys/{key_id}/events": (Access.SERVICE_KEY, "audit:read"),
    "GET /api/keys/{key_id}/impact": (Access.SERVICE_KEY, "usage:read"),
    "GET /api/keys/{key_id}/usage": (Access.SERVICE_KEY, "usage:read"),
    "GET /api/keys/{key_id}/leaks": (Access.SERVICE_KEY, "usage:read"),
    "POST /api/keys/{key_id}/rotate": (Access.SERVICE_KEY, "keys:manage"),
    "POST /api/keys/{key_id}/end-overlap": (Access.SERVICE_KEY, "keys:manage"),
    "POST /api/keys/{key_id}/hold": (Access.SERVICE_KEY, "keys:manage"),
    "POST /api/keys/{key_id}/release": (Access.SERVICE_KEY, "keys:manage"),
    "POST /api/keys/{key_id}/disable": (Access.SERVICE_KEY, "keys:manage"),
    "POST /api/keys/{key_id}/enable": (Access.SERVICE_KEY, "keys:manage"),
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
FORMS = {name: tuple(name.split(" ")) for name in EXPECTED}

# Who asks, by a name for the test's id: the two kinds of key without scopes, and a service key with each single one.
SINGLE_SCOPES = [scope.value for scope in Scope]
CALLERS = ["nobody", "unknown", "ingestion", "full", "exactly", *SINGLE_SCOPES]


@pytest.fixture(scope="module")
def values(parts_and_client):
    """One account with a key for each caller; the value by the caller's name."""
    parts, _ = parts_and_client
    account_id = parts.accounts.create().id

    def create(kind, scopes=None):
        new = NewKey(kind=kind, scopes=None if scopes is None else frozenset(map(Scope, scopes)))
        return parts.keys.create_key(account_id, new, actor=SYSTEM).value

    found = {"unknown": "f" * 32, "ingestion": create(KeyKind.INGESTION), "full": create(KeyKind.SERVICE)}
    found |= {scope: create(KeyKind.SERVICE, [scope]) for scope in SINGLE_SCOPES}
    for _, scopes in EXPECTED.values():
        if scopes not in found:
            found[scopes] = create(KeyKind.SERVICE, scopes.split()) if scopes else found["full"]
    return found


@pytest.fixture(scope="module")
def ask(parts_and_client, values):
    """Asks with an empty object as the body. What is admitted gets some other answer than 401 and 403."""
    _, client = parts_and_client

    def ask(method, path, value, key_id=ABSENT_ID):
        headers = {} if value is None else {"apikey": value}
        body = {"json": {}} if method in ("POST", "PUT", "PATCH") else {}
        return client.request(method, path.replace("{key_id}", key_id), headers=headers, **body)

    return ask


def expected_refusal(access, needed, caller):
    """Status and code that *caller* must meet; None when it must be admitted."""
    if access is Access.PUBLIC:
        return None
    if access is Access.INGESTION_KEY:
        refused = {"nobody": (401, "NotAuthorized"), "ingestion": None}
        return refused.get(caller, (403, "NotAuthorized"))
    if caller in ("nobody", "unknown"):
        return (401, "NotAuthorized")
    if access is Access.ANY_KEY or caller in ("full", "exactly"):
        return None
    if caller == "ingestion":
        return (403, "NotAuthorized")
    return None if needed == {caller} else (403, "ScopeMissing")


def test_the_table_is_the_one_that_was_thought_about(parts_and_client):
    table = {
        f"{route.method} {route.path}": (route.access, " ".join(route.scopes)) for route in routes(parts_and_client)
    }
    assert table == EXPECTED


def routes(parts_and_client):
    return route_table(parts_and_client[0])


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("route", EXPECTED)
def test_every_route_admits_exactly_whom_the_table_says(ask, values, route, caller):
    method, path = FORMS[route]
    access, scopes = EXPECTED[route]
    value = (
        None
        if caller == "nobody"
        else values[scopes if caller == "exactly" and scopes else caller.replace("exactly", "full")]
    )
    answer = ask(method, path, value)
    refusal = expected_refusal(access, set(scopes.split()), caller)
    if refusal is None:
        assert answer.status_code not in (401, 403), answer.text
        return
    assert (answer.status_code, answer.json()["code"]) == refusal
    if refusal[1] == "ScopeMissing":
        assert all(scope in answer.json()["error"] for scope in set(scopes.split()) - {caller})
        assert caller not in answer.json()["error"]


@pytest.mark.parametrize("route", [name for name in EXPECTED if "{key_id}" in name])
def test_a_key_of_another_account_looks_absent(ask, values, make_tester, route):
    other = make_tester()
    method, path = FORMS[route]
    (foreign, *_) = other.parts.keys.list_keys(other.account_id)
    answers = [ask(method, path, values["full"], key_id) for key_id in (foreign.id, ABSENT_ID)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json() == answers[1].json()
    assert other.parts.keys.get(other.account_id, foreign.id) == foreign


@pytest.mark.parametrize("path", sorted({path for _, path in FORMS.values()}))
def test_other_methods_do_not_exist_and_head_is_guarded_like_get(ask, values, path):
    known = {method for method, known_path in FORMS.values() if known_path == path}
    for method in METHODS:
        answer = ask(method, path, None)
        if method == "HEAD" and "GET" in known:
            assert answer.status_code == ask("GET", path, None).status_code
        elif method not in known:
            assert answer.status_code == 405


@pytest.mark.parametrize("access", Access)
def test_a_row_for_service_keys_names_a_scope_and_no_other_does(access):
    is_for_service_keys = access in (Access.SERVICE_KEY, Access.SERVICE_KEY_OR_QUERY)
    for scopes in ((), (Scope.KEYS_READ,)):
        if bool(scopes) == is_for_service_keys:
            assert Route("GET", "/", access, scopes, print).scopes == scopes
        else:
            with pytest.raises(ValueError, match="GET /: scopes are for service keys"):
                Route("GET", "/", access, scopes, print)


def test_each_row_gets_its_own_guard():
    rows = [Route(method, "/x", Access.PUBLIC, (), print) for method in ("GET", "POST")]
    guarded = []
    (address,) = addresses(rows, lambda row: guarded.append(row) or row.answer)
    assert (guarded, address.path) == (rows, "/x")
