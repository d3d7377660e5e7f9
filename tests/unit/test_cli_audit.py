"""The commands of the audit log against a stand-in of the wire: what they ask, what they print, and how they end."""

import json

import pytest
from cli_wire import OURS

from logboom.cli.main import run

KEY_ID = "64b1f0c2a9d3e87f5c012345"
HEAD = {"seq": 17, "hash": "ab" * 32}


def event(seq, **members):
    usual = {
        "seq": seq,
        "at_ms": 1_700_000_000_000 + seq,
        "action": "key.renamed",
        "actor": {"kind": "service_key", "id": "d" * 24, "name": ""},
        "door": "api",
        "address": "192.0.2.1",
        "user_agent": "curl/8",
        "request_id": "r" * 16,
        "subject": {"kind": "key", "id": KEY_ID},
        "before": {"name": "web", "state": "active"},
        "after": {"name": "edge", "state": "active"},
        "hash": "ab" * 32,
    }
    return usual | members


def page(*events, following=None):
    return {"events": list(events), "next": following}


def verification(**members):
    return {"ok": True, "rows": 17, "first_bad_seq": None, "since_ms": 1_700_000_000_000, "head": HEAD} | members


def test_the_newest_events_are_listed_oldest_first(wire, capsys):
    refused = event(7, before=None, actor={"kind": "system", "id": None, "name": ""}, address="", door="server")
    wire.answers = [(200, page(event(9), refused))]
    assert run(["audit", "list"]) == 0
    rows = [row.split() for row in capsys.readouterr().out.splitlines()]
    assert rows[1][0] == "7"
    assert rows[1][2:] == ["key.renamed", KEY_ID, "system", "server", "-", "-"]
    assert rows[2][2:] == ["key.renamed", KEY_ID, "d" * 24, "api", "192.0.2.1", "name"]
    method, path, query, headers, _ = wire.requests[0]
    assert (method, path, query, headers["servicekey"]) == ("GET", "/api/audit", {"prefer": ["tail"]}, OURS)


def test_the_filters_are_asked_for(wire):
    wire.answers = [(200, page())]
    filters = ["--action", "key.held", "--action", "key.deleted", "--key", KEY_ID, "--from", "1700000000", "--to"]
    assert run(["audit", "list", *filters, "1700000000500"]) == 0
    assert wire.requests[0][2] == {
        "action": ["key.held,key.deleted"],
        "key": [KEY_ID],
        "from": ["1700000000000"],
        "to": ["1700000000500"],
        "prefer": ["tail"],
    }


def test_a_list_ends_at_its_limit_over_pages(wire, capsys):
    wire.answers = [(200, page(event(9), event(8), following=8)), (200, page(event(7), event(6), following=6))]
    assert run(["audit", "list", "--limit", "3", "--json"]) == 0
    assert [found["seq"] for found in json.loads(capsys.readouterr().out)] == [7, 8, 9]
    assert wire.requests[1][2]["after"] == ["8"]
    assert len(wire.requests) == 2


def test_a_keys_events_are_asked_of_the_key(wire, capsys):
    wire.answers = [(200, page(event(9))), (404, {"error": "Not found"})]
    assert run(["keys", "events", KEY_ID, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [event(9)]
    assert wire.requests[0][1] == f"/api/keys/{KEY_ID}/events"
    assert run(["keys", "events", KEY_ID]) == 1
    assert "No key has this id" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [["audit", "list", "--key"], ["audit", "export", "--key"], ["keys", "events"]], ids=" ".join
)
def test_a_value_in_the_place_of_an_id_is_not_sent(wire, capsys, command):
    assert run([*command, OURS]) == 1
    assert (wire.requests, OURS in "".join(capsys.readouterr())) == ([], False)


def test_control_characters_in_an_event_do_not_steer_the_terminal(wire, capsys):
    wire.answers = [(200, page(event(9, address="\x1b[2J")))]
    assert run(["audit", "list"]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_all_events_are_exported_oldest_first(wire, tmp_path, capsys):
    wire.answers = [(200, page(event(1), event(2), following=2)), (200, page(event(3)))]
    assert run(["audit", "export", "--output", str(tmp_path / "audit.jsonl")]) == 0
    assert [json.loads(row) for row in (tmp_path / "audit.jsonl").read_text().splitlines()] == [
        event(1),
        event(2),
        event(3),
    ]
    assert [request[2] for request in wire.requests] == [{"prefer": ["head"]}, {"prefer": ["head"], "after": ["2"]}]
    assert "exported 3 events" in capsys.readouterr().err


def test_an_export_that_does_not_advance_is_no_answer(wire, capsys):
    wire.answers = [(200, page(event(1), following=1))] * 2
    assert run(["audit", "export"]) == 1
    assert "does not advance" in capsys.readouterr().err


def test_a_whole_chain_is_said_to_be_with_a_witness_for_later(wire, capsys):
    wire.answers = [(200, verification())]
    assert run(["audit", "verify"]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"--seq 17 --hash {'ab' * 32}\n"
    assert "17 events since 2023-11-1" in printed.err
    assert wire.requests[0][1:3] == ("/api/audit/verify", {})


@pytest.mark.parametrize("as_json", [False, True])
def test_a_broken_chain_ends_with_1(wire, capsys, *, as_json):
    broken = verification(ok=False, rows=4, first_bad_seq=5)
    wire.answers = [(200, broken)]
    witness = ["--seq", "17", "--hash", "ab" * 32]
    assert run(["audit", "verify", *witness, *(["--json"] if as_json else [])]) == 1
    assert wire.requests[0][2] == {"seq": ["17"], "hash": ["ab" * 32]}
    printed = capsys.readouterr()
    if as_json:
        assert json.loads(printed.out) == broken
    else:
        assert "broken at number 5; 4 events before it" in printed.err
