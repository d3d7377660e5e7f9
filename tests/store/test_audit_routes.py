"""`/api/audit` over HTTP, on both databases: an account reads its own events page by page, and has the chain proven."""

from dataclasses import dataclass

import pytest
from audit_house import ACCOUNT_ID, KEY_ID, OTHER_ACCOUNT_ID, make_event, open_audit_log
from starlette.routing import Router
from starlette.testclient import TestClient

from logboom.asgi.routing import Access, Route, addresses
from logboom.audit.event import Action
from logboom.audit.routes import AuditRoutes
from logboom.errors import NotFound, ValidationFailed
from logboom.keys.scopes import Scope


@dataclass(frozen=True)
class Reader:
    account_id: str


@pytest.fixture
def log(database_url):
    log = open_audit_log(database_url)
    yield log
    log._engine.dispose()


@pytest.fixture
def ask(log):
    def check_key(account_id, key_id):
        if (account_id, key_id) != (ACCOUNT_ID, KEY_ID):
            raise NotFound

    routes = AuditRoutes(log, check_key=check_key)

    def of_caller(route):
        return lambda request: route.answer(request, Reader(request.headers["account"]))

    read = (Scope.AUDIT_READ,)
    table = [
        Route("GET", "/api/audit", Access.SERVICE_KEY, read, routes.list_events),
        Route("GET", "/api/audit/verify", Access.SERVICE_KEY, read, routes.verify_chain),
        Route("GET", "/api/audit/keys/{key_id}", Access.SERVICE_KEY, read, routes.list_key_events),
    ]
    with TestClient(Router(addresses(table, of_caller))) as client:
        yield lambda path="", account=ACCOUNT_ID: client.get(f"/api/audit{path}", headers={"account": account}).json()


def test_an_account_reads_its_own_events_page_by_page(log, ask):
    for number in range(6):
        account_id = (ACCOUNT_ID, OTHER_ACCOUNT_ID, None)[number % 3]
        log.record(make_event(account_id=account_id, action=Action.KEY_HELD, subject_id=KEY_ID))
    whole = ask()
    assert ([event["seq"] for event in whole["events"]], whole["next"]) == ([5, 2], None)
    first = ask("?limit=1")
    second = ask(f"?limit=1&after={first['next']}")
    assert (first["events"] + second["events"], second["next"]) == (whole["events"], None)
    assert [event["seq"] for event in ask(account=OTHER_ACCOUNT_ID)["events"]] == [6, 3]
    assert len(ask(f"?action=key.held&key={KEY_ID}")["events"]) == 2
    assert ask("?action=key.created") == ask(account="f" * 10) == {"events": [], "next": None}


def test_events_are_read_in_the_other_order_too(log, ask):
    log.record_all([make_event()] * 3)
    first = ask("?prefer=head&limit=2")
    second = ask(f"?prefer=head&after={first['next']}")
    assert [event["seq"] for event in first["events"] + second["events"]] == [2, 3, 4]
    assert (first["next"], second["next"]) == (3, None)
    assert [event["seq"] for event in ask("?prefer=tail")["events"]] == [4, 3, 2]


def test_one_keys_events_are_read_where_the_account_has_the_key(log, ask):
    for account_id in (ACCOUNT_ID, OTHER_ACCOUNT_ID):
        for action in (Action.KEY_HELD, Action.KEY_RELEASED):
            log.record(make_event(account_id=account_id, action=action))
    log.record(make_event(subject_id="e" * 24))
    assert [event["seq"] for event in ask(f"/keys/{KEY_ID}")["events"]] == [3, 2]
    # The address says which key it is, whatever the query says.
    assert [event["seq"] for event in ask(f"/keys/{KEY_ID}?action=key.held&key={'e' * 24}")["events"]] == [2]
    assert ask(f"/keys/{KEY_ID}?limit=1")["next"] == 3
    with pytest.raises(NotFound):
        ask(f"/keys/{KEY_ID}", account=OTHER_ACCOUNT_ID)


def test_a_filter_that_cannot_be_read_is_refused(ask):
    with pytest.raises(ValidationFailed):
        ask("?action=nonsense")
    with pytest.raises(ValidationFailed):
        ask("?prefer=new")
    with pytest.raises(ValidationFailed):
        ask("/verify?seq=1")


def test_the_chain_is_proven(log, ask):
    row = log.record(make_event())
    verification = ask("/verify")
    head = {"seq": 2, "hash": row.hash.hex()}
    assert (verification["ok"], verification["rows"], verification["head"]) == (True, 2, head)
    assert ask(f"/verify?seq={head['seq']}&hash={head['hash']}") == verification
    assert ask(f"/verify?seq=1&hash={head['hash']}")["first_bad_seq"] == 1
    assert ask(f"/verify?seq=3&hash={head['hash']}")["first_bad_seq"] == 3
