"""Whom the gate lets in, what it says to others, whom it tells of both, and when it asks for news first."""

import asyncio
import secrets
import time

import pytest
from starlette.requests import Request

from logboom.errors import (
    AddressRefused,
    KeyHeld,
    KeyRefused,
    LimitHeld,
    MissingCredentials,
    NotAuthorized,
    ScopeExceeded,
    ScopeMissing,
    Unavailable,
    WrongKeyKind,
)
from logboom.keys.bounds import Bounds
from logboom.keys.credentials import Carrier
from logboom.keys.feed import Feed
from logboom.keys.gate import WRONG_DOOR, Gate
from logboom.keys.key import Caller, KeyKind, KeyState
from logboom.keys.keyring import Keyring
from logboom.keys.meter import Meter
from logboom.keys.scopes import Scope
from logboom.keys.terms import Limits, Network, Terms
from logboom.keys.vault import Vault
from logboom.keys.verdict import Refusal, Refused, Standing

NOW_MS = 1_700_000_000_000
HOLD_MS = 20_000
HELD = {"state": KeyState.HELD, "held_until_ms": NOW_MS + HOLD_MS}
ADDRESS = "192.0.2.1"
ELSEWHERE = Network(allow=("198.51.100.0/24",))
NARROW = frozenset({Scope.EXPORT_READ})


def caller(name, kind=KeyKind.INGESTION, **members):
    return Caller(account_id="a" * 10, key_id=name, kind=kind, **members)


SENDER, READER = caller("sender"), caller("reader", KeyKind.SERVICE)
SCOPE_MISSING = "This key is not allowed to do this. It needs the scope keys:read."
STANDINGS = {
    "sender": Standing(caller=SENDER),
    "reader": Standing(caller=READER),
    "narrow": Standing(caller=caller("narrow", KeyKind.SERVICE, scopes=NARROW)),
    "held sender": Standing(caller=caller("held sender"), **HELD),
    "held reader": Standing(caller=caller("held reader", KeyKind.SERVICE), **HELD),
    "deleted sender": Standing(caller=caller("deleted sender"), state=KeyState.DELETED),
    "deleted reader": Standing(caller=caller("deleted reader", KeyKind.SERVICE), state=KeyState.DELETED),
    "retired sender": Standing(caller=caller("retired sender"), valid_until_ms=NOW_MS),
    "disabled sender": Standing(caller=caller("disabled sender"), state=KeyState.DISABLED),
}
for name, terms in {
    "far sender": Terms(network=ELSEWHERE),
    "near sender": Terms(network=Network(allow=(ADDRESS,))),
    "trying sender": Terms(network=Network(deny=(ADDRESS,), dry_run=True)),
    "slow sender": Terms(limits=Limits(requests_per_s=1)),
}.items():
    STANDINGS[name] = Standing(caller=caller(name, terms=terms))
STANDINGS["far reader"] = Standing(caller=caller("far reader", KeyKind.SERVICE, terms=Terms(network=ELSEWHERE)))
VALUES = {name: secrets.token_hex(16) for name in (*STANDINGS, "unknown", "new")}


class House:
    """A gate over a keyring that a feed keeps fresh, and what it has told. *news* comes with the next question."""

    def __init__(self):
        self.vault = Vault(bytes(32), random_bytes=secrets.token_bytes)
        self.keyring = Keyring(self.vault)
        self.keyring.replace({self.vault.digest(VALUES[name]): standing for name, standing in STANDINGS.items()})
        self.news, self.mark, self.questions = {}, 0, 0
        self.admitted, self.refused, self.tried, self.unknown = [], [], [], 0
        self.feed = Feed(self.catch_up, probe=lambda: self.mark, monotonic_s=time.monotonic)
        self.gate = Gate(
            self.keyring,
            self.feed,
            Bounds(Meter(now_ms=lambda: NOW_MS, monotonic_s=lambda: 0.0)),
            now_ms=lambda: NOW_MS,
            on_admitted=self.note_admitted,
            on_refused=lambda *told: self.refused.append(self.note(*told)),
            on_dry_run=lambda *told: self.tried.append(self.note(*told)),
            on_unknown=self.count_unknown,
        )

    def catch_up(self):
        self.questions += 1
        for name, standing in self.news.items():
            self.keyring.put(standing.caller.key_id, {self.vault.digest(VALUES[name]): standing}, revision=1)
        return 1

    def note_admitted(self, request, found, carrier):
        assert isinstance(request, Request)
        self.admitted.append((found, carrier))

    def note(self, request, refused, carrier):
        assert isinstance(request, Request)
        return refused.caller, refused.refusal, carrier

    async def count_unknown(self):
        self.unknown += 1

    def send(self, name, **options):
        return asyncio.run(self.gate.ingestion_caller(request_with(VALUES[name]), **options))

    def read(self, name, *scopes):
        return asyncio.run(self.gate.service_caller(request_with(VALUES[name]), scopes))

    def ask_about_self(self, name):
        return asyncio.run(self.gate.any_caller(request_with(VALUES[name])))

    def recheck(self, caller, *scopes):
        return asyncio.run(self.gate.recheck(request_with(None), caller, scopes))


def request_with(value, *, query=""):
    headers = [] if value is None else [(b"apikey", value.encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "client": (ADDRESS, 4711)}
    return Request(scope | {"headers": headers, "query_string": query.encode()})


@pytest.fixture
def house():
    house = House()
    house.feed.start()
    yield house
    house.feed.stop()


# -- who is let in, and who is told -----------------------------------------------------------------------------------


def test_a_sender_is_let_in_and_told_of(house):
    assert house.send("sender") == SENDER
    assert (house.admitted, house.refused, house.unknown) == ([(SENDER, Carrier.HEADER)], [], 0)


def test_a_first_look_tells_nobody_of_who_is_let_in(house):
    assert house.send("sender", is_first_look=True) == SENDER
    assert house.admitted == []


def test_a_reader_is_let_in_and_told_of(house):
    assert house.read("reader", Scope.KEYS_READ) == READER
    assert (house.admitted, house.refused, house.unknown) == ([(READER, Carrier.HEADER)], [], 0)


@pytest.mark.parametrize(("name", "found"), [("sender", SENDER), ("reader", READER)])
def test_anybody_may_ask_about_themselves(house, name, found):
    assert house.ask_about_self(name) == found
    assert house.admitted == [(found, Carrier.HEADER)]


# -- who is refused, in which words, and who is told ------------------------------------------------------------------

REFUSED_SENDERS = [
    ("held sender", KeyHeld, Refusal.HELD),
    ("deleted sender", KeyRefused, Refusal.DELETED),
    ("retired sender", KeyRefused, Refusal.RETIRED),
    ("disabled sender", KeyRefused, Refusal.DISABLED),
]


@pytest.mark.parametrize(("name", "error", "refusal"), REFUSED_SENDERS)
@pytest.mark.parametrize("is_first_look", [False, True])
def test_a_known_sender_is_told_why_it_is_refused(house, name, error, refusal, is_first_look):
    with pytest.raises(error) as raised:
        house.send(name, is_first_look=is_first_look)
    assert raised.value.reason == refusal.value
    assert (house.admitted, house.refused, house.unknown) == (
        [],
        [(STANDINGS[name].caller, refusal, Carrier.HEADER)],
        0,
    )


REFUSED_READERS = [("held reader", KeyHeld, Refusal.HELD), ("deleted reader", NotAuthorized, Refusal.DELETED)]


@pytest.mark.parametrize(("name", "error", "refusal"), REFUSED_READERS)
@pytest.mark.parametrize("ask", [House.read, House.ask_about_self])
def test_a_known_reader_is_told_why_it_is_refused(house, name, error, refusal, ask):
    with pytest.raises(error) as raised:
        ask(house, name)
    assert raised.value.reason == refusal.value
    assert house.refused == [(STANDINGS[name].caller, refusal, Carrier.HEADER)]


def test_who_is_held_is_told_when_to_come_again(house):
    with pytest.raises(KeyHeld) as raised:
        house.send("held sender")
    assert raised.value.retry_after_s == HOLD_MS // 1_000


@pytest.mark.parametrize(("ask", "error"), [(House.send, KeyRefused), (House.read, NotAuthorized)])
def test_a_stranger_waits_for_a_turn_and_is_told_nothing(house, ask, error):
    with pytest.raises(error) as raised:
        ask(house, "unknown")
    assert raised.value.reason == ""
    assert (house.admitted, house.refused, house.unknown) == ([], [], 1)
    with pytest.raises(NotAuthorized):
        house.ask_about_self("unknown")
    assert house.unknown == 2


def test_nobody_waits_without_a_value_or_with_two(house):
    with pytest.raises(MissingCredentials):
        asyncio.run(house.gate.ingestion_caller(request_with(None)))
    with pytest.raises(NotAuthorized):
        asyncio.run(house.gate.any_caller(request_with(None)))
    with pytest.raises(KeyRefused):
        house.send("sender", body_key=VALUES["reader"])
    assert house.unknown == 0


def test_a_service_key_at_the_door_of_senders_is_told_of(house):
    with pytest.raises(KeyRefused) as raised:
        house.send("reader")
    assert raised.value.reason == WRONG_DOOR
    assert house.refused == [(READER, Refusal.WRONG_KIND, Carrier.HEADER)]


def test_an_ingestion_key_at_the_door_of_readers_is_told_of(house):
    with pytest.raises(WrongKeyKind):
        house.read("sender")
    assert house.refused == [(SENDER, Refusal.WRONG_KIND, Carrier.HEADER)]


def test_what_else_is_wrong_with_a_key_comes_before_its_kind(house):
    with pytest.raises(KeyRefused):
        house.send("deleted reader")
    with pytest.raises(WrongKeyKind):
        house.read("held sender")
    assert [refusal for _, refusal, _ in house.refused] == [Refusal.DELETED, Refusal.HELD]


def test_a_key_without_the_scope_is_told_which_it_lacks(house):
    assert house.read("narrow", Scope.EXPORT_READ).key_id == "narrow"
    with pytest.raises(ScopeMissing) as raised:
        house.read("narrow", Scope.EXPORT_READ, Scope.KEYS_READ)
    assert raised.value.message == SCOPE_MISSING
    ((told, refusal, carrier),) = house.refused
    assert (told.key_id, refusal, carrier) == ("narrow", Refusal.SCOPE_MISSING, Carrier.HEADER)
    assert len(house.admitted) == 1


def test_a_key_that_is_used_from_elsewhere_is_refused_and_told_of(house):
    with pytest.raises(KeyRefused) as raised:
        house.send("far sender")
    assert raised.value.reason == Refusal.ADDRESS.value
    with pytest.raises(AddressRefused):
        house.read("far reader")
    assert [refusal for _, refusal, _ in house.refused] == [Refusal.ADDRESS] * 2
    assert (house.admitted, house.tried) == ([], [])
    assert house.send("near sender").key_id == "near sender"


@pytest.mark.parametrize("is_first_look", [False, True])
def test_a_dry_run_lets_in_and_is_told_of_once(house, is_first_look):
    assert house.send("trying sender", is_first_look=is_first_look).key_id == "trying sender"
    told = [(STANDINGS["trying sender"].caller, Refusal.ADDRESS, Carrier.HEADER)]
    assert (house.tried, house.refused) == ([] if is_first_look else told, [])
    assert house.recheck(STANDINGS["trying sender"].caller) is None
    assert house.recheck(STANDINGS["near sender"].caller) is None


def test_a_first_look_counts_no_request_and_the_next_one_does(house):
    for _ in range(2):
        assert house.send("slow sender", is_first_look=True)
    assert house.send("slow sender")
    for is_first_look in (False, True):
        with pytest.raises(LimitHeld) as raised:
            house.send("slow sender", is_first_look=is_first_look)
        assert raised.value.reason == Refusal.RATE.value
    assert [refusal for _, refusal, _ in house.refused] == [Refusal.RATE] * 2


def test_what_is_found_out_late_is_told_of_as_it_is_then(house):
    request = request_with(None, query=f"servicekey={VALUES['reader']}")
    for error in (ScopeMissing("keys:read"), ScopeExceeded()):
        house.gate.tell_late(request, READER, error)
    told = [(READER, refusal, Carrier.ADDRESS) for refusal in (Refusal.SCOPE_MISSING, Refusal.SCOPE_EXCEEDED)]
    assert house.refused == told
    deleted = Standing(caller=READER, state=KeyState.DELETED)
    house.keyring.put(READER.key_id, {house.vault.digest(VALUES["reader"]): deleted}, revision=1)
    house.gate.tell_late(request, READER, ScopeMissing("keys:read"))
    assert house.refused[-1] == (READER, Refusal.DELETED, Carrier.ADDRESS)
    expired = Standing(caller=READER, expires_at_ms=NOW_MS)
    house.keyring.put(READER.key_id, {house.vault.digest(VALUES["reader"]): expired}, revision=2)
    house.gate.tell_late(request, READER, ScopeMissing("keys:read"))
    assert house.refused[-1] == (READER, Refusal.EXPIRED, Carrier.ADDRESS)


def test_a_batch_that_breaks_the_terms_of_its_key_is_told_of(house):
    refused = Refused(caller=SENDER, refusal=Refusal.NARROWED, detail="No line may have the app web.")
    error = house.gate.refusal(request_with(None), refused, body_key=VALUES["sender"])
    assert (type(error), error.reason) == (KeyRefused, "No line may have the app web.")
    assert house.refused == [(SENDER, Refusal.NARROWED, Carrier.BODY)]


# -- news before a refusal --------------------------------------------------------------------------------------------


def test_a_key_that_came_a_moment_ago_is_let_in(house):
    house.read("reader")
    house.news, house.mark = {"new": Standing(caller=caller("new"))}, 1
    assert house.send("new").key_id == "new"
    assert house.unknown == 0


@pytest.mark.parametrize("name", ["disabled sender", "held sender"])
def test_a_refusal_that_was_taken_back_a_moment_ago_is_not_said(house, name):
    house.read("reader")
    house.news, house.mark = {name: Standing(caller=STANDINGS[name].caller)}, 1
    assert house.send(name) == STANDINGS[name].caller


@pytest.mark.parametrize("name", ["sender", "deleted sender", "retired sender", "disabled sender"])
def test_nothing_is_asked_while_nothing_is_new(house, name):
    house.read("reader")
    asked = house.questions
    for _ in range(20):
        try:
            house.send(name)
        except KeyRefused:
            continue
    assert house.questions <= asked + 1  # the feed's own, which comes now and then


def test_nobody_is_judged_by_memory_that_may_be_stale(house):
    def fail():
        raise OSError

    house.read("reader")
    house.feed._catch_up = fail
    house.mark = 1
    for ask in (lambda: house.send("sender"), lambda: house.send("unknown"), lambda: house.recheck(SENDER)):
        with pytest.raises(Unavailable):
            ask()


@pytest.mark.parametrize("ask", [lambda house: house.send("unknown"), lambda house: house.recheck(caller("nobody"))])
def test_a_server_that_cannot_know_every_key_says_so_to_strangers(house, ask):
    house.keyring.set_blind(is_blind=True)
    with pytest.raises(Unavailable):
        ask(house)
    assert house.send("sender") == SENDER


# -- again, in the middle of long work --------------------------------------------------------------------------------


def test_long_work_goes_on_while_its_key_opens(house):
    assert house.recheck(READER, Scope.KEYS_READ) is None


@pytest.mark.parametrize(
    ("standing", "error", "refusal"),
    [
        (Standing(caller=READER, state=KeyState.DELETED, revision=1), NotAuthorized, Refusal.DELETED),
        (Standing(caller=READER, state=KeyState.HELD, held_until_ms=NOW_MS + 1, revision=1), KeyHeld, Refusal.HELD),
    ],
)
def test_long_work_ends_with_its_key(house, standing, error, refusal):
    house.keyring.put(READER.key_id, {house.vault.digest(VALUES["reader"]): standing}, revision=1)
    with pytest.raises(error) as raised:
        house.recheck(READER)
    assert raised.value.reason == refusal.value


def test_long_work_ends_with_its_value_its_scope_and_its_key(house):
    with pytest.raises(NotAuthorized):
        house.recheck(caller("reader", KeyKind.SERVICE, generation=2))
    with pytest.raises(NotAuthorized):
        house.recheck(caller("nobody"))
    with pytest.raises(AddressRefused):
        house.recheck(STANDINGS["far reader"].caller)
    with pytest.raises(ScopeMissing, match=SCOPE_MISSING):
        house.recheck(caller("narrow", KeyKind.SERVICE, scopes=NARROW), Scope.KEYS_READ)


def test_long_work_is_judged_by_what_is_new(house):
    house.read("reader")
    house.news, house.mark = {"reader": Standing(caller=READER, state=KeyState.DELETED)}, 1
    with pytest.raises(NotAuthorized):
        house.recheck(READER)
