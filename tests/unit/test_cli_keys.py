"""The commands of keys against a stand-in of the wire: what they ask, what they print, and how they end."""

import json
import re

import pytest
from cli_wire import OURS, VALUE

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
    "generation": 3,
    "retiring_until_ms": None,
    "held_until_ms": None,
    "not_before_ms": None,
    "expires_at_ms": None,
    "deleted_ms": None,
    "expiry_warning": None,
    "last_used_ms": None,
    "scopes": None,
    "narrowing": None,
    "network": None,
    "limits": None,
}
WITH_VALUE = KEY | {"value": VALUE}
KEYS_PATH = "/api/keys"
KEY_PATH = f"{KEYS_PATH}/{KEY['id']}"


def page(*keys):
    return {"keys": list(keys), "after": None}


@pytest.mark.parametrize(
    ("members", "shown"),
    [
        pytest.param({}, r" active +3 +- +2023-11-\S+ +- +…cdef\n", id="active"),
        pytest.param({"last_used_ms": 1_750_000_000_000}, r" +- +2023-11-\S+ +2025-06-1\S+ +…cdef\n", id="used"),
        pytest.param({"state": "held", "refusal": "held"}, r" held +3 +- ", id="held"),
        pytest.param(
            {"refusal": "expired", "expires_at_ms": 1_600_000_000_000}, r" expired +3 +2020-09-1\S+ ", id="expired"
        ),
        pytest.param({"mask": None, "reveal": "never"}, r" … *\n", id="value not kept"),
    ],
)
def test_keys_are_listed(wire, capsys, members, shown):
    wire.answers = [(200, page(KEY | members))]
    assert run(["keys", "list", "--type", "ingestion"]) == 0
    assert re.search(r"64b1f0c2a9d3e87f5c012345 +ingestion +web .*" + shown, capsys.readouterr().out)
    assert wire.requests[0][:3] == ("GET", KEYS_PATH, {"type": ["ingestion"]})
    assert wire.requests[0][3]["servicekey"] == OURS


def test_keys_are_listed_with_the_values_that_may_be_shown(wire, capsys):
    wire.answers = [(200, page(KEY, KEY | {"reveal": "step_up"})), (200, WITH_VALUE)]
    assert run(["keys", "list", "--reveal"]) == 0
    assert [row.split()[-1] for row in capsys.readouterr().out.splitlines()] == ["VALUE", VALUE, "…cdef"]
    assert wire.requests[1][:3] == ("GET", KEY_PATH, {"reveal": ["1"]})


@pytest.mark.parametrize(
    ("arguments", "resource"),
    [
        pytest.param(["keys", "list", "--json"], [KEY], id="list"),
        pytest.param(["keys", "list", "--json", "--reveal"], [WITH_VALUE], id="list with values"),
    ],
)
def test_keys_are_listed_as_json(wire, capsys, arguments, resource):
    wire.answers = [(200, page(KEY)), (200, WITH_VALUE)]
    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out) == resource


def test_a_list_follows_its_pages(wire, capsys):
    wire.answers = [(200, page(KEY) | {"after": KEY["id"]}), (200, page(KEY))]
    assert run(["keys", "list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert wire.requests[1][2] == {"after": [KEY["id"]]}


def test_a_created_key_is_printed_once_with_where_to_see_it_again(wire, capsys):
    wire.answers = [(200, WITH_VALUE)]
    assert run(["keys", "create", "--type", "ingestion", "--name", "web"]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{VALUE}\n"
    assert f"logboom keys show {KEY['id']} --reveal" in printed.err
    assert VALUE not in printed.err
    assert wire.requests[0][:2] == ("POST", KEYS_PATH)
    assert json.loads(wire.requests[0][4]) == {"type": "ingestion", "name": "web"}


def test_a_quiet_creation_prints_the_value_alone(wire, capsys):
    wire.answers = [(200, WITH_VALUE)]
    assert run(["keys", "create", "--type", "service", "--quiet"]) == 0
    assert tuple(capsys.readouterr()) == (f"{VALUE}\n", "")
    assert json.loads(wire.requests[0][4]) == {"type": "service"}


def test_a_value_that_is_never_shown_again_is_said_to_be(wire, capsys):
    wire.answers = [(200, WITH_VALUE | {"reveal": "never"})]
    assert run(["keys", "create", "--type", "service", "--format", "native", "--reveal-mode", "never"]) == 0
    assert "it is not shown again" in capsys.readouterr().err
    assert json.loads(wire.requests[0][4]) == {"type": "service", "format": "native", "reveal": "never"}


@pytest.mark.parametrize(
    ("arguments", "shown", "hidden"),
    [
        pytest.param(["keys", "show", KEY["id"]], "…cdef", VALUE, id="masked"),
        pytest.param(["keys", "show", KEY["id"], "--reveal"], VALUE, "web", id="the value alone"),
    ],
)
def test_one_key_is_shown(wire, capsys, arguments, shown, hidden):
    wire.answers = [(200, WITH_VALUE if "--reveal" in arguments else KEY)]
    assert run(arguments) == 0
    out = capsys.readouterr().out
    assert shown in out
    assert hidden not in out


def test_a_key_is_renamed(wire, capsys):
    wire.answers = [(200, KEY | {"name": "edge fleet"})]
    assert run(["keys", "rename", KEY["id"], "edge fleet"]) == 0
    assert wire.requests[0][:2] == ("PATCH", KEY_PATH)
    assert json.loads(wire.requests[0][4]) == {"name": "edge fleet"}
    assert "'edge fleet'" in capsys.readouterr().err


def test_a_key_is_deleted_when_told_so(wire, capsys):
    wire.answers = [(200, KEY), (200, {"message": "gone", "deleted": True})]
    assert run(["keys", "delete", KEY["id"], "--yes"]) == 0
    assert [request[:2] for request in wire.requests] == [("GET", KEY_PATH), ("DELETE", KEY_PATH)]
    assert "Deleted the ingestion key 'web' (…cdef)." in capsys.readouterr().err


def test_without_a_terminal_a_deletion_must_be_confirmed_by_flag(wire, stdin, capsys):
    stdin(b"y\n")
    assert run(["keys", "delete", KEY["id"]]) == 2
    assert wire.requests == []
    assert "--yes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "body", "members", "said"),
    [
        pytest.param(["hold"], {"for": "15m"}, {"held_until_ms": 1_700_000_900_000}, "on hold until 2023-", id="hold"),
        pytest.param(["hold", "--for", "1h"], {"for": "1h"}, {}, "is on hold", id="hold for an hour"),
        pytest.param(["release"], {}, {}, "is active again", id="release"),
        pytest.param(["disable"], {}, {}, "is refused until it is enabled", id="disable"),
        pytest.param(["enable"], {}, {}, "is active again", id="enable"),
        pytest.param(["end-overlap"], {}, {}, "has one value only", id="end-overlap"),
    ],
)
def test_a_key_is_changed(wire, capsys, *, arguments, body, members, said):
    wire.answers = [(200, KEY | members)] * 2
    assert run(["keys", arguments[0], KEY["id"], *arguments[1:]]) == 0
    assert wire.requests[0][:2] == ("POST", f"{KEY_PATH}/{arguments[0]}")
    assert json.loads(wire.requests[0][4]) == body
    printed = capsys.readouterr()
    assert (printed.out, said in printed.err) == ("", True)
    assert run(["keys", arguments[0], KEY["id"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == KEY | members


@pytest.mark.parametrize(
    ("arguments", "overlap", "until_ms", "said"),
    [
        pytest.param([], "24h", 1_700_086_400_000, "its old value goes on until 2023-11-1", id="a day"),
        pytest.param(["--overlap", "0"], "0", None, "its old value was refused at once", id="a leak"),
    ],
)
def test_a_rotated_keys_new_value_is_printed(wire, capsys, *, arguments, overlap, until_ms, said):
    wire.answers = [(200, WITH_VALUE | {"retiring_until_ms": until_ms})]
    assert run(["keys", "rotate", KEY["id"], *arguments]) == 0
    assert wire.requests[0][:2] == ("POST", f"{KEY_PATH}/rotate")
    assert json.loads(wire.requests[0][4]) == {"overlap": overlap}
    printed = capsys.readouterr()
    assert (printed.out, said in printed.err, VALUE in printed.err) == (f"{VALUE}\n", True, False)


def test_a_key_is_imported_from_a_file_or_stdin(wire, stdin, tmp_path, capsys):
    (tmp_path / "old").write_text(f"{VALUE}\n")
    stdin(f"{VALUE}\n".encode())
    wire.answers = [(200, KEY | {"imported": True})] * 2
    assert run(["keys", "import", "--type", "ingestion", "--name", "web", "--value-file", str(tmp_path / "old")]) == 0
    assert run(["keys", "import", "--type", "ingestion"]) == 0
    bodies = [json.loads(request[4]) for request in wire.requests]
    assert bodies == [{"type": "ingestion", "value": VALUE, "name": "web"}, {"type": "ingestion", "value": VALUE}]
    assert VALUE not in "".join(capsys.readouterr())


def test_stdin_cannot_be_service_key_and_value(wire):
    assert run(["keys", "import", "--type", "ingestion", "--key-file", "-"]) == 2
    assert run(["keys", "import", "--type", "ingestion", "--value-file", "absent"]) == 2
    assert wire.requests == []


@pytest.mark.parametrize("key_id", ["..", "a/b", "", VALUE])
def test_what_is_no_id_is_not_asked_for_nor_repeated(wire, capsys, key_id):
    assert run(["keys", "show", key_id]) == 1
    assert wire.requests == []
    assert capsys.readouterr().err == "logboom: No key has this id. `logboom keys list` shows the ids.\n"


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        pytest.param("export-only", "export-only", id="preset"),
        pytest.param("keys:read,keys:manage", ["keys:read", "keys:manage"], id="names"),
    ],
)
def test_a_key_is_created_with_scopes(wire, text, wish):
    wire.answers = [(200, WITH_VALUE)]
    assert run(["keys", "create", "--type", "service", "--scopes", text, "--quiet"]) == 0
    assert json.loads(wire.requests[0][4]) == {"type": "service", "scopes": wish}


def test_what_goes_back_to_a_deleted_key_is_told(wire, capsys):
    wire.answers = [(200, KEY), (200, {"deleted": True, "children": ["a" * 24]})]
    assert run(["keys", "delete", KEY["id"], "--yes"]) == 0
    assert f"still alive: {'a' * 24}" in capsys.readouterr().err
    assert wire.requests[1][:3] == ("DELETE", KEY_PATH, {})


def test_what_goes_back_to_a_key_is_deleted_with_it(wire, capsys):
    wire.answers = [(200, KEY), (200, {"deleted": True, "deleted_children": ["b" * 24]})]
    assert run(["keys", "delete", KEY["id"], "--yes", "--children"]) == 0
    assert f"Deleted 1 keys that go back to it: {'b' * 24}" in capsys.readouterr().err
    assert wire.requests[1][:3] == ("DELETE", KEY_PATH, {"children": ["1"]})
