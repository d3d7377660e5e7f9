"""Turns a body that strict parsers refuse into one that says the same and that they accept.

The fast way never comes here. Invalid UTF-8, lone surrogates, NaN, raw control characters, nesting of thousands of
levels, lines that are no objects: each occurs in real senders' output, and none may cost the good lines beside it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from logboom.errors import MalformedBatch

DEPTH_MAX: Final = 64  # what is nested deeper is kept as text; parsers below give up at about a thousand levels
STRUCTURE: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
OPENING: Final = frozenset("[{")
LINE_NAMES: Final = ("lines", "ls")
# What a sender may say of itself beside its lines (ingest/wire.py).
SENDER_MEMBERS: Final = ("hostname", "apikey", "ip", "mac", "tags")
# Members that the mill reads, with the agent's short names (mezmo-api 5.4).
MEMBERS: Final = (
    "line", "l", "timestamp", "t", "app", "level", "env", "file", "f", "host", "hostname", "meta", "label",
    "annotation", "tags",
)  # fmt: skip


def mend_batch(body: bytes, *, is_text: bool = False) -> tuple[bytes, int]:
    """A body `{"lines": [...]}` with the lines of *body*, and their number. Raises MalformedBatch.

    *body* may also be one line's object, an array of lines or, with *is_text*, plain text.
    """
    text = body.decode("utf-8", errors="replace").removeprefix("\ufeff")
    try:
        value = json.loads(fold_deep(text), strict=False)
    except (ValueError, RecursionError) as cause:
        if is_text and text.strip():
            return _render([text], sender={})
        raise MalformedBatch from cause
    lines = _lines_of(value, text, is_text=is_text)
    return _render(lines, sender=value if isinstance(value, dict) else {})


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


def _render(lines: list[object], sender: Mapping[str, object]) -> tuple[bytes, int]:
    about = {name: sender[name] for name in SENDER_MEMBERS if name in sender}
    mended = about | {"lines": [_mended(line) for line in lines]}
    text = json.dumps(mended, ensure_ascii=False)
    return text.encode("utf-8", errors="replace"), len(lines)


def _mended(line: object) -> Mapping[str, str]:
    """One line with every member as text, which no parser refuses."""
    if not isinstance(line, dict):
        return {"line": _text(line)}
    members = {name: _text(line[name]) for name in MEMBERS if line.get(name) is not None}
    return members if "line" in members or "l" in members else {**members, "line": ""}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
