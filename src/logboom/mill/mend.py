"""Turns a body that strict parsers refuse into one that says the same and that they accept.

The fast way never comes here. Invalid UTF-8, lone surrogates, NaN, raw control characters, nesting of thousands of
levels, lines that are no objects: each occurs in real senders' output, and none may cost the good lines beside it.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from logboom.errors import MalformedBatch

DEPTH_MAX: Final = 64  # what is nested deeper is kept as text; parsers below give up at about a thousand levels
# A string that is never closed matches to the end, or it would be looked through again from each of its quotes.
STRUCTURE: Final = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
OPENING: Final = frozenset("[{")
LINE_NAMES: Final = ("lines", "ls")
# What a sender may say of itself beside its lines (ingest/wire.py).
SENDER_MEMBERS: Final = ("hostname", "apikey", "ip", "mac", "tags")
# Members that the mill reads, with the agent's short names (mezmo-api 5.4).
MEMBERS: Final = (
    "line", "l", "timestamp", "t", "app", "level", "env", "file", "f", "host", "hostname", "meta", "label",
    "annotation", "tags",
)  # fmt: skip


def mend_body(body: bytes, *, is_text: bool = False) -> bytes:
    """A body `{"lines": [...]}` with the lines of *body* and what stands beside them. Raises MalformedBatch.

    *body* may be any form of a batch, one line's object, an array of lines or, with *is_text*, plain text.
    """
    text = body.decode("utf-8", errors="replace").removeprefix("\ufeff")
    try:
        value = _parsed(text)
    except MalformedBatch:
        if is_text and text.strip():
            return _render([text], sender={})
        raise
    lines = _lines_of(value, text, is_text=is_text)
    return _render(lines, sender=value if isinstance(value, dict) else {})


def has_plain_lines(lines: bytes) -> bool:
    """Whether each line of a spooled batch is an object that names its text, be it empty, and needs no mending."""
    each = map(bytes, msgspec.json.decode(lines, type=list[msgspec.Raw]))
    return all(line[:1] == b"{" and (b'"line"' in line or b'"l"' in line) for line in each)


def _parsed(text: str) -> Any:
    try:
        return json.loads(fold_deep(text), strict=False, parse_float=_number, parse_constant=str)
    except (ValueError, RecursionError) as cause:
        raise MalformedBatch from cause


def _number(text: str) -> float | str:
    """A number as JSON can write it again; one that is out of range stays text."""
    return number if math.isfinite(number := float(text)) else text


def fold_deep(text: str, depth_max: int = DEPTH_MAX) -> str:
    """JSON *text* with everything nested deeper than *depth_max* turned into a string of its own text."""
    return "".join(_folded(text, depth_max))


def _folded(text: str, depth_max: int) -> Iterator[str]:
    depth = start = 0
    for found in STRUCTURE.finditer(text):
        mark = found[0]
        if mark in OPENING:
            depth += 1
            if depth == depth_max + 1:
                yield text[start : found.start()]
                start = found.start()
        elif mark[0] != '"':
            if depth == depth_max + 1:
                yield json.dumps(text[start : found.end()], ensure_ascii=False)
                start = found.end()
            depth -= 1
    yield text[start:]


def _lines_of(value: object, text: str, *, is_text: bool) -> list[object]:
    if isinstance(value, dict):
        for name in LINE_NAMES:
            if isinstance(value.get(name), list):
                return list(value[name])
        if "line" in value:
            return [value]
        # Mezmo: Logstash posts one JSON event a request as text/plain. mezmo-api 5.3
        if is_text:
            return [text]
    if isinstance(value, list):
        return value
    raise MalformedBatch


def mend_lines(lines: bytes) -> bytes:
    """The lines of a spooled batch, mended. Raises MalformedBatch."""
    return _encoded([_mended(line) for line in _parsed(lines.decode("utf-8", errors="replace"))])


def _render(lines: list[object], sender: Mapping[str, object]) -> bytes:
    about = {name: sender[name] for name in SENDER_MEMBERS if name in sender}
    return _encoded(about | {"lines": [_mended(line) for line in lines]})


def _encoded(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", errors="replace")


def _mended(line: object) -> Mapping[str, str]:
    """One line with every member as text, which no parser refuses."""
    if not isinstance(line, dict):
        return {"line": _text(line)}
    members = {name: _text(line[name]) for name in MEMBERS if line.get(name) is not None}
    return members if "line" in members or "l" in members else {**members, "line": ""}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
