"""Networks, limits and narrowing of keys, over the real server. Evidence: issue 3, item 5; keys.md 5.11."""

import json
import time
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from logboom.asgi.network import Networks, TrustedProxies
from logboom.keys.meter import DAY_MS, Used
from logboom.server import make_server
from logboom.settings import Settings

KEYS = "/api/keys"
HERE, THERE = "192.0.2.7", "198.51.100.9"


@pytest.fixture
def ask(tester):
    def ask(method, path="", body=None, **headers):
        content = {} if body is None else {"json": body}
        return tester.client.request(
            method, KEYS + path, headers={"servicekey": tester.service_key, **headers}, **content
        )

    return ask


@pytest.fixture
def make(ask):
    """Makes a key with these terms."""

    def make(kind="ingestion", **terms):
        answer = ask("POST", "", {"type": kind, **terms})
        assert answer.status_code == 200, answer.text
        return answer.json()

    return make


@pytest.fixture
def client_at(tester):
    """A client of the same server at another address. Its server has been started already."""

    def client_at(address):
        return TestClient(tester.client.app, raise_server_exceptions=False, client=(address, 4711))

    return client_at


def send(client, key, *lines, query="hostname=web-1"):
    return client.post(f"/logs/ingest?{query}", headers={"apikey": key["value"]}, json={"lines": list(lines)})


def details(answer):
    assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest"), answer.text
    return [detail["message"] for detail in answer.json()["details"]]


# -- as members of a key ----------------------------------------------------------------------------------------------

TERMS = {
    "narrowing": {"apps": ["web", "edge-*"], "tags": ["prod"]},
    "network": {"allow": ["192.0.2.0/24", "2001:db8::/32"], "deny": ["192.0.2.9/32"], "dry_run": True},
    "limits": {"requests_per_s": 50, "bytes_per_day": 10**9, "lines_per_day": 10**6, "on_excess": "refuse"},
}


def test_terms_are_kept_and_replaced_as_a_whole(ask, make):
    key = make(**TERMS)
    assert {member: key[member] for member in TERMS} == TERMS
    changed = ask("PATCH", f"/{key['id']}", {"narrowing": {"hosts": ["web-*"]}, "limits": None}).json()
    assert (changed["narrowing"], changed["limits"]) == ({"hosts": ["web-*"]}, None)
    assert changed["network"] == TERMS["network"]
    assert ask("GET", f"/{key['id']}").json() == changed
    event = ask("GET", f"/{key['id']}/events?action=key.changed").json()["events"][0]
    assert (event["before"]["limits"], event["after"]["limits"]) == (TERMS["limits"], None)


def test_networks_are_kept_in_one_spelling(make):
    network = make(network={"allow": ["::ffff:192.0.2.1", "2001:0db8:0::/32", "192.0.2.1"]})["network"]
    assert network == {"allow": ["192.0.2.1/32", "2001:db8::/32"], "deny": [], "dry_run": False}


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        pytest.param({"network": {}}, ['"network" must have at least one of allow and deny, or be null'], id="no list"),
        pytest.param(
            {"network": {"allow": [], "dry_run": True}},
            ['"network" must have at least one of allow and deny, or be null'],
            id="empty list",
        ),
        pytest.param(
            {"network": {"allow": ["192.0.2.1/24", "web", 5], "dry_run": "yes"}},
            [
                '"network.allow[0]" must be a network such as 192.0.2.0/24 or 2001:db8::/32, without host bits',
                '"network.allow[1]" must be a network such as 192.0.2.0/24 or 2001:db8::/32, without host bits',
                '"network.allow[2]" must be a string',
                '"network.dry_run" must be a boolean',
            ],
            id="no networks",
        ),
        pytest.param(
            {"network": {"deny": ["192.0.2.1"] * 101}}, ['"network.deny" must contain 0 to 100 items'], id="too many"
        ),
        pytest.param(
            {"narrowing": {}}, ['"narrowing" must have at least one of apps, hosts and tags, or be null'], id="nothing"
        ),
        pytest.param(
            {"narrowing": {"apps": ["a*b", "", "x" * 513], "hosts": [], "app": ["web"]}},
            [
                '"narrowing.apps[0]" must be a text, or the beginning of one with * at its end',
                '"narrowing.apps[1]" must be a text, or the beginning of one with * at its end',
                '"narrowing.apps[2]" length must be less than or equal to 512 characters long',
                '"narrowing.hosts" must contain 1 to 100 items',
                '"narrowing.app" is not allowed',
            ],
            id="patterns",
        ),
        pytest.param({"narrowing": {"tags": "prod"}}, ['"narrowing.tags" must be an array'], id="no array"),
        pytest.param(
            {"limits": {"on_excess": "hold"}}, ['"limits" must have at least one limit, or be null'], id="none"
        ),
        pytest.param(
            {"limits": {"requests_per_s": 0, "lines_per_day": True, "bytes_per_day": 1.5, "on_excess": "drop"}},
            [
                '"limits.requests_per_s" must be a number from 1 to 100000',
                '"limits.lines_per_day" must be a number from 1 to 1000000000000000',
                '"limits.bytes_per_day" must be a number from 1 to 1000000000000000',
                '"limits.on_excess" must be one of [hold, refuse]',
            ],
            id="limits",
        ),
        pytest.param({"limits": 5}, ['"limits" must be of type object'], id="no object"),
    ],
)
def test_terms_that_are_none_are_refused(ask, body, messages):
    assert details(ask("POST", "", {"type": "ingestion", **body})) == messages


@pytest.mark.parametrize(
    ("kind", "body", "messages"),
    [
        pytest.param(
            "service",
            {"narrowing": {"apps": ["web"]}, "limits": {"lines_per_day": 1, "bytes_per_day": 1, "on_excess": "hold"}},
            [
                '"narrowing" is not allowed for a service key',
                '"limits.bytes_per_day" is not allowed for a service key',
                '"limits.lines_per_day" is not allowed for a service key',
                '"limits.on_excess" is not allowed for a service key',
            ],
            id="service",
        ),
        pytest.param(
            "ingestion", {"scopes": ["keys:read"]}, ['"scopes" is not allowed for an ingestion key'], id="ingestion"
        ),
    ],
)
def test_terms_that_do_not_fit_the_kind_are_refused(ask, make, kind, body, messages):
    assert details(ask("POST", "", {"type": kind, **body})) == messages
    assert details(ask("PATCH", f"/{make(kind)['id']}", body)) == messages


# -- network ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "address", "is_admitted"),
    [
        pytest.param({"allow": ["192.0.2.0/24"]}, HERE, True, id="allowed"),
        pytest.param({"allow": ["192.0.2.0/24"]}, THERE, False, id="not allowed"),
        pytest.param({"allow": ["192.0.2.0/24"], "deny": [HERE]}, HERE, False, id="denied of the allowed"),
        pytest.param({"deny": [HERE]}, HERE, False, id="denied"),
        pytest.param({"deny": [HERE]}, THERE, True, id="not denied"),
        pytest.param({"deny": [HERE]}, f"::ffff:{HERE}", False, id="denied in the other spelling"),
        pytest.param({"allow": ["2001:db8::/32"]}, "2001:db8::9", True, id="version 6"),
        pytest.param({"allow": ["::/0"]}, HERE, False, id="all of version 6 is none of version 4"),
        pytest.param({"allow": ["0.0.0.0/0", "::/0"]}, "testclient", False, id="no address"),
    ],
)
def test_a_key_is_used_from_where_it_may(make, client_at, network, address, is_admitted):
    client, status = client_at(address), 200 if is_admitted else 403
    sent = send(client, make(network=network), {"line": "x"})
    reader = make("service", network=network)
    read = client.get(KEYS, headers={"servicekey": reader["value"]})
    asked = client.get(f"{KEYS}/self", headers={"apikey": reader["value"]})
    assert [sent.status_code, read.status_code, asked.status_code] == [status] * 3
    if not is_admitted:
        refusal = {"code": "NotAuthorized", "status": "error"}
        reason = "The key is not used from this address."
        assert sent.json() == refusal | {"error": "Account not found or inactive", "reason": reason}
        assert read.json() == asked.json() == refusal | {"error": "This key is not used from this address."}


def events_of(ask, key, action):
    deadline = time.monotonic() + 20
    while not (events := ask("GET", f"/{key['id']}/events?action={action}").json()["events"]):
        assert time.monotonic() < deadline, "no event"
        time.sleep(0.01)
    return events


@pytest.mark.parametrize("is_dry_run", [False, True])
def test_who_is_refused_by_address_is_told_of_and_in_a_dry_run_admitted(ask, make, client_at, is_dry_run):
    key = make(network={"allow": [HERE], "dry_run": is_dry_run})
    for _ in range(3):
        assert send(client_at(THERE), key, {"line": "x"}).status_code == (200 if is_dry_run else 403)
    (event,) = events_of(ask, key, "key.refused")
    assert (event["address"], event["after"]["refusal"]) == (THERE, "address")
    assert event["after"].get("dry_run", False) is is_dry_run
    total = ask("GET", f"/{key['id']}/usage").json()["total"]
    assert (total["requests"], total["refusals"]) == ((3, 0) if is_dry_run else (0, 3))
    reason = "address_dry_run" if is_dry_run else "address"
    assert f'logboom_key_refusals_total{{reason="{reason}"}}' in ask("GET", "/../../metrics").text


def test_a_dry_run_of_the_network_does_not_make_up_for_a_scope(make, client_at):
    key = make("service", scopes=["keys:read"], network={"allow": [HERE], "dry_run": True})
    answer = client_at(THERE).get("/v2/export", headers={"servicekey": key["value"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "ScopeMissing")


def test_the_client_behind_a_trusted_proxy_is_believed_and_no_other(parts_and_client, make):
    """The same parts under an edge of their own, which trusts the proxy."""
    parts, _ = parts_and_client
    key = make(network={"allow": [HERE]})
    edge = make_server(replace(parts, proxies=TrustedProxies(Networks(["10.0.0.0/8"]))))
    for peer, forwarded, status in (
        ("10.0.0.1", HERE, 200),
        ("10.0.0.1", f"{HERE}, {THERE}", 403),
        (THERE, HERE, 403),
        ("10.0.0.1", f"{HERE}, who", 403),
        ("10.0.0.1", "", 403),
    ):
        client = TestClient(edge, raise_server_exceptions=False, client=(peer, 4711))
        headers = {"apikey": key["value"], "x-forwarded-for": forwarded}
        assert client.post("/logs/ingest?hostname=h", headers=headers, json={"lines": []}).status_code == status


def test_trusted_proxies_are_read_from_the_settings():
    assert Settings(trusted_proxies=" 10.0.0.0/8, 2001:db8::/32,").trusted_networks == ("10.0.0.0/8", "2001:db8::/32")
    assert Settings().trusted_networks == ()


# -- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_excess", "status", "code"), [({}, 504, "LimitHeld"), ({"on_excess": "refuse"}, 429, "TooManyRequests")]
)
def test_a_sender_that_comes_too_often_is_told_to_wait(tester, make, on_excess, status, code):
    key = make(limits={"requests_per_s": 1, **on_excess})
    answers = [send(tester.client, key, {"line": "x"}) for _ in range(5)]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert answers[0].status_code == 200
    assert refused
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(status, code)}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert {answer.json()["reason"] for answer in refused} == {"The key is used too often."}


def test_a_reader_that_comes_too_often_is_refused(tester, make):
    key = make("service", limits={"requests_per_s": 1})
    answers = [tester.client.get(KEYS, headers={"servicekey": key["value"]}) for _ in range(5)]
    assert (answers[0].status_code, answers[-1].status_code) == (200, 429)
    assert answers[-1].headers["retry-after"] == "1"


@pytest.mark.parametrize("limits", [{"lines_per_day": 3}, {"bytes_per_day": 80}], ids=["lines", "bytes"])
def test_a_batch_that_would_exceed_the_day_is_refused_as_a_whole(ask, tester, make, limits):
    key, line = make(limits=limits), {"line": "a line"}
    batches = [[line, line], [line, line], [line], [line]]
    answers = [send(tester.client, key, *batch) for batch in batches]
    assert [answer.status_code for answer in answers] == [200, 504, 200, 504]
    assert (answers[1].json()["code"], answers[1].headers["retry-after"]) == ("LimitHeld", "30")
    assert answers[1].json()["reason"] == "The key has sent as much as it may on one day."
    assert ask("GET", f"/{key['id']}/usage").json()["total"]["lines"] == 3
    ask("PATCH", f"/{key['id']}", {"limits": limits | {"on_excess": "refuse"}})
    refused = send(tester.client, key, line)
    assert (refused.status_code, refused.json()["code"]) == (429, "TooManyRequests")
    assert 0 < int(refused.headers["retry-after"]) <= DAY_MS // 1000


def test_a_batch_that_never_fits_is_told_so(tester, make):
    refused = send(tester.client, make(limits={"lines_per_day": 1}), {"line": "1"}, {"line": "2"})
    assert refused.json()["reason"] == "The batch is more than the key may send on one day."


def test_what_was_sent_before_the_start_and_by_other_servers_counts(tester, make):
    key = make(limits={"lines_per_day": 5})
    meter = tester.parts.bounds._meter
    meter.learn(meter.day_ms, {key["id"]: Used(4, 0)})
    assert send(tester.client, key, {"line": "1"}, {"line": "2"}).status_code == 504
    assert send(tester.client, key, {"line": "1"}).status_code == 200


def test_a_day_that_is_full_is_known_before_the_body_is_read(tester, make):
    key = make(limits={"lines_per_day": 1})
    assert send(tester.client, key, {"line": "1"}).status_code == 200
    answer = tester.client.post("/logs/ingest?hostname=h", headers={"apikey": key["value"]}, content=b"no batch at all")
    assert answer.status_code == 504


def test_a_batch_that_was_not_accepted_does_not_count(tester, make, monkeypatch):
    key = make(limits={"lines_per_day": 1})

    async def fail(_envelope, _lines):
        raise OSError

    with monkeypatch.context() as broken:
        broken.setattr(tester.parts.spool, "append", fail)
        assert send(tester.client, key, {"line": "1"}).status_code == 504
    assert send(tester.client, key, {"line": "1"}).status_code == 200


# -- narrowing --------------------------------------------------------------------------------------------------------


def test_a_batch_with_one_line_that_does_not_fit_is_refused_as_a_whole(ask, tester, make):
    key = make(narrowing={"apps": ["web"]})
    refused = send(tester.client, key, {"line": "1", "app": "web"}, {"line": "2", "app": "db"})
    assert refused.status_code == 403
    assert refused.json() == {
        "error": "Account not found or inactive",
        "code": "NotAuthorized",
        "status": "error",
        "reason": 'The key may not send for the app "db".',
    }
    assert send(tester.client, key, {"line": "3", "app": "web"}).status_code == 200
    assert [line["_line"] for line in tester.lines(1)] == ["3"]
    total = ask("GET", f"/{key['id']}/usage").json()["total"]
    assert (total["refusals"], total["lines"]) == (1, 1)
    assert events_of(ask, key, "key.refused")[0]["after"]["refusal"] == "narrowed"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("hostname=db-1&app=web", 'The key may not send for the host "db-1".'),
        ("hostname=web-1&app=db", 'The key may not send for the app "db".'),
        ("hostname=web-1&app=web&tags=prod,dev", 'The key may not send for the tag "dev".'),
        ("hostname=web-1&app=web&tags=prod", None),
        ("hostname=web-1&app=web", None),
    ],
)
def test_what_the_request_says_must_fit_too(tester, make, query, reason):
    key = make(narrowing={"apps": ["web"], "hosts": ["web-*"], "tags": ["prod"]})
    answer = send(tester.client, key, {"line": "1"}, query=query)
    assert (answer.status_code, answer.json().get("reason")) == ((403, reason) if reason else (200, None))


def test_a_long_batch_is_looked_through_as_well(tester, make):
    key = make(narrowing={"apps": ["web"]})
    lines = [{"line": "x" * 200, "app": "web"}] * 1_000
    assert send(tester.client, key, *lines).status_code == 200
    assert send(tester.client, key, *lines, {"line": "x", "app": "db"}).status_code == 403


# Lines in which somebody might hide where they belong: by members that are there twice, escaped, of another type ...
HIDING = [
    '{"line":"%s","app":"web"}',
    '{"line":"%s","app":"web","app":"db"}',
    '{"line":"%s","app":"db","app":"web"}',
    '{"line":"%s","\\u0061pp":"db"}',
    '{"line":"%s","app":"web","\\u0061pp":"db"}',
    '{"line":"%s","\\u0061pp":"db","app":"web"}',
    '{"line":"%s","APP":"web","app":"db"}',
    '{"line":"%s","app":null,"file":"/var/log/db"}',
    '{"line":"%s","app":"","file":"/var/log/db"}',
    '{"line":"%s","app":"","file":"/var/log/"}',
    '{"line":"%s","file":"web","f":"db"}',
    '{"line":"%s","file":"","f":"db"}',
    '{"line":"%s","f":"C:\\\\logs\\\\web"}',
    '{"line":"%s","file":"a\\\\web"}',
    '{"line":"%s","app":["web"]}',
    '{"line":"%s","app":{"web":"web"}}',
    '{"line":"%s","app":5}',
    '{"line":"%s","app":true}',
    '{"line":"%s","app":" web"}',
    '{"line":"%s","app":"web\\u0000"}',
    '{"line":"%s","app":"web","host":"db-1"}',
    '{"line":"%s","app":"web","hostname":"","host":"db-1"}',
    '{"line":"%s","app":"web","hostname":"web-2","host":"db-1"}',
    '{"line":"%s","app":"web","host":"db-1","host":"web-1"}',
    '{"line":"%s","app":"web","host":["db-1"]}',
    '{"line":"%s","app":"web","tags":"prod,dev"}',
    '{"line":"%s","app":"web","tags":" prod , prod"}',
    '{"line":"%s","app":"web","tags":"[\\"dev\\"]"}',
    '{"line":"%s","app":"web","tags":" [\\"dev\\"]"}',
    '{"line":"%s","app":"web","tags":["dev"]}',
    '{"line":"%s","app":"web","tags":["prod",["dev"]]}',
    '{"line":"%s","app":"web","tags":"\\tprod"}',
    '{"line":"%s","app":"web","tags":{"dev":1}}',
    '{"line":"%s","app":"web","tags":"[dev"}',
    '{"line":"%s","app":"web","tags":"prod","tags":"dev"}',
    '{"line":"%s","app":"web","meta":{"app":"db","host":"db-1"}}',
    '"%s"',
    '["%s","app","db"]',
    '{"line":"%s","app":"web\\ud800"}',
    '{"line":"%s","app":"w\\u0065b"}',
]
FITTING = {"_app": ("web",), "_host": ("web-1", "web-2"), "_tag": ("prod",)}


def test_no_line_is_stored_under_what_its_key_may_not_send_for(tester, make):
    """Door and mill read lines with different parsers; what is let in must be stored as the door has read it."""
    key = make(narrowing={"apps": ["web"], "hosts": ["web-*"], "tags": ["prod"]})
    accepted = []
    for number, form in enumerate(HIDING):
        body = b'{"lines":[%s]}' % (form % f"line {number}").encode()
        answer = tester.client.post("/logs/ingest?hostname=web-1", headers={"apikey": key["value"]}, content=body)
        assert answer.status_code in (200, 403), answer.text
        accepted += [form] if answer.status_code == 200 else []
    assert {HIDING[0], HIDING[12], HIDING[-1]} <= set(accepted)
    for line in tester.lines(len(accepted)):
        for member, fitting in FITTING.items():
            found = line.get(member, [] if member == "_tag" else None)
            assert set(found if isinstance(found, list) else [found]) <= set(fitting), json.dumps(line)
