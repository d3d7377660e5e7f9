"""The server's own messages show no credential: not in a log, not in a crash, not before there is a keyring."""

import json
import secrets
import subprocess
import sys

import pytest

from logboom.keys.key import Caller, KeyKind
from logboom.keys.messages import LOST, MessageRedactor
from logboom.keys.scan import Scanner

UNKNOWN = secrets.token_hex(16)

# What may stand in a message, with VALUE for the value.
CREDENTIALS = {
    "query": ("GET /logs/ingest?hostname=h&apikey=VALUE&now=1", "GET /logs/ingest?hostname=h&apikey=[redacted]&now=1"),
    "encoded query": ("x=%3Fservicekey%3DVALUE%26a", "x=%3Fservicekey%3D[redacted]"),
    "header": ("ServiceKey: VALUE", "ServiceKey: [redacted]"),
    "scheme": ("Authorization: Bearer VALUE", "Authorization: Bearer [redacted]"),
    "Basic": ('{"authorization": "Basic VALUE=="}', '{"authorization": "Basic [redacted]"}'),
    "JSON": (json.dumps({"event": "x", "apikey": "VALUE"}), json.dumps({"event": "x", "apikey": "[redacted]"})),
    "JSON in JSON": (r'{"e": "{\"apikey\": \"VALUE\"}"}', r'{"e": "{\"apikey\": \"[redacted]\"}"}'),
    "Python": ("{'ingestion_key': 'VALUE'}", "{'ingestion_key': '[redacted]'}"),
    "headers in a message": ("""[["b'apikey'", "b'VALUE'"]]""", """[["b'apikey'", "b'[redacted]'"]]"""),
    "header list": ("[(b'apikey', b'VALUE'), (b'x', b'y')]", "[(b'apikey', b'[redacted]'), (b'x', b'y')]"),
    "environment": ("LOGBOOM_SERVICE_KEY=VALUE", "LOGBOOM_SERVICE_KEY=[redacted]"),
}
HARMLESS = (
    '{"apikey": null, "event": "no apikey was given, and no servicekey"}',
    '{"key_id": "0123456789abcdef01234567", "event": "key.leaked", "generation": 1}',
    "Authorization is needed; see the documentation about authorization",
    "",
)


@pytest.mark.parametrize(("text", "left"), CREDENTIALS.values(), ids=CREDENTIALS)
@pytest.mark.parametrize("value", [UNKNOWN, "a_value_of_any_shape", "x" * 80])
def test_what_stands_where_a_credential_does_is_redacted(text, left, value):
    assert MessageRedactor().redact(text.replace("VALUE", value)) == left


@pytest.mark.parametrize("text", HARMLESS)
def test_what_names_credentials_only_stays(text):
    assert MessageRedactor().redact(text) == text


def test_known_values_are_redacted_wherever_they_stand():
    redactor = MessageRedactor()
    caller = Caller(account_id="a" * 10, key_id="b" * 24, kind=KeyKind.SERVICE)
    redactor.scanner = Scanner(lambda values: {value: caller for value in values if value == UNKNOWN.encode()})
    assert redactor.redact(f"KeyError: '{UNKNOWN}'") == f"KeyError: '[redacted key {caller.key_id}]'"


def test_what_cannot_be_made_safe_is_not_shown():
    def fail(_values):
        raise ZeroDivisionError

    redactor = MessageRedactor()
    redactor.scanner = Scanner(fail)
    assert redactor.redact(f"KeyError: '{UNKNOWN}'") == LOST


CRASHES = {
    "an exception that nobody catches": "raise ValueError('apikey=VALUE')",
    "a thread": "thread = threading.Thread(target=lambda: 1 / int('apikey=VALUE')); thread.start(); thread.join()",
    "a task": "asyncio.run(leave())",
    "an object that cannot end": "Ends()",
    "a warning": "warnings.warn('apikey=VALUE')",
    "whoever writes to standard error": "sys.stderr.write('apikey=VALUE\\n')",
    "a library's log": "logging.getLogger('library').error('apikey=%s', 'VALUE')",
    "our own log": "structlog.get_logger('ours').error('failed', headers=[(b'apikey', b'VALUE')])",
}
PROGRAM = """
import asyncio, logging, structlog, sys, threading, warnings
from logboom.cli.serve import configure_log

class Ends:
    def __del__(self):
        raise ValueError("apikey=VALUE")

async def leave():
    asyncio.get_running_loop().call_soon(int, "apikey=VALUE")
    await asyncio.sleep(0)

configure_log("info")
"""


@pytest.mark.parametrize("crash", CRASHES.values(), ids=CRASHES)
def test_no_way_to_standard_error_shows_a_credential(crash):
    program = (PROGRAM + crash).replace("VALUE", UNKNOWN)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    said = done.stderr.decode()
    assert "apikey=[redacted]" in said or "b'[redacted]'" in said
    assert UNKNOWN not in said
    if "sys.stderr" not in crash:
        assert all(json.loads(row)["event"] for row in said.splitlines())
