"""Bodies that strict parsers refuse: what comes out says the same and is accepted by all of them."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logboom.errors import MalformedBatch
from logboom.mill.mend import fold_deep, mend_batch

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def lines_of(body: bytes, **kinds):
    mended, count = mend_batch(body, **kinds)
    lines = msgspec.json.decode(mended)["lines"]
    assert len(lines) == count
    return lines


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
        mend_batch(b"plain")
