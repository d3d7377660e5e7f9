"""For which apps, hosts and tags an ingestion key may send. Pure.

A batch with anything that does not fit is refused as a whole: a part of it would look like all of it. The lines are
read here as the mill reads them, and what could be read in two ways fits nothing.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import msgspec

from logboom.limits import REFUSED_TEXT_CHARACTERS_MAX

# The members of a line that say where it belongs, with the agent's short names (mezmo-api 5.4).
NAMES: Final = frozenset({"app", "file", "f", "hostname", "host", "tags"})


@dataclass(slots=True)
class Line:
    """What is looked at of a line."""

    app: Any = None
    file: Any = None
    f: Any = None
    hostname: Any = None
    host: Any = None
    tags: Any = None


class Ambiguous(ValueError):
    """A line that two readers might understand differently."""


class Allowed:
    """A set of texts: each exact, or all that begin like one that ends with `*`."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._exact = frozenset(pattern for pattern in patterns if not pattern.endswith("*"))
        self._beginnings = tuple(pattern[:-1] for pattern in patterns if pattern.endswith("*"))

    def __contains__(self, text: str) -> bool:
        return text in self._exact or text.startswith(self._beginnings)


@dataclass(frozen=True, kw_only=True)
class Narrowing:
    """The patterns that are allowed; None allows all. A line without app or host fits a list only if '' does."""

    apps: tuple[str, ...] | None = None
    hosts: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None

    @cached_property
    def _allowed(self) -> Mapping[str, Allowed]:
        lists = {"app": self.apps, "host": self.hosts, "tag": self.tags}
        return {member: Allowed(patterns) for member, patterns in lists.items() if patterns is not None}

    def find_misfit(self, lines: bytes, *, app: str, host: str, tags: Iterable[str]) -> str | None:
        """What of a batch does not fit, as a sentence for its sender; None when all of it does.

        *lines* is the JSON array as it was sent; *app*, *host* and *tags* are the request's.
        """
        texts = (("app", app), ("host", host), *(("tag", tag) for tag in tags))
        stated = [(member, text) for member, text in texts if text]
        if misfit := self._find_misfit(stated):
            return misfit
        for line in msgspec.json.decode(lines, type=list[msgspec.Raw]):
            try:
                places = places_of(bytes(line), app=app, host=host)
            except Ambiguous as ambiguous:
                return str(ambiguous)
            if misfit := self._find_misfit(places):
                return misfit
        return None

    def _find_misfit(self, places: Iterable[tuple[str, str]]) -> str | None:
        for member, text in places:
            if member in self._allowed and text not in self._allowed[member]:
                return f'The key may not send for the {member} "{text[:REFUSED_TEXT_CHARACTERS_MAX]}".'
        return None


def places_of(line: bytes, *, app: str, host: str) -> list[tuple[str, str]]:
    """Where the mill will put a line of a batch with this *app* and *host*. Raises Ambiguous."""
    sent = _read(line)
    named, file = _text("app", sent.app), _text("file", sent.file) or _text("f", sent.f)
    if not named:
        named = file.replace("\\", "/").rpartition("/")[2] if file else app  # as in mill/cut.sql
    own_host = _text("hostname", sent.hostname) or _text("host", sent.host)
    return [("app", named), ("host", own_host or host), *(("tag", tag) for tag in _tags(sent.tags))]


def _read(line: bytes) -> Line:
    if not line.startswith(b"{"):
        return Line()  # a line that is no object is its own text
    try:
        sent: Line = json.loads(line.decode(), object_pairs_hook=_unique, strict=False)
    except (ValueError, RecursionError) as cause:
        raise Ambiguous(str(cause) if isinstance(cause, Ambiguous) else "A line cannot be read.") from cause
    return sent


def _unique(pairs: list[tuple[str, Any]]) -> Any:
    """An object with the members that count, each once at most: of two, readers differ in which they take."""
    members = [(name, content) for name, content in pairs if name in NAMES]
    known = dict(members)
    if len(known) < len(members):
        raise Ambiguous("A line names its app, file, host or tags twice.")
    return Line(**known)


def _text(name: str, content: object) -> str:
    if content is None:
        return ""
    if not isinstance(content, str):
        raise Ambiguous(f'The "{name}" of a line is no text.')
    return content


def _tags(content: object) -> list[str]:
    if isinstance(content, str) and content.startswith("["):
        try:
            content = json.loads(content)
        except (ValueError, RecursionError) as cause:
            raise Ambiguous('The "tags" of a line cannot be read.') from cause
    parts = content.split(",") if isinstance(content, str) else content or []
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise Ambiguous('The "tags" of a line are no texts.')
    return [tag for part in parts if (tag := part.strip(" "))]
