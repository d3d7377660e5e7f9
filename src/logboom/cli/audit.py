"""`logboom audit`: read the audit log, keep a copy of it, have it proven."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.table import Table

from logboom.cli.connection import DEFAULT_CONNECTION, Connection
from logboom.cli.export import open_output
from logboom.cli.key_output import AsJson, KeyId, put_json
from logboom.cli.output import counted, put, result_console, say, visible
from logboom.cli.times import parse_moment, render_moment
from logboom.client import Event, EventSelection

COLUMNS: Final = ("SEQ", "TIME", "ACTION", "SUBJECT", "ACTOR", "DOOR", "ADDRESS", "CHANGED")
BROKEN: Final = 1  # the exit code when the chain cannot be proven
Limit = Annotated[int, Parameter(validator=Number(gt=0), help="How many events at most, the newest ones.")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Events:
    """Which events a command is about."""

    actions: Annotated[
        list[str] | None, Parameter(name="--action", help="Only this action, as key.deleted; repeat for more.")
    ] = None
    since: Annotated[
        str | None, Parameter(name="--from", help="First moment: 15m, 2h, 1d (ago), ISO 8601, or an epoch in s or ms.")
    ] = None
    until: Annotated[str | None, Parameter(name="--to", help="Last moment, in the same forms.")] = None

    def select(self, key_id: str | None) -> EventSelection:
        now_ms = time.time_ns() // 1_000_000
        return EventSelection(
            actions=self.actions or (),
            key_id=key_id,
            from_ms=None if self.since is None else parse_moment(self.since, option="--from", now_ms=now_ms),
            to_ms=None if self.until is None else parse_moment(self.until, option="--to", now_ms=now_ms),
        )


ALL_EVENTS: Final = Events()
OfKey = Annotated[str | None, Parameter(name="--key", help="Only events of the key with this id, also a deleted one.")]


def build_audit_app() -> App:
    """The group of commands, each with an example in its help."""
    app = App(name="audit", help="Read the audit log, keep a copy of it, have it proven.")
    app.command(list_events, name="list", help_epilogue="Example: logboom audit list --action key.deleted --from 7d")
    app.command(export_events, name="export", help_epilogue="Example: logboom audit export --output audit.jsonl")
    app.command(verify, name="verify", help_epilogue="Example: logboom audit verify --seq 1042 --hash HASH")
    return app


def list_events(
    *,
    key_id: OfKey = None,
    events: Events = ALL_EVENTS,
    limit: Limit = 100,
    as_json: AsJson = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Print the newest events that match, oldest first."""
    with connection.connect_to_ask() as client:
        texts = [*client.event_texts(size=limit, **events.select(key_id))]
    put_events(texts, as_json=as_json)


def list_key_events(
    key_id: KeyId,
    /,
    *,
    events: Events = ALL_EVENTS,
    limit: Limit = 100,
    as_json: AsJson = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Print what has happened to a key, oldest first, also to a deleted one."""
    with connection.connect_to_ask() as client:
        texts = [*client.event_texts(size=limit, of_key=True, **events.select(key_id))]
    put_events(texts, as_json=as_json)


def export_events(
    *,
    key_id: OfKey = None,
    events: Events = ALL_EVENTS,
    output: Annotated[
        str, Parameter(name=("--output", "-o"), allow_leading_hyphen=True, help="File to write, - for stdout.")
    ] = "-",
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Write all events that match as JSON Lines, oldest first. A file appears when it is complete."""
    selection = events.select(key_id)
    written = 0
    with connection.connect_to_ask() as client, open_output(output) as file:
        for text in client.event_texts(prefer="head", **selection):
            file.write(text + b"\n")
            written += 1
        file.flush()
    say(f"exported {counted(written, 'event')} to {'stdout' if output == '-' else output}")


def verify(
    *,
    seq: Annotated[int | None, Parameter(help="Number of an event that was seen earlier; needs --hash.")] = None,
    hash_digits: Annotated[str | None, Parameter(name="--hash", help="Its hash: the event must be in the log.")] = None,
    as_json: AsJson = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> int:
    """Have every event proven; exit code 1 when one was altered or removed."""
    with connection.connect_to_ask() as client:
        verification = client.verify_audit(seq=seq, hash_digits=hash_digits)
    since = "" if verification.since_ms is None else f" since {render_moment(verification.since_ms)}"
    if as_json:
        put_json(msgspec.to_builtins(verification))
    elif verification.ok:
        say(f"The audit log is whole: {counted(verification.rows, 'event')}{since}. Its head is")
        put(f"--seq {verification.head.seq} --hash {verification.head.hash}")
    else:
        proven = counted(verification.rows, "event")
        say(f"The audit log is broken at number {verification.first_bad_seq}; {proven} before it can be proven.")
    return 0 if verification.ok else BROKEN


def put_events(texts: Iterable[bytes], *, as_json: bool) -> None:
    """Print events that came newest first in the order in which they happened."""
    in_order = [*texts][::-1]
    if as_json:
        put_json([msgspec.Raw(text) for text in in_order])
        return
    shown = Table(*COLUMNS, box=None, pad_edge=False, header_style="bold")
    for column in shown.columns:
        column.no_wrap = True
    for text in in_order:
        shown.add_row(*_row(msgspec.json.decode(text, type=Event)))
    result_console().print(shown)


def _row(event: Event) -> tuple[str, ...]:
    actor = event.actor.id or event.actor.kind
    subject = event.subject.id or event.subject.kind
    about = (event.action, subject, actor, event.door, event.address or "-", ",".join(event.changed) or "-")
    return (str(event.seq), render_moment(event.at_ms), *(visible(text) for text in about))
