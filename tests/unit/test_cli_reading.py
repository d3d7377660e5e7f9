"""From bytes to lines, to batches, to text on a terminal: the pure parts between a file and the wire."""

import os

import msgspec
import pytest

from logboom.cli.output import counted, level_style, visible
from logboom.cli.reading import LINE_BYTES_MAX, LineSplitter, read_chunks
from logboom.cli.search import columns
from logboom.cli.send import parse_json_line, parse_text_line
from logboom.client import Key
from logboom.client.wire import parse_error, render_batches


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([b"a\nb\n"], [b"a", b"b"], id="whole lines"),
        pytest.param([b"a\nb"], [b"a", b"b"], id="no break at the end"),
        pytest.param([b"a", b"b\n", b"c\n"], [b"ab", b"c"], id="a line over two chunks"),
        pytest.param([b"a\r", b"\nb\rc\r\n"], [b"a", b"b\rc"], id="carriage returns"),
        pytest.param([b"a\n\n \n"], [b"a", b"", b" "], id="empty lines are kept here"),
    ],
)
def test_chunks_become_lines(chunks, lines):
    splitter = LineSplitter()
    found = [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.finish()
    assert found == lines
    assert splitter.cut == 0


def test_an_endless_line_is_cut_and_counted_and_the_next_one_is_whole():
    splitter = LineSplitter()
    found = splitter.feed(b"x" * LINE_BYTES_MAX) + splitter.feed(b"y" * 5 + b"\nnext\n")
    assert found == [b"x" * LINE_BYTES_MAX, b"next"]
    assert splitter.cut == 1


def test_a_pipe_is_read_as_its_lines_arrive():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source, os.fdopen(writing, "wb", buffering=0) as sink:
        chunks = read_chunks(source.fileno())
        sink.write(b"first\n")
        assert next(chunks) == b"first\n"
        sink.write(b"second\n")
        sink.close()
        assert list(chunks) == [b"second\n"]


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        pytest.param(b'{"line":"a","n":1.10}', b'{"app":"web","line":"a","n":1.10}', id="numbers keep their form"),
        pytest.param(b'{"app":"own","line":"a"}', b'{"app":"own","line":"a"}', id="its own app wins"),
        pytest.param(b'{"line":"\xff"}', '{"app":"web","line":"\ufffd"}'.encode(), id="invalid utf-8 is replaced"),
        pytest.param(
            b'{"line":"a","n":123456789012345678901234567890}',
            b'{"app":"web","line":"a","n":123456789012345678901234567890}',
            id="an integer above 64 bits",
        ),
    ],
)
def test_a_json_line_keeps_what_it_says(raw, line):
    assert msgspec.json.encode(parse_json_line(raw, {"app": "web"})) == line


@pytest.mark.parametrize(
    "raw", [b"text", b"[]", b"{}", b'{"message":"a"}', b'{"line":"a"', b"null", b"\xff", b'{"line":"\\ud800"}']
)
def test_a_json_line_without_a_line_is_none(raw):
    assert parse_json_line(raw, {}) is None


def test_a_text_line_is_its_text_whatever_its_bytes():
    assert parse_text_line(b'{"line": \xff', {"app": "web"}) == {"line": '{"line": \ufffd', "app": "web"}


@pytest.mark.parametrize(
    ("bytes_max", "lines_max", "sizes"),
    [
        pytest.param(1_000, 1_000, [5], id="all in one"),
        pytest.param(1_000, 2, [2, 2, 1], id="by lines"),
        pytest.param(30, 1_000, [2, 2, 1], id="by bytes"),
        pytest.param(1, 1_000, [1, 1, 1, 1, 1], id="a line above the bound travels alone"),
    ],
)
def test_batches_keep_every_line_in_order(bytes_max, lines_max, sizes):
    lines = [{"line": str(number)} for number in range(5)]
    batches = list(render_batches(lines, bytes_max=bytes_max, lines_max=lines_max))
    assert [batch.lines for batch in batches] == sizes
    assert [line for batch in batches for line in msgspec.json.decode(batch.body)["lines"]] == lines


def test_no_lines_are_no_batch():
    assert list(render_batches([])) == []


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(b'{"error":"Not found","code":"NotFound"}', "Not found", id="envelope"),
        pytest.param(b'{"error":"a\\n\\u001b[31mb"}', "a [31mb", id="control characters"),
        pytest.param(b"<html>", "", id="no json"),
        pytest.param(b"\xff", "", id="no text"),
        pytest.param(b'{"error":7}', "", id="wrong type"),
    ],
)
def test_an_error_body_becomes_one_line(body, text):
    assert parse_error(body) == text


def test_a_key_shows_its_value_nowhere_but_in_its_field():
    times = dict.fromkeys(("retiring_until_ms", "held_until_ms", "not_before_ms", "expires_at_ms", "deleted_ms"))
    texts = dict.fromkeys(("name", "note", "owner", "format", "reveal", "state", "id"), "x")
    others = {"labels": {}, "imported": False, "created_by": None, "created_ms": 0, "refusal": None, "generation": 1}
    key = Key(type="ingestion", mask="…cdef", value="0123456789abcdef" * 2, **times, **texts, **others)
    assert key.masked == "…cdef"
    assert key.value not in f"{key!r} {key}"


def test_control_characters_are_spelled_out_but_breaks_and_tabs_stay():
    assert visible("a\x1b[2J\x07\x9b\tb\nc\r") == "a\\x1b[2J\\x07\\x9b\tb\nc\\x0d"


@pytest.mark.parametrize(
    ("level", "style"), [("error", "red"), ("Fatal", "red"), ("WARN", "yellow"), ("trace", "dim"), ("INFO", "")]
)
def test_levels_have_their_colour(level, style):
    assert level_style(level) == style


def test_absent_fields_are_dashes():
    assert columns({"_line": "text"}) == ("-", "-", "-", "-", "text")


@pytest.mark.parametrize(
    ("number", "noun", "text"), [(1, "line", "1 line"), (0, "line", "0 lines"), (2, "batch", "2 batches")]
)
def test_nouns_agree_with_their_number(number, noun, text):
    assert counted(number, noun) == text
