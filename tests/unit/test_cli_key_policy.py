"""`logboom keys policy` and `set-policy` against a stand-in of the wire."""

import json

import pytest

from logboom.cli.main import run

PATH = "/api/keys/policy"
POLICY = {
    "format": "native",
    "reveal": "always",
    "on_leak": {"ingestion": "warn", "service": "rotate"},
    "overlap_idle": None,
    "lifetime_max": "90d",
    "audit_lines": True,
    "changed_ms": 1_700_000_000_000,
}


def test_the_policy_is_shown(wire, capsys):
    wire.answers = [(200, POLICY)]
    assert run(["keys", "policy"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "format        native",
        "reveal        always",
        "on leak       ingestion warn, service rotate",
        "overlap idle  none",
        "lifetime max  90d",
        "audit lines   yes",
    ]
    assert wire.requests[0][:2] == ("GET", PATH)


@pytest.mark.parametrize(
    ("options", "body"),
    [
        pytest.param(
            ["--format", "native", "--reveal-mode", "never"], {"format": "native", "reveal": "never"}, id="new"
        ),
        pytest.param(["--on-leak-service", "rotate"], {"on_leak": {"service": "rotate"}}, id="leak"),
        pytest.param(
            ["--lifetime-max", "90d", "--overlap-idle", "none"],
            {"lifetime_max": "90d", "overlap_idle": None},
            id="spans",
        ),
        pytest.param(["--no-audit-lines"], {"audit_lines": False}, id="no audit lines"),
    ],
)
def test_only_what_is_named_is_changed(wire, capsys, options, body):
    wire.answers = [(200, POLICY)]
    assert run(["keys", "set-policy", *options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == POLICY
    assert wire.requests[0][:2] == ("PATCH", PATH)
    assert json.loads(wire.requests[0][4]) == body


def test_a_change_of_nothing_is_wrong_usage(wire, capsys):
    assert run(["keys", "set-policy"]) == 2
    assert "Name at least one thing" in capsys.readouterr().err
    assert wire.requests == []
