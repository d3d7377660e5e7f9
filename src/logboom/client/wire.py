"""The wire as a client sees it: bodies to send, and the shapes that answers must have.

Pure: the transport brings the bytes. Every answer is decoded into one of these shapes, so that a proxy's
error page or another program on the port is told apart from a server's answer.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

# Half of what the wire allows (10 MB), the size that Mezmo's own clients send. mezmo-api 5.5
BATCH_BYTES_MAX: Final = 2_000_000
BATCH_LINES_MAX: Final = 5_000
ERROR_CHARACTERS_MAX: Final = 300

KeyKind = Literal["ingestion", "service"]
KeyChange = Literal["rotate", "end-overlap", "hold", "release", "disable", "enable"]


class Key(msgspec.Struct, frozen=True, omit_defaults=False):
    """A key of `/api/keys`, times in epoch milliseconds. `value` is there only when it was minted or asked for."""

    id: str
    type: KeyKind
    name: str
    note: str
    labels: dict[str, str]
    owner: str
    mask: str | None
    format: str
    reveal: str
    imported: bool
    created_by: str | None
    created_ms: int
    state: str
    refusal: str | None
    generation: int
    retiring_until_ms: int | None
    held_until_ms: int | None
    not_before_ms: int | None
    expires_at_ms: int | None
    deleted_ms: int | None
    scopes: list[str] | None = None
    narrowing: dict[str, Any] | None = None
    network: dict[str, Any] | None = None
    limits: dict[str, Any] | None = None
    expiry_warning: int | None = None
    last_used_ms: int | None = None
    value: str | None = None

    @property
    def masked(self) -> str:
        """What the server shows of the value to tell it from others."""
        return self.mask or "…"

    def __repr__(self) -> str:
        return f"Key(id={self.id!r}, type={self.type!r}, name={self.name!r}, value={self.masked!r})"


class KeyPage(msgspec.Struct, frozen=True):
    """One page of `GET /api/keys`; `after` asks for the next one."""

    keys: list[Key]
    after: str | None = None


class Actor(msgspec.Struct, frozen=True):
    """Who is behind an event."""

    kind: str
    id: str | None = None
    name: str = ""


class Subject(msgspec.Struct, frozen=True):
    """What an event is about."""

    kind: str
    id: str | None = None


class Event(msgspec.Struct, frozen=True):
    """An event of `/api/audit`."""

    seq: int
    at_ms: int
    action: str
    actor: Actor
    door: str
    address: str
    subject: Subject
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None

    @property
    def changed(self) -> list[str]:
        """The names of what differs between before and after."""
        before, after = self.before or {}, self.after or {}
        return [name for name in after if self.before is not None and before.get(name) != after[name]]


class EventPage(msgspec.Struct, frozen=True):
    """One page of events, each the JSON text that the server wrote; `next` asks for the page behind it."""

    events: list[msgspec.Raw]
    next: int | None = None


class Head(msgspec.Struct, frozen=True):
    """The newest event of a chain."""

    seq: int
    hash: str


class Verification(msgspec.Struct, frozen=True):
    """What `/api/audit/verify` has proven."""

    ok: bool
    rows: int
    head: Head
    first_bad_seq: int | None = None
    since_ms: int | None = None


class OnLeak(msgspec.Struct, frozen=True):
    ingestion: str
    service: str


class Policy(msgspec.Struct, frozen=True):
    """What the account wants of its keys, as `/api/keys/policy` has it."""

    format: str
    reveal: str
    on_leak: OnLeak
    overlap_idle: str | None
    lifetime_max: str | None
    audit_lines: bool
    changed_ms: int | None


class Deleted(msgspec.Struct, frozen=True):
    """*children* are the keys that go back to the deleted one and are still alive."""

    deleted: bool
    message: str = ""
    children: list[str] = []
    deleted_children: list[str] = []


class Accepted(msgspec.Struct, frozen=True):
    status: Literal["ok"]


class Page(msgspec.Struct, frozen=True):
    """One page of `/v2/export`; lines stay the JSON text that the server wrote, so that no number changes its form."""

    lines: list[msgspec.Raw]
    pagination_id: str | None = None


class Count(msgspec.Struct, frozen=True):
    count: int


class ErrorBody(msgspec.Struct, frozen=True):
    error: str


@dataclass(frozen=True)
class Sent:
    """What the server has acknowledged."""

    lines: int = 0
    batches: int = 0

    def plus(self, lines: int) -> "Sent":
        return Sent(lines=self.lines + lines, batches=self.batches + 1)


@dataclass(frozen=True)
class Batch:
    """One request's body before compression, and how many lines it holds."""

    body: bytes
    lines: int


def render_batches(
    lines: Iterable[dict[str, Any]], *, bytes_max: int = BATCH_BYTES_MAX, lines_max: int = BATCH_LINES_MAX
) -> Iterator[Batch]:
    """Bodies of the form `{"lines": [...]}` in the order of *lines*; a line above *bytes_max* travels alone."""
    rendered: list[bytes] = []
    size = 0
    for line in lines:
        text = msgspec.json.encode(line)
        if rendered and (size + len(text) > bytes_max or len(rendered) == lines_max):
            yield _join(rendered)
            rendered, size = [], 0
        rendered.append(text)
        size += len(text) + 1
    if rendered:
        yield _join(rendered)


def _join(rendered: list[bytes]) -> Batch:
    return Batch(body=b'{"lines":[' + b",".join(rendered) + b"]}", lines=len(rendered))


def parse_error(body: bytes) -> str:
    """The text of an error answer on one line, or '' when it is not of the wire's shape. mezmo-api 3"""
    try:
        text = msgspec.json.decode(body, type=ErrorBody).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:ERROR_CHARACTERS_MAX]
