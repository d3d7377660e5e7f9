"""Every command against a stand-in of the wire: what it asks, what it prints, and how it ends.

The stand-in answers from a script and records what it was asked; the real server is met in the system tests.
"""

import json
import os
import re
import socket

import pytest
from cli_wire import OURS, VALUE

from logboom.cli.main import run
from logboom.client import ClientError, KeyMissing, LogboomClient, ServerFailed


def exported(number, text="text", **members):
    return {"_id": str(number), "_ts": 1_700_000_000_000 + number, "_host": "h", "_app": "a", "_line": text, **members}


# -- send -------------------------------------------------------------------------------------------------------------


def test_a_file_is_sent_line_by_line(wire, tmp_path, capsys):
    path = tmp_path / "app.log"
    path.write_bytes(b"one\r\n\n \ntwo \xff\nlast\n")
    wire.answers = [(200, {"status": "ok"})]
    assert run(["send", str(path), "--host", "h 1", "--level", "INFO", "--tag", "a", "--tag", "b"]) == 0
    method, address, query, headers, body = wire.requests[0]
    assert (method, address) == ("POST", "/logs/ingest")
    assert (query["hostname"], query["tags"]) == (["h 1"], ["a,b"])
    assert query["now"][0].isdigit()
    assert headers["apikey"] == OURS
    assert json.loads(body) == {
        "lines": [{"line": text, "app": "app.log", "level": "INFO"} for text in ("one", "two \ufffd", "last")]
    }
    assert capsys.readouterr().err == "sent 3 lines in 1 batch, skipped 2 empty lines\n"


def test_stdin_is_sent(wire, stdin, capsys):
    stdin(b"one\ntwo\n")
    wire.answers = [(200, {"status": "ok"})]
    assert run(["send", "-"]) == 0
    assert json.loads(wire.requests[0][4]) == {"lines": [{"line": "one"}, {"line": "two"}]}
    assert wire.requests[0][2]["hostname"] == [socket.gethostname()]
    assert capsys.readouterr().err == "sent 2 lines in 1 batch\n"


def test_nothing_to_send_asks_nothing(wire, stdin, capsys):
    stdin(b"\n")
    assert run(["send", "-"]) == 0
    assert wire.requests == []
    assert capsys.readouterr().err == "sent 0 lines in 0 batches, skipped 1 empty line\n"


def test_a_json_line_that_is_none_ends_it_after_the_lines_before(wire, stdin, capsys):
    stdin(b'{"line":"one","meta":{"n":1}}\nbroken\n{"line":"three"}\n')
    wire.answers = [(200, {"status": "ok"})]
    assert run(["send", "-", "--json-lines", "--app", "web"]) == 2
    assert json.loads(wire.requests[0][4]) == {"lines": [{"app": "web", "line": "one", "meta": {"n": 1}}]}
    printed = capsys.readouterr().err
    assert printed.startswith("sent 1 line in 1 batch\nlogboom: -, line 2: not a JSON object")


def test_the_key_can_come_from_a_file(wire, stdin, tmp_path):
    stdin(b"one\n")
    (tmp_path / "key").write_text(f"{VALUE}\n")
    wire.answers = [(200, {"status": "ok"})]
    assert run(["send", "-", "--key-file", str(tmp_path / "key")]) == 0
    assert wire.requests[0][3]["apikey"] == VALUE


def test_the_key_can_come_from_stdin(wire, stdin):
    stdin(f"{VALUE}\n".encode())
    wire.answers = [(200, {"keys": []})]
    assert run(["keys", "list", "--key-file", "-"]) == 0
    assert wire.requests[0][3]["servicekey"] == VALUE


def test_stdin_cannot_be_lines_and_key(wire):
    assert run(["send", "-", "--key-file", "-"]) == 2
    assert wire.requests == []


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_batch_is_sent_again_when_the_server_asks_so(wire, status):
    waits = []
    wire.answers = [(status, {"error": "later"}, {"Retry-After": "5"}), (status, b""), (200, {"status": "ok"})]
    with LogboomClient(wire.url, ingestion_key=OURS, sleep=waits.append) as client:
        assert client.send_lines([{"line": "one"}], "h").lines == 1
    assert waits == [5.0, 1.0]
    assert wire.requests[0][4] == wire.requests[2][4]


def test_retries_have_an_end(wire):
    waits = []
    wire.answers = [(504, {"error": "full"})] * 6
    with (
        LogboomClient(wire.url, ingestion_key=OURS, sleep=waits.append) as client,
        pytest.raises(ServerFailed, match="504: full"),
    ):
        client.send_lines([{"line": "one"}], "h")
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0]


def test_a_creation_is_never_repeated(wire):
    wire.answers = [(504, {"error": "later"})]
    with LogboomClient(wire.url, service_key=OURS) as client, pytest.raises(ServerFailed):
        client.create_key("ingestion")
    assert len(wire.requests) == 1


# -- search and export ------------------------------------------------------------------------------------------------


def test_found_lines_are_printed_oldest_first(wire, capsys):
    wire.answers = [
        (200, {"lines": [exported(2, "newer", level="ERROR"), exported(1, "older")], "pagination_id": None})
    ]
    assert run(["search", "-level:debug", "--host", "a", "--host", "b", "--from", "1600000000", "--limit", "2"]) == 0
    asked = {"query": ["-level:debug"], "hosts": ["a,b"], "from": ["1600000000000"], "prefer": ["tail"], "size": ["2"]}
    assert wire.requests[0][1:3] == ("/v2/export", asked)
    older, newer = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"2023-11-1\dT\d\d:\d\d:20.001[+-]\d\d:\d\d h a - older", older)
    assert newer.endswith(".002" + newer[23:29] + " h a ERROR newer")


def test_found_lines_are_printed_as_the_server_wrote_them(wire, capsys):
    wire.answers = [(200, b'{"lines":[{"_line":"b","n":1.10},\n{"_line":\n"a"}],"pagination_id":"next"}')]
    assert run(["search", "--json", "--limit", "2"]) == 0
    assert capsys.readouterr().out == '{"_line": "a"}\n{"_line":"b","n":1.10}\n'
    assert len(wire.requests) == 1


@pytest.mark.parametrize(("count", "code"), [pytest.param(7, 0, id="some"), pytest.param(0, 4, id="none")])
def test_lines_are_counted(wire, capsys, count, code):
    wire.answers = [(200, {"count": count})]
    assert run(["search", "timeout", "--count", "--app", "web"]) == code
    assert wire.requests[0][1:3] == ("/api/search/count", {"query": ["timeout"], "apps": ["web"]})
    assert capsys.readouterr().out == f"{count}\n"


def test_nothing_found_is_exit_code_4(wire, capsys):
    wire.answers = [(200, {"lines": [], "pagination_id": None})]
    assert run(["search", "nothing"]) == 4
    assert tuple(capsys.readouterr()) == ("", "Nothing found.\n")


def test_an_export_follows_the_pages_into_a_file(wire, tmp_path, capsys):
    path = tmp_path / "lines.jsonl"
    pages = [([exported(1), exported(2)], "one"), ([], "two"), ([exported(3)], None)]
    wire.answers = [(200, {"lines": lines, "pagination_id": cursor}) for lines, cursor in pages]
    assert run(["export", "--query", "level:error", "--output", str(path)]) == 0
    assert [json.loads(text)["_id"] for text in path.read_text().splitlines()] == ["1", "2", "3"]
    asked = {"query": ["level:error"], "prefer": ["head"], "size": ["10000"]}
    cursors = [{}, {"pagination_id": ["one"]}, {"pagination_id": ["two"]}]
    assert [request[2] for request in wire.requests] == [asked | cursor for cursor in cursors]
    assert capsys.readouterr().err == f"exported 3 lines to {path}\n"
    assert list(tmp_path.iterdir()) == [path]


def test_an_export_goes_to_stdout_as_the_server_wrote_it(wire, capfdbinary):
    wire.answers = [(200, b'{"lines":[{"_line":"\xc3\xa4","n":1.10}],"pagination_id":null}')]
    assert run(["export", "-o", "-", "--prefer", "tail"]) == 0
    assert tuple(capfdbinary.readouterr()) == (b'{"_line":"\xc3\xa4","n":1.10}\n', b"exported 1 line to stdout\n")


def test_a_reader_that_has_enough_is_no_failure(wire, monkeypatch, capsys):
    reading, writing = os.pipe()
    os.close(reading)
    wire.answers = [(200, {"lines": [exported(1)], "pagination_id": None})]
    with os.fdopen(writing, "w", encoding="utf-8") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        assert run(["search", "x"]) == 0
    assert capsys.readouterr().err == ""


def test_an_export_stops_at_its_size(wire, tmp_path):
    path = tmp_path / "lines.jsonl"
    wire.answers = [(200, {"lines": [exported(n) for n in range(2)], "pagination_id": str(page)}) for page in range(2)]
    assert run(["export", "--size", "3", "--output", str(path)]) == 0
    assert len(path.read_text().splitlines()) == 3
    assert {request[2]["size"][0] for request in wire.requests} == {"3"}


def test_an_export_that_fails_leaves_the_old_file_alone(wire, tmp_path, capsys):
    path = tmp_path / "lines.jsonl"
    path.write_text("old\n")
    wire.answers = [(200, {"lines": [exported(1)], "pagination_id": "one"}), (400, {"error": "bad cursor"})]
    assert run(["export", "--output", str(path)]) == 1
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]
    assert "400: bad cursor" in capsys.readouterr().err


def test_an_export_that_does_not_advance_ends(wire, capsys):
    wire.answers = [(200, {"lines": [], "pagination_id": "same"})] * 2
    assert run(["search", "x"]) == 1
    assert "does not advance" in capsys.readouterr().err


# -- every command ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        pytest.param(
            401, {"error": f"bad {OURS}"}, "refused the key (401: bad ***). Check LOGBOOM_SERVICE_KEY", id="401"
        ),
        pytest.param(403, {"error": "no"}, "refused the key (403: no)", id="403"),
        pytest.param(400, {"error": '"name" is too long'}, '(400: "name" is too long)', id="400"),
        pytest.param(504, {"error": "later"}, "could not do it (504: later)", id="504"),
        pytest.param(302, b"", "is no Logboom server (302)", id="redirect"),
        pytest.param(200, b"<html>", "is no Logboom server (200)", id="html"),
        pytest.param(200, {"lines": []}, "is no Logboom server (200)", id="wrong shape"),
    ],
)
def test_a_refusal_is_one_line_and_exit_code_1(wire, capsys, status, body, message):
    wire.answers = [(status, body)]
    assert run(["keys", "list"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert OURS not in printed.err


def test_no_server_is_exit_code_3(wire, monkeypatch, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free_port = taken.getsockname()[1]
    monkeypatch.setenv("LOGBOOM_URL", f"http://127.0.0.1:{free_port}")
    assert run(["search", "x"]) == 3
    assert "Is it running? Start one with `logboom serve`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["nonsense"], 'Unknown command "nonsense"', id="unknown command"),
        pytest.param(["keys", "create"], "--type requires an argument", id="missing option"),
        pytest.param(["search", "x", "--limit", "0"], "--limit", id="limit too small"),
        pytest.param(["search", "--limt"], "Unknown option --limt", id="misspelled option"),
        pytest.param(["search", "x", "--from", "soon"], "--from soon: not a time", id="no time"),
        pytest.param(["export", "-o", "/nowhere/lines"], "Cannot write /nowhere/lines.part", id="no folder"),
        pytest.param(["send", "/nowhere/app.log"], "Cannot read /nowhere/app.log", id="no file"),
        pytest.param(["keys", "list", "--key-file", "/nowhere/key"], "Cannot read the key file", id="no key file"),
        pytest.param(["keys", "list", "--url", "localhost:8080"], "must look like http://", id="no url"),
        pytest.param(["keys", "list", "--url", "http://a:b@h"], "must not hold a user name", id="password in url"),
    ],
)
def test_wrong_usage_is_exit_code_2(wire, capsys, arguments, message):
    assert run(arguments) == 2
    assert message in capsys.readouterr().err
    assert wire.requests == []


@pytest.mark.parametrize("value", ["", "two words", "a\u00e9" * 16])
def test_a_missing_or_impossible_key_is_exit_code_2_and_is_not_shown(wire, monkeypatch, capsys, value):
    monkeypatch.setenv("LOGBOOM_SERVICE_KEY", value)
    assert run(["keys", "list"]) == 2
    printed = capsys.readouterr().err
    assert "LOGBOOM_SERVICE_KEY" in printed
    assert not value or value not in printed


def test_a_client_shows_no_key():
    with LogboomClient("http://h", ingestion_key=OURS, service_key=VALUE) as client:
        shown = repr(client) + repr(vars(client))
    assert OURS not in shown
    assert VALUE not in shown


def test_a_client_without_the_key_says_which():
    with LogboomClient("http://h", service_key=VALUE) as client, pytest.raises(KeyMissing, match="INGESTION") as caught:
        client.send_lines([{"line": "one"}], "h")
    assert isinstance(caught.value, ClientError)


@pytest.mark.parametrize(
    "command",
    [
        ["serve"],
        ["send"],
        ["search"],
        ["export"],
        ["keys", "list"],
        ["keys", "create"],
        ["keys", "show"],
        ["keys", "rename"],
        ["keys", "delete"],
        *(["keys", change] for change in ("rotate", "hold", "release", "disable", "enable", "import", "end-overlap")),
    ],
    ids=" ".join,
)
def test_help_teaches_by_an_example(capsys, command):
    assert run([*command, "--help"]) == 0
    assert "Example: " in capsys.readouterr().out
