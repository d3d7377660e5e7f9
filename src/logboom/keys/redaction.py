"""Takes our own key values out of lines and texts before anybody else sees them, and tells of each.

A line stays the JSON that it was, with the same members in the same places: where a value stood, a few words stand.
They name the key if it belongs to the account that owns the line. The owner of the line must not learn whose another
key is.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import msgspec

from logboom.keys.key import Caller
from logboom.keys.scan import Scanner, Sighting

FOREIGN_MARK: Final = b"[redacted secret]"
STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"')
NUMBER_CHARACTERS: Final = b"+-.0123456789Ee"


class LineSource(msgspec.Struct):
    """Where a line says that it comes from, with the agent's short names."""

    app: Any = None
    hostname: Any = None
    host: Any = None
    file: Any = None
    f: Any = None


@dataclass(frozen=True, kw_only=True)
class Source:
    """Whose lines they are, and where they come from unless they say otherwise themselves."""

    account_id: str
    app: str = ""
    host: str = ""


Piece = tuple[int, int, bytes]  # what stands from here to there, and what takes its place
OnFound = Callable[[Caller, Source], None]

_decode_line = msgspec.json.Decoder(LineSource).decode
_decode_lines = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Redactor:
    """Redacts. *on_found* is told of each value that was found and of where; it must not wait for anything."""

    def __init__(self, scanner: Scanner, on_found: OnFound) -> None:
        self._scanner, self._on_found = scanner, on_found

    def redact_lines(self, lines: bytes, source: Source) -> bytes:
        """The JSON array *lines*, each line on its own still valid; the same object where nothing was found."""
        found = self._scanner.find(lines)
        if not found:
            return lines
        return b"[%s]" % b",".join(self._redacted(line, own, source) for line, own in _by_line(lines, found))

    def redact_texts(self, texts: Sequence[str], source: Source) -> Sequence[str]:
        """The *texts* that stand beside lines, in their order."""
        if not self._scanner.find("\n".join(texts).encode("utf-8", errors="replace")):
            return texts
        return [self._redact_text(text, source) for text in texts]

    def _redact_text(self, text: str, source: Source) -> str:
        written = text.encode("utf-8", errors="replace")
        found = self._scanner.find(written)
        for seen in found:
            self._on_found(seen.caller, source)
        marks = [(seen.start, seen.end, _mark(seen.caller, source.account_id)) for seen in found]
        return _spliced(written, marks).decode() if found else text

    def _redacted(self, line: bytes, found: Sequence[Sighting], source: Source) -> bytes:
        if not found:
            return line
        redacted = _redact_json(line, found, source.account_id)
        line_source = _source_of(redacted, source)
        for seen in found:
            self._on_found(seen.caller, line_source)
        return redacted


def hide_values(scanner: Scanner, text: str) -> str:
    """A text that a request brings and that is kept beside the lines, without the values in it."""
    written = text.encode("utf-8", errors="replace")
    found = scanner.find(written)
    return _spliced(written, [(seen.start, seen.end, FOREIGN_MARK) for seen in found]).decode() if found else text


def redact_message(scanner: Scanner, text: str) -> str:
    """A message of our own, for the operator, without the values in it."""
    written = text.encode("utf-8", errors="replace")
    found = scanner.find(written)
    return _spliced(written, [(seen.start, seen.end, _own_mark(seen.caller)) for seen in found]).decode()


def _by_line(lines: bytes, found: Sequence[Sighting]) -> Iterator[tuple[bytes, list[Sighting]]]:
    """Each line of the array with what was found in it, by its place within the line."""
    start, next_seen = 0, 0
    for raw in _decode_lines(lines):
        line = bytes(raw)
        start = lines.index(line, start)
        own = []
        while next_seen < len(found) and found[next_seen].start < start + len(line):
            seen = found[next_seen]
            own.append(Sighting(seen.start - start, seen.end - start, seen.caller))
            next_seen += 1
        yield line, own
        start += len(line)


def _redact_json(line: bytes, found: Sequence[Sighting], account_id: str) -> bytes:
    redacted = _spliced(line, [(seen.start, seen.end, _mark(seen.caller, account_id)) for seen in found])
    if _is_json(redacted):
        return redacted
    redacted = _spliced(line, _with_quotes(line, found, account_id))
    if _is_json(redacted):
        return redacted
    # What is left was made on purpose: a value that begins within an escape.
    return b'{"line":"%s"}' % _mark(found[0].caller, account_id)


def _with_quotes(line: bytes, found: Sequence[Sighting], account_id: str) -> Iterator[Piece]:
    """What to put where; a value of digits alone can stand as a number, outside of any string, and then gets quotes."""
    strings = [string.span() for string in STRING.finditer(line)]
    for seen in found:
        mark = _mark(seen.caller, account_id)
        if any(start < seen.start and seen.end < end for start, end in strings):
            yield seen.start, seen.end, mark
            continue
        behind = line[: seen.start].rstrip(NUMBER_CHARACTERS)
        ahead = line[seen.end :].lstrip(NUMBER_CHARACTERS)
        yield len(behind), len(line) - len(ahead), b'"%s"' % mark


def _spliced(text: bytes, pieces: Iterable[Piece]) -> bytes:
    parts, at = [], 0
    for start, end, mark in pieces:
        parts += [text[at:start], mark]
        at = end
    return b"".join([*parts, text[at:]])


def _mark(caller: Caller, account_id: str) -> bytes:
    return _own_mark(caller) if caller.account_id == account_id else FOREIGN_MARK


def _own_mark(caller: Caller) -> bytes:
    return b"[redacted key %s]" % caller.key_id.encode()


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _source_of(line: bytes, source: Source) -> Source:
    """Where this line comes from, by the rules of the mill."""
    try:
        stated = _decode_line(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # no object, but the mill takes it
        return source
    file = _text(stated.file) or _text(stated.f)
    app = _text(stated.app) or PurePosixPath(file).name or source.app
    return Source(
        account_id=source.account_id, app=app, host=_text(stated.hostname) or _text(stated.host) or source.host
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
