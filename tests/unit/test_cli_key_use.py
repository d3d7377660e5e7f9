"""The commands about the use of keys, against a stand-in of the wire."""

import json
import re

import pytest
from test_cli_keys import KEY, KEY_PATH, KEYS_PATH

from logboom.cli.main import run

USED_MS = 1_750_000_000_000
COUNT = {"requests": 12, "refusals": 1, "lines": 480, "bytes": 9_000}
WHO = {
    "generation": 1,
    "address": "10.0.0.7",
    "agent": "python/1.18.12",
    "host": "web\x1b-1",
    "carrier": "header",
    "dialect": "logs",
}
USER = WHO | {"first_ms": 1, "last_ms": USED_MS, "requests": 12, "refusals": 1}
USAGE = {
    "id": KEY["id"],
    "accuracy_s": 10,
    "from_ms": 0,
    "to_ms": USED_MS,
    "last_used": {"at_ms": USED_MS} | WHO,
    "total": COUNT,
    "generations": [{"generation": 1, "state": "retiring", "last_used_ms": USED_MS, "hosts": 2} | COUNT],
    "hours": [{"hour_ms": 0, "generation": 1} | COUNT],
    "users": [USER],
}
EFFECT = {"outcome": "lost", "text": "drops its lines"}
TEXT = "1 host with logdna (Python) 1.18.12: drops its lines (403)."
IMPACT = {
    "id": KEY["id"],
    "name": "web",
    "type": "ingestion",
    "state": "active",
    "own": False,
    "at_ms": USED_MS,
    "accuracy_s": 10,
    "complete": True,
    "refused_with": 403,
    "last_used_ms": USED_MS,
    "last_minute": {"users": 1, "hosts": 1},
    "last_day": {"users": 1, "hosts": 1} | COUNT,
    "advice": "rotate",
    "text": "1 host used it in the last 24 hours.",
    "clients": [
        {
            "family": "python",
            "title": "logdna (Python)",
            "versions": ["1.18.12"],
            "users": 1,
            "hosts": 1,
            "text": TEXT,
            "on": dict.fromkeys(("401", "403", "429", "504"), EFFECT),
        }
    ],
    "users": [USER | {"family": "python", "in_last_minute": True, "requests_per_minute": 1, "lines_per_minute": None}],
}
FINDING = {
    "id": KEY["id"],
    "name": "web",
    "type": "ingestion",
    "concern": "idle",
    "since_ms": USED_MS,
    "advice": "Disable it.",
}


def test_the_use_of_a_key_is_shown(wire, capsys):
    wire.answers = [(200, USAGE)]
    assert run(["keys", "usage", KEY["id"], "--from", "1700000000", "--to", "1700003600"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"\n1 +retiring +2025-06-1\S+ +2 +12 +1 +480 +9000 *\n", shown)
    assert re.search(r"\nweb\\x1b-1 +10.0.0.7 +python/1.18.12 +header +logs +1 +12 +1 +2025-06-1\S+\n", shown)
    asked = {"from": ["1700000000000"], "to": ["1700003600000"]}
    assert wire.requests[0][:3] == ("GET", f"{KEY_PATH}/usage", asked)


def test_the_impact_of_a_removal_is_shown(wire, capsys):
    wire.answers = [(200, IMPACT | {"complete": False, "own": True})]
    assert run(["keys", "impact", KEY["id"]]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[:2] == [IMPACT["text"], TEXT]
    assert re.fullmatch(r"In the last minute: 1 host. The key was last used 2025-06-1\S+", rows[2])
    assert rows[3:6] == ["There may be more users than are known here.", "It is the key of this request.", ""]
    assert wire.requests[0][:3] == ("GET", f"{KEY_PATH}/impact", {})


def test_a_key_that_nobody_used_has_no_users_to_show(wire, capsys):
    unused = {"clients": [], "users": [], "last_used_ms": None, "last_minute": {"users": 0, "hosts": 0}}
    wire.answers = [(200, IMPACT | unused)]
    assert run(["keys", "impact", KEY["id"]]) == 0
    said = [IMPACT["text"], "In the last minute: 0 hosts. The key was never used."]
    assert capsys.readouterr().out.splitlines() == said


def test_keys_that_want_looking_after_are_listed(wire, capsys):
    wire.answers = [(200, {"findings": [FINDING]})]
    assert run(["keys", "hygiene"]) == 0
    assert re.search(
        r"64b1f0c2a9d3e87f5c012345 +ingestion +web +idle +2025-06-1\S+ +Disable it.", capsys.readouterr().out
    )
    assert wire.requests[0][:2] == ("GET", f"{KEYS_PATH}/hygiene")


@pytest.mark.parametrize(
    ("arguments", "answer", "shown"),
    [
        (["usage", KEY["id"]], USAGE, USAGE),
        (["impact", KEY["id"]], IMPACT, IMPACT),
        (["hygiene"], {"findings": [FINDING]}, [FINDING]),
    ],
)
def test_everything_is_shown_as_json(wire, capsys, arguments, answer, shown):
    wire.answers = [(200, answer)]
    assert run(["keys", *arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == shown


class Terminal:
    """A person at a terminal who types *text*."""

    def __init__(self, text):
        self.text = text

    def isatty(self):
        return True

    def readline(self):
        return self.text


def test_a_key_whose_use_may_not_be_seen_can_be_deleted(wire, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    refused = (403, {"error": "not allowed", "code": "Forbidden", "status": "error"})
    wire.answers = [(200, KEY), refused, (200, {"message": "gone", "deleted": True})]
    assert run(["keys", "delete", KEY["id"]]) == 0
    assert "Who uses it cannot be told" in capsys.readouterr().err


@pytest.mark.parametrize(("typed", "code", "requests"), [("n\n", 130, 2), ("", 130, 2), ("y\n", 0, 3)])
def test_before_a_deletion_its_impact_is_shown(wire, monkeypatch, capsys, *, typed, code, requests):
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    wire.answers = [(200, KEY), (200, IMPACT), (200, {"message": "gone", "deleted": True})]
    assert run(["keys", "delete", KEY["id"]]) == code
    said = capsys.readouterr().err
    assert said.index(TEXT) < said.index("Delete the ingestion key 'web'")
    assert len(wire.requests) == requests
