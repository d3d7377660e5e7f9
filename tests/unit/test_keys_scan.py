"""Our own values are found in every form, wherever they stand, and nothing else is altered. Evidence: keys.md 5.9."""

import json
import random
import secrets
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logboom.keys.formats import mint_value
from logboom.keys.key import Caller, KeyFormat, KeyKind
from logboom.keys.keyring import Keyring
from logboom.keys.redaction import FOREIGN_MARK, Redactor, Source, hide_values, redact_message
from logboom.keys.scan import Scanner
from logboom.keys.vault import Vault
from logboom.keys.verdict import Standing
from written_forms import FORMS, HEX_FORMS, b64, percent, raw_unicode

CLASSIC = mint_value(KeyKind.INGESTION, KeyFormat.CLASSIC, secrets.token_hex)
NATIVE = mint_value(KeyKind.SERVICE, KeyFormat.NATIVE, secrets.token_hex)
DIGITS = "98765432109876543210987654321098"  # a preset value; nobody mints one
ODD = "a_preset_value_of_another_shape"
FOREIGN = mint_value(KeyKind.SERVICE, KeyFormat.CLASSIC, secrets.token_hex)
OWN, OTHER = "a" * 10, "b" * 10
IDS = {value: f"{number:024x}" for number, value in enumerate((CLASSIC, NATIVE, DIGITS, ODD, FOREIGN))}

FORM_CASES = [
    *((name, value) for value in (CLASSIC, NATIVE) for name in FORMS),
    *((name, CLASSIC) for name in HEX_FORMS),
]
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


class Door:
    """A redactor that notes what it finds."""

    def __init__(self):
        vault = Vault(b"m" * 32, random_bytes=secrets.token_bytes)
        keyring = Keyring(vault)
        for value, key_id in IDS.items():
            account_id = OTHER if value == FOREIGN else OWN
            caller = Caller(account_id=account_id, key_id=key_id, kind=KeyKind.INGESTION)
            keyring.put(key_id, {vault.digest(value): Standing(caller=caller)}, 0)
        self.scanner = Scanner(keyring.find_holders)
        self.found = []
        self._redactor = Redactor(self.scanner, lambda caller, source: self.found.append((caller.key_id, source)))

    def redact(self, lines, **source):
        self.found.clear()
        return self._redactor.redact_lines(lines, Source(account_id=OWN, **source))

    def redact_texts(self, *texts):
        self.found.clear()
        return self._redactor.redact_texts(texts, Source(account_id=OWN))


DOOR = Door()


def mark(value):
    return f"[redacted key {IDS[value]}]"


def body(*lines, ascii_only=True):
    return json.dumps(lines, ensure_ascii=ascii_only).encode()


def chance(seed):
    return random.Random(seed)  # noqa: S311 -- repeatable


def written(name, value, seed=0):
    return (FORMS | HEX_FORMS)[name](value, chance(seed))


@pytest.mark.parametrize("ascii_only", [True, False], ids=["ASCII", "UTF-8"])
@pytest.mark.parametrize(("name", "value"), FORM_CASES, ids=lambda part: part if part in FORMS | HEX_FORMS else "")
def test_every_form_is_found_and_the_value_is_gone(name, value, ascii_only):
    for seed in range(20):
        text = written(name, value, seed)
        (line,) = json.loads(DOOR.redact(body({"line": text}, ascii_only=ascii_only)))
        assert [key_id for key_id, _ in DOOR.found] == [IDS[value]], text
        assert mark(value) in line["line"]
        assert value not in line["line"]


@pytest.mark.parametrize("value", [CLASSIC, NATIVE])
def test_a_sender_may_escape_any_character_of_its_json(value):
    """The value in the text of the request itself is written with escapes; parsers see it bare."""
    for seed in range(50):
        lines = b'[{"line":"x%s%s"}]' % (rb"\u0022" if seed % 2 else rb"\b", raw_unicode(value, chance(seed)))
        assert value in json.loads(lines)[0]["line"]
        assert json.loads(DOOR.redact(lines))[0]["line"][2:] == mark(value)


def test_slashes_of_basic_credentials_may_be_escaped():
    user = next(user for user in map(str, range(10_000)) if "/" in b64(f"{user}??:{CLASSIC}"))
    lines = body({"line": "Basic " + b64(f"{user}??:{CLASSIC}")}).replace(b"/", rb"\/")
    assert json.loads(DOOR.redact(lines)) == [{"line": f"Basic {mark(CLASSIC)}"}]


def test_basic_credentials_are_found_whatever_the_shape_of_the_value():
    assert json.loads(DOOR.redact(body({"line": "Basic " + b64(f"{ODD}:")}))) == [{"line": f"Basic {mark(ODD)}"}]


@settings(max_examples=400, deadline=None)
@given(case=st.sampled_from(FORM_CASES), seed=st.integers(0, 1 << 30), before=TEXTS, after=TEXTS, rest=TEXTS)
def test_nothing_but_the_value_is_altered(case, seed, before, after, rest):
    """Between blanks, as between other signs that belong to no value."""
    name, value = case
    lines = [
        {"line": f"{before} {written(name, value, seed)} {after}", "meta": {rest: [1, 2.5, None, rest]}},
        {"line": rest, "app": before},
    ]
    redacted = json.loads(DOOR.redact(body(*lines)))
    assert [key_id for key_id, _ in DOOR.found] == [IDS[value]]
    assert redacted[1:] == lines[1:]
    assert redacted[0]["meta"] == lines[0]["meta"]
    assert redacted[0]["line"].startswith(f"{before} ")
    assert redacted[0]["line"].endswith(f" {after}")


@settings(max_examples=200, deadline=None)
@given(lines=st.lists(st.dictionaries(TEXTS, TEXTS | st.integers() | st.none(), max_size=3), max_size=5))
def test_lines_without_values_are_left_as_they_are(lines):
    sent = body(*lines)
    assert DOOR.redact(sent) is sent


NO_VALUES = {
    "another value": CLASSIC[:-1] + ("0" if CLASSIC[-1] != "0" else "1"),
    "a trace id": secrets.token_hex(16),
    "a SHA-256": secrets.token_hex(32),
    "a longer run": CLASSIC + "00",
    "a native value with a typing error": NATIVE[:-1] + ("0" if NATIVE[-1] != "0" else "1"),
    "a native value in capitals": NATIVE.upper(),
    "a part of a value": CLASSIC[:31],
    "no credentials": "Basic authentication_is_switched_on_for_everybody",
}


@pytest.mark.parametrize("text", NO_VALUES.values(), ids=NO_VALUES)
def test_what_is_no_value_stays(text):
    sent = body({"line": text})
    assert DOOR.redact(sent) is sent


def test_another_accounts_value_is_not_named():
    (line,) = json.loads(DOOR.redact(body({"line": f"<{FOREIGN}> <{CLASSIC}>"})))
    assert line["line"] == f"<{FOREIGN_MARK.decode()}> <{mark(CLASSIC)}>"


@pytest.mark.parametrize(
    ("number", "left"), [(DIGITS, mark(DIGITS)), ("-" + DIGITS, mark(DIGITS)), (DIGITS + ".5e3", mark(DIGITS))]
)
def test_a_value_that_stands_as_a_number_becomes_a_text(number, left):
    lines = b'[{"line":"<%s>","n":[1,%s]},{"line":"2"}]' % (DIGITS.encode(), number.encode())
    assert json.loads(DOOR.redact(lines)) == [{"line": f"<{mark(DIGITS)}>", "n": [1, left]}, {"line": "2"}]


def test_a_value_that_begins_within_an_escape_costs_its_own_line_only():
    """It can only be made on purpose: parsers see a quote and 30 digits."""
    vault = Vault(b"m" * 32, random_bytes=secrets.token_bytes)
    keyring = Keyring(vault)
    value, caller = "22" + CLASSIC[2:], Caller(account_id=OWN, key_id="c" * 24, kind=KeyKind.SERVICE)
    keyring.put(caller.key_id, {vault.digest(value): Standing(caller=caller)}, 0)
    redactor = Redactor(Scanner(keyring.find_holders), lambda _caller, _source: None)
    lines = rb'[{"line":"one"},{"line":"\u00%s"},{"line":"two"}]' % value.encode()
    redacted = json.loads(redactor.redact_lines(lines, Source(account_id=OWN)))
    assert [line["line"] for line in redacted] == ["one", f"[redacted key {caller.key_id}]", "two"]


def test_values_as_names_and_twice_in_a_line():
    sent = body({"line": f"{CLASSIC} {NATIVE} {CLASSIC}", "meta": {CLASSIC: {NATIVE: 1}}})
    (line,) = json.loads(DOOR.redact(sent))
    assert line["line"] == f"{mark(CLASSIC)} {mark(NATIVE)} {mark(CLASSIC)}"
    assert line["meta"] == {mark(CLASSIC): {mark(NATIVE): 1}}
    assert len(DOOR.found) == 5


LINES_FROM = {
    "its own app and host": ({"app": "api", "hostname": "h1"}, ("api", "h1")),
    "the agent's names": ({"f": "/var/log/nginx.log", "host": "h2"}, ("nginx.log", "h2")),
    "those of the batch": ({}, ("batch-app", "batch-host")),
    "strange members": ({"app": 5, "hostname": ["x"]}, ("batch-app", "batch-host")),
    "a value as its app": ({"app": f"x-{CLASSIC}"}, (f"x-{mark(CLASSIC)}", "batch-host")),
}


@pytest.mark.parametrize(("members", "where"), LINES_FROM.values(), ids=LINES_FROM)
def test_the_source_of_a_line_is_told(members, where):
    DOOR.redact(body({"line": "no"}, {"line": NATIVE} | members), app="batch-app", host="batch-host")
    source = next(source for key_id, source in DOOR.found if key_id == IDS[NATIVE])
    assert (source.app, source.host) == where


def test_lines_that_are_no_objects_are_redacted_too():
    assert json.loads(DOOR.redact(body(CLASSIC, [NATIVE], 5))) == [mark(CLASSIC), [mark(NATIVE)], 5]


def test_texts_beside_the_lines():
    assert [*DOOR.redact_texts("web-1", f"app-{CLASSIC}", percent(NATIVE))] == [
        "web-1",
        f"app-{mark(CLASSIC)}",
        mark(NATIVE),
    ]
    assert len(DOOR.found) == 2
    texts = ("web-1", "é\nü")
    assert DOOR.redact_texts(*texts) == texts


def test_messages_of_the_server_name_the_key():
    assert redact_message(DOOR.scanner, f"failed: {FOREIGN}") == f"failed: {mark(FOREIGN)}"


HOSTILE = {
    "backslashes": rb"\u0061" + b"\\\\" * 1_000_000,
    "percent signs of percent signs": b"%61%" + b"25" * 1_000_000,
    "Basic and blanks": b"Basic " * 300_000,
    "Basic and backslashes": b"Basic" + b"\\\\" * 1_000_000,
    "escapes": b"%61" * 600_000,
    "a run of digits": b"a" * 2_000_000,
    "beginnings of native values": b"lbi_" * 500_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_takes_long(text):
    """Seconds would mean that time grows with the square of the length: these would take hours."""
    lines = b'[{"line":"%s"}]' % text
    began = time.thread_time()
    assert DOOR.redact(lines) is lines
    assert time.thread_time() - began < 10


def test_a_text_full_of_escapes_is_looked_at_in_parts():
    """None of the values is lost where two parts meet."""
    count = 3_000
    text = " ".join([percent("no value here")] * 5 + [percent(CLASSIC)])
    (line,) = json.loads(DOOR.redact(body({"line": " ".join([text] * count)})))
    assert len(DOOR.found) == count
    assert line["line"].count(mark(CLASSIC)) == count


def test_texts_that_are_no_unicode_are_redacted_all_the_same():
    """What a sender writes as half of a pair of surrogates is no UTF-8, and no reason to fail."""
    assert [*DOOR.redact_texts("\ud800", f"\udfff{CLASSIC}")] == ["\ud800", f"?{mark(CLASSIC)}"]
    assert DOOR.found == [(IDS[CLASSIC], Source(account_id=OWN))]
    assert redact_message(DOOR.scanner, f"\ud800 {CLASSIC}") == f"? {mark(CLASSIC)}"
    assert hide_values(DOOR.scanner, f"\ud800 {CLASSIC}") == f"? {FOREIGN_MARK.decode()}"


def test_what_is_kept_beside_lines_names_no_key():
    hidden = FOREIGN_MARK.decode()
    assert hide_values(DOOR.scanner, f"curl/8 {CLASSIC}é{FOREIGN}") == f"curl/8 {hidden}é{hidden}"
    text = "curl/8 é"
    assert hide_values(DOOR.scanner, text) is text
    assert DOOR.redact_texts(text, CLASSIC)[0] is text


def test_texts_are_looked_at_apart_from_each_other():
    """A value that begins in one text and ends in the next is none."""
    texts = (CLASSIC[:16], CLASSIC[16:])
    assert [*DOOR.redact_texts(*texts)] == [*texts]
