"""Bodies that strict parsers refuse: what comes out says the same and is accepted by all of them."""

import json
import re
import time
from contextlib import suppress
from importlib.resources import files

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logboom.errors import MalformedBatch
from logboom.mill.mend import MEMBERS, fold_deep, has_plain_lines, mend_body, mend_lines

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def lines_of(body: bytes, **kinds):
    return msgspec.json.decode(mend_body(body, **kinds))["lines"]


@given(st.lists(JSON, max_size=5))
def test_any_lines_keep_their_number_and_become_text(lines):
    mended = lines_of(json.dumps({"lines": lines}).encode())
    assert len(mended) == len(lines)
    assert all(isinstance(value, str) for line in mended for value in line.values())


@given(st.binary(max_size=200))
def test_any_bytes_give_lines_or_malformed_batch(body):
    try:
        lines = lines_of(body)
    except MalformedBatch:
        return
    assert all("line" in line or "l" in line for line in lines)


@given(JSON)
def test_shallow_json_is_not_folded(value):
    text = json.dumps(value)
    assert fold_deep(text) == text


@given(JSON, st.integers(0, 3))
def test_folded_json_is_never_deeper_and_still_json(value, depth_max):
    assert depth(json.loads(fold_deep(json.dumps(value), depth_max))) <= depth_max


def depth(value):
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if children is None else 1 + max(map(depth, children), default=0)


def test_what_is_folded_keeps_its_text():
    text = '{"a":{"b":{"c":"}\\"{"}}}'
    assert json.loads(fold_deep(text, 2)) == {"a": {"b": '{"c":"}\\"{"}'}}


CASES = {
    "surrogate": (b'{"lines":[{"line":"a\\ud800"}]}', [{"line": "a?"}]),
    "no object": (b'{"lines":[null,5,"x",[1]]}', [{"line": "null"}, {"line": "5"}, {"line": "x"}, {"line": "[1]"}]),
    "no line": (b'{"lines":[{"app":"a"}]}', [{"app": "a", "line": ""}]),
    "unknown members": (b'{"lines":[{"line":"a","zzz":1}]}', [{"line": "a"}]),
    "numbers": (b'{"lines":[{"line":"a","timestamp":1.5}]}', [{"line": "a", "timestamp": "1.5"}]),
    "one line": (b'{"line":"a"}', [{"line": "a"}]),
}


@pytest.mark.parametrize(("body", "lines"), CASES.values(), ids=CASES)
def test_mended_lines(body, lines):
    assert lines_of(body) == lines


def test_text_is_a_line_only_where_the_sender_says_so():
    assert lines_of(b"plain", is_text=True) == [{"line": "plain"}]
    assert lines_of(b'{"message":"m"}', is_text=True) == [{"line": '{"message":"m"}'}]
    with pytest.raises(MalformedBatch):
        mend_body(b"plain")


def test_what_a_sender_says_of_itself_stays_beside_its_lines():
    mended = mend_body(b'{"lines":[{"line":"caf\xe9"}],"hostname":"h","apikey":"k","zzz":1}')
    assert msgspec.json.decode(mended) == {"hostname": "h", "apikey": "k", "lines": [{"line": "caf\ufffd"}]}


def test_spooled_lines_are_mended_alone():
    assert msgspec.json.decode(mend_lines(b'[{"line":"a","meta":{"n":1e999}},5]')) == [
        {"line": "a", "meta": '{"n": "1e999"}'},
        {"line": "5"},
    ]


PLAIN = {
    "lines": (b'[{"line":"a"},{"line":""},{"l":""}]', True),
    "no text": (b'[{"line":"a"},{"app":"a"}]', False),
    "no object": (b'[{"line":"a"},"b"]', False),
    "none": (b"[]", True),
}


@pytest.mark.parametrize(("lines", "is_plain"), PLAIN.values(), ids=PLAIN)
def test_batches_that_need_no_mending(lines, is_plain):
    assert has_plain_lines(lines) is is_plain


HOSTILE = {
    "string that never ends": b'{"lines":["' + b'\\"' * 500_000,
    "brackets that never close": b"[" * 1_000_000,
    "nests beside each other": b"[" + b"[]," * 300_000 + b"1]",
    "backslashes": b'"' + b"\\" * 1_000_001,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_mending_takes_time_in_proportion_to_the_body(body):
    """A megabyte takes a fraction of a second; in the square of the size it would take hours."""
    started = time.process_time()
    with suppress(MalformedBatch):
        mend_body(body)
    assert time.process_time() - started < 10


def test_the_engine_reads_the_members_that_mending_keeps():
    explode = files("logboom.mill").joinpath("explode.sql").read_text(encoding="utf-8")
    tuple_of_members = re.search(r"Array\(Tuple\(([^)]*)\)", explode)[1]
    assert {member.split()[0] for member in tuple_of_members.split(",")} == set(MEMBERS)
