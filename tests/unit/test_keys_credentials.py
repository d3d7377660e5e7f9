"""Every carrier of a key, and what the gate says of it. Evidence: mezmo-api 2.2, 2.3, 24 Q11, Q12; keys.md 4.2."""

import asyncio
import base64
import secrets
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from logboom.errors import KeyRefused, MissingCredentials, NotAuthorized, RequestError, WrongKeyKind
from logboom.keys.bounds import Bounds
from logboom.keys.feed import Feed
from logboom.keys.gate import TWO_KEYS, Gate
from logboom.keys.key import Caller, KeyKind
from logboom.keys.keyring import Keyring
from logboom.keys.meter import Meter
from logboom.keys.scopes import Scope
from logboom.keys.vault import Vault
from logboom.keys.verdict import Standing

SENDER = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
OTHER_SENDER = "1f1e2d3c4b5a69788796a5b4c3d2e1f1"
READER = "2f1e2d3c4b5a69788796a5b4c3d2e1f2"
STRANGER = "3f1e2d3c4b5a69788796a5b4c3d2e1f3"
READING = (Scope.KEYS_READ,)


def standing_of(value, kind):
    return Standing(caller=Caller(account_id="a" * 10, key_id=value[:24], kind=kind))


@pytest.fixture(scope="module")
def gate():
    vault = Vault(bytes(32), random_bytes=secrets.token_bytes)
    keyring = Keyring(vault)
    kinds = {SENDER: KeyKind.INGESTION, OTHER_SENDER: KeyKind.INGESTION, READER: KeyKind.SERVICE}
    keyring.replace({vault.digest(value): standing_of(value, kind) for value, kind in kinds.items()})
    feed = Feed(lambda: 0, probe=lambda: 0, monotonic_s=time.monotonic)
    feed.start()
    yield Gate(keyring, feed, Bounds(Meter(now_ms=lambda: 0, monotonic_s=time.monotonic)), now_ms=lambda: 0)
    feed.stop()


def make_request(*headers, query=""):
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": raw, "query_string": query.encode()})


def basic(text):
    return ("Authorization", "Basic " + base64.b64encode(text.encode()).decode())


CARRIERS_OF_A_SENDER = [
    pytest.param([("apikey", SENDER)], "", None, id="header"),
    pytest.param([("apiKey", SENDER)], "", None, id="header-as-node-spells-it"),
    pytest.param([("ingestionkey", SENDER)], "", None, id="ibm-header"),
    pytest.param([basic(f"{SENDER}:")], "", None, id="basic-user"),
    pytest.param([basic(f"username:{SENDER}")], "", None, id="basic-password-ruby"),
    pytest.param([basic(f"{READER}:{SENDER}")], "", None, id="basic-only-the-password-counts"),
    pytest.param([basic(SENDER)], "", None, id="basic-without-colon"),
    pytest.param([(basic(f"x:{SENDER}")[0], basic(f"x:{SENDER}")[1].rstrip("="))], "", None, id="basic-unpadded"),
    pytest.param([("Authorization", f"Token {SENDER}")], "", None, id="token"),
    pytest.param([("authorization", f"bearer  {SENDER}")], "", None, id="bearer-small-letters"),
    pytest.param([("Authorization", SENDER)], "", None, id="authorization-without-scheme"),
    pytest.param([], f"hostname=h&apikey={SENDER}", None, id="query-logstash"),
    pytest.param([], "", SENDER, id="body"),
    pytest.param([("apikey", SENDER)], "", SENDER, id="header-and-body-go"),
    pytest.param(
        [("apikey", SENDER), ("apikey", SENDER), basic(f"{SENDER}:")], f"apikey={SENDER}", None, id="all-equal"
    ),
    pytest.param([("apikey", f' "{SENDER}"\t')], "", None, id="quotes-and-blanks-around"),
    pytest.param([("apikey", ""), ("Authorization", "Basic Og==")], f"apikey={SENDER}", "", id="empty-carriers-beside"),
]


@pytest.mark.parametrize(("headers", "query", "body_key"), CARRIERS_OF_A_SENDER)
def test_sender_is_admitted(gate, headers, query, body_key):
    assert asyncio.run(gate.ingestion_caller(make_request(*headers, query=query), body_key)).key_id == SENDER[:24]


REFUSED_SENDERS = [
    pytest.param([], "", None, MissingCredentials, id="nothing"),
    pytest.param([("apikey", "")], "apikey=", "", MissingCredentials, id="empty"),
    pytest.param([("Authorization", "Basic Og==")], "", None, MissingCredentials, id="empty-basic"),
    pytest.param([("servicekey", SENDER)], "", None, MissingCredentials, id="header-of-the-other-door"),
    pytest.param([("apikey", STRANGER)], "", None, KeyRefused, id="unknown"),
    pytest.param([("apikey", READER)], "", None, KeyRefused, id="service-key"),
    pytest.param([("apikey", SENDER), ("ingestionkey", OTHER_SENDER)], "", None, KeyRefused, id="two-good-ones-differ"),
    pytest.param([("apikey", SENDER)], "", STRANGER, KeyRefused, id="body-differs"),
    pytest.param([("apikey", SENDER)], f"apikey={STRANGER}", None, KeyRefused, id="query-differs"),
    pytest.param([("apikey", SENDER.upper())], "", None, KeyRefused, id="capitals"),
    pytest.param([("apikey", "short")], "", None, KeyRefused, id="too-short"),
    pytest.param([("apikey", SENDER * 1000)], "", None, KeyRefused, id="too-long"),
    pytest.param([("apikey", "ÿ" * 32)], "", None, KeyRefused, id="not-ascii"),
    pytest.param([], "", "\ud800" * 32, KeyRefused, id="unpaired-surrogates"),
    pytest.param([], "apikey=%FF%FE%00aaaaaaaaaaaaaaaaaaaa", None, KeyRefused, id="query-not-utf8"),
    pytest.param([("Authorization", "Basic !!!")], "", None, KeyRefused, id="basic-not-base64"),
    pytest.param([("Authorization", "Basic //79")], "", None, KeyRefused, id="basic-not-text"),
    pytest.param([("Authorization", f"Digest {SENDER}")], "", None, KeyRefused, id="unknown-scheme"),
    pytest.param([basic(f"{SENDER}:{STRANGER}")], "", None, KeyRefused, id="basic-user-does-not-help"),
]


@pytest.mark.parametrize(("headers", "query", "body_key", "refusal"), REFUSED_SENDERS)
def test_sender_is_refused(gate, headers, query, body_key, refusal):
    with pytest.raises(refusal):
        asyncio.run(gate.ingestion_caller(make_request(*headers, query=query), body_key))


CARRIERS_OF_A_READER = [
    pytest.param([("servicekey", READER)], "", False, id="header-terraform"),
    pytest.param([("apikey", READER)], "", False, id="apikey-header"),
    pytest.param([basic(f"{READER}:")], "", False, id="basic-user"),
    pytest.param([basic(f"anything:{READER}")], "", False, id="basic-password"),
    pytest.param([("Authorization", f"Token {READER}")], "", False, id="token"),
    pytest.param([("Authorization", f"Bearer {READER}")], "", False, id="bearer"),
    pytest.param([], f"servicekey={READER}", True, id="query-where-allowed"),
    pytest.param([("servicekey", READER)], f"servicekey={STRANGER}", False, id="query-not-looked-at"),
    pytest.param([("servicekey", READER)], f"apikey={STRANGER}", True, id="other-query-not-looked-at"),
]


@pytest.mark.parametrize(("headers", "query", "allow_query"), CARRIERS_OF_A_READER)
def test_reader_is_admitted(gate, headers, query, allow_query):
    request = make_request(*headers, query=query)
    assert asyncio.run(gate.service_caller(request, READING, allow_query=allow_query)).key_id == READER[:24]


REFUSED_READERS = [
    pytest.param([], "", False, NotAuthorized, id="nothing"),
    pytest.param([("servicekey", STRANGER)], "", False, NotAuthorized, id="unknown"),
    pytest.param([("ingestionkey", READER)], "", False, NotAuthorized, id="header-of-the-other-door"),
    pytest.param([], f"servicekey={READER}", False, NotAuthorized, id="query-where-not-allowed"),
    pytest.param([("servicekey", READER), ("apikey", SENDER)], "", False, NotAuthorized, id="two-differ"),
    pytest.param([("servicekey", READER)], f"servicekey={STRANGER}", True, NotAuthorized, id="query-differs"),
    pytest.param([("servicekey", SENDER)], "", False, WrongKeyKind, id="ingestion-key"),
]


@pytest.mark.parametrize(("headers", "query", "allow_query", "refusal"), REFUSED_READERS)
def test_reader_is_refused(gate, headers, query, allow_query, refusal):
    with pytest.raises(refusal):
        asyncio.run(gate.service_caller(make_request(*headers, query=query), READING, allow_query=allow_query))


@pytest.mark.parametrize(
    ("headers", "query", "presents"),
    [
        ([], "", False),
        ([("apikey", " ")], "apikey=", False),
        ([("apikey", "bad")], "", True),
        ([], "apikey=bad", True),
        ([basic("x:")], "", True),
    ],
    ids=["nothing", "empty", "bad-header", "bad-query", "basic"],
)
def test_presenting_a_key_is_seen_good_or_bad(gate, headers, query, presents):
    assert gate.presents_key(make_request(*headers, query=query)) is presents


LATIN_1 = st.text(st.characters(max_codepoint=255), max_size=120)


@given(authorization=LATIN_1 | LATIN_1.map("Basic {}".format), apikey=LATIN_1, query=LATIN_1, body_key=st.text())
def test_no_carrier_content_does_more_than_refuse(gate, authorization, apikey, query, body_key):
    request = make_request(("Authorization", authorization), ("apikey", apikey), query=query)
    for door in (
        lambda: gate.ingestion_caller(request, body_key),
        lambda: gate.service_caller(request, READING, allow_query=True),
    ):
        with pytest.raises(RequestError):
            asyncio.run(door())


def test_two_different_keys_are_told_so_whatever_they_are(gate):
    for values in ((SENDER, OTHER_SENDER), (SENDER, STRANGER), (STRANGER, READER)):
        for header, door in (("ingestionkey", gate.ingestion_caller), ("servicekey", service_door(gate))):
            request = make_request(("apikey", values[0]), (header, values[1]))
            with pytest.raises(RequestError) as refused:
                asyncio.run(door(request))
            assert refused.value.reason == TWO_KEYS


def service_door(gate):
    return lambda request: gate.service_caller(request, ())
