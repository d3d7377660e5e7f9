"""`logboom keys set`, and the same options of `create`, against a stand-in of the wire."""

import json
import time

import pytest
from cli_wire import VALUE

from logboom.cli.main import run

KEY = {
    "id": "64b1f0c2a9d3e87f5c012345",
    "type": "ingestion",
    "name": "web",
    "note": "",
    "labels": {},
    "owner": "",
    "mask": "…cdef",
    "format": "classic",
    "reveal": "always",
    "imported": False,
    "created_by": None,
    "created_ms": 1_700_000_000_000,
    "state": "active",
    "refusal": None,
    "generation": 1,
    "retiring_until_ms": None,
    "held_until_ms": None,
    "not_before_ms": None,
    "expires_at_ms": None,
    "deleted_ms": None,
}
OPTIONS = [
    pytest.param(["--note", "", "--owner", "ops"], {"note": "", "owner": "ops"}, id="texts"),
    pytest.param(["--label", "team=edge", "--label", "x"], {"labels": {"team": "edge", "x": ""}}, id="labels"),
    pytest.param(["--scopes", "export-only"], {"scopes": "export-only"}, id="preset"),
    pytest.param(["--scopes", "keys:read,keys:manage"], {"scopes": ["keys:read", "keys:manage"]}, id="scopes"),
    pytest.param(
        ["--allow", "192.0.2.0/24", "--allow", "2001:db8::/32", "--deny", "192.0.2.9", "--dry-run"],
        {"network": {"allow": ["192.0.2.0/24", "2001:db8::/32"], "deny": ["192.0.2.9"], "dry_run": True}},
        id="network",
    ),
    pytest.param(
        ["--requests-per-s", "5", "--lines-per-day", "6", "--bytes-per-day", "7", "--on-excess", "refuse"],
        {"limits": {"requests_per_s": 5, "lines_per_day": 6, "bytes_per_day": 7, "on_excess": "refuse"}},
        id="limits",
    ),
    pytest.param(
        ["--app", "web", "--app", "edge-*", "--host", "web-*", "--tag", "prod"],
        {"narrowing": {"apps": ["web", "edge-*"], "hosts": ["web-*"], "tags": ["prod"]}},
        id="narrowing",
    ),
    pytest.param(
        ["--expires", "2030-01-01T00:00:00Z", "--not-before", "1800000000"],
        {"expires_at_ms": 1_893_456_000_000, "not_before_ms": 1_800_000_000_000},
        id="times",
    ),
]


@pytest.mark.parametrize(("options", "body"), OPTIONS)
def test_only_what_is_named_is_changed(wire, capsys, options, body):
    wire.answers = [(200, KEY)]
    assert run(["keys", "set", KEY["id"], *options]) == 0
    assert capsys.readouterr().err == f"Changed the ingestion key 'web' ({KEY['id']}).\n"
    assert wire.requests[0][:2] == ("PATCH", f"/api/keys/{KEY['id']}")
    assert json.loads(wire.requests[0][4]) == body


@pytest.mark.parametrize(("options", "body"), OPTIONS)
def test_a_key_is_created_with_its_terms(wire, options, body):
    wire.answers = [(200, KEY | {"value": VALUE})]
    assert run(["keys", "create", "--type", "ingestion", *options, "--quiet"]) == 0
    assert json.loads(wire.requests[0][4]) == {"type": "ingestion", **body}


def test_a_span_lies_ahead(wire):
    wire.answers = [(200, KEY)]
    assert run(["keys", "set", KEY["id"], "--expires", "90d", "--json"]) == 0
    expires_ms = json.loads(wire.requests[0][4])["expires_at_ms"]
    assert abs(expires_ms - time.time() * 1000 - 90 * 86_400_000) < 60_000


def test_what_is_cleared_becomes_nothing(wire):
    wire.answers = [(200, KEY)]
    names = ["expires", "not-before", "labels", "scopes", "network", "limits", "narrowing"]
    options = [word for name in names for word in ("--clear", name)]
    assert run(["keys", "set", KEY["id"], *options]) == 0
    assert json.loads(wire.requests[0][4]) == {
        "expires_at_ms": None,
        "not_before_ms": None,
        "labels": {},
        "scopes": None,
        "network": None,
        "limits": None,
        "narrowing": None,
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param([], "Name at least one thing", id="nothing"),
        pytest.param(["--clear", "limits", "--lines-per-day", "5"], "limits: either set or cleared", id="both"),
        pytest.param(["--expires", "soon"], "--expires soon: not a time", id="no time"),
        pytest.param(["--clear", "everything"], "everything", id="unknown"),
    ],
)
def test_wrong_usage_asks_nothing(wire, capsys, options, said):
    assert run(["keys", "set", KEY["id"], *options]) == 2
    assert said in capsys.readouterr().err
    assert wire.requests == []
