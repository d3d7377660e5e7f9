"""The commands about the use of keys: who uses one, what removing it would do, which want looking after."""

import time
from collections.abc import Callable, Sequence
from typing import Annotated, Final

import msgspec
from cyclopts import App, Parameter
from rich.table import Table

from logboom.cli.connection import DEFAULT_CONNECTION, Connection
from logboom.cli.key_output import AsJson, KeyId, put_json
from logboom.cli.output import counted, put, result_console, visible
from logboom.cli.times import parse_moment, render_moment
from logboom.client import ActiveUser, KeyImpact, KeyUsage, KeyUser

EXAMPLE_ID: Final = "64b1f0c2a9d3e87f5c012345"
GENERATION_COLUMNS: Final = ("GEN", "STATE", "USED", "HOSTS", "REQUESTS", "REFUSED", "LINES", "BYTES")
USER_COLUMNS: Final = ("HOST", "ADDRESS", "PROGRAM", "CARRIER", "ASKS", "GEN", "REQUESTS", "REFUSED", "USED")
FINDING_COLUMNS: Final = ("ID", "TYPE", "NAME", "CONCERN", "SINCE", "ADVICE")


def add_use_commands(app: App) -> None:
    """Each with an example in its help."""
    commands: dict[str, tuple[Callable[..., None], str]] = {
        "usage": (show_usage, f"usage {EXAMPLE_ID} --from 24h"),
        "impact": (show_impact, f"impact {EXAMPLE_ID}"),
        "hygiene": (list_findings, "hygiene"),
    }
    for name, (command, example) in commands.items():
        app.command(command, name=name, help_epilogue=f"Example: logboom keys {example}")


def show_usage(
    key_id: KeyId,
    /,
    *,
    since: Annotated[
        str | None, Parameter(name="--from", help="First hour: 2h, 7d (ago, the default), ISO 8601, or an epoch.")
    ] = None,
    until: Annotated[str | None, Parameter(name="--to", help="Last hour, in the same forms.")] = None,
    as_json: AsJson = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Show how much a key is used, by which of its values, and by whom."""
    now_ms = time.time_ns() // 1_000_000
    from_ms = None if since is None else parse_moment(since, option="--from", now_ms=now_ms)
    to_ms = None if until is None else parse_moment(until, option="--to", now_ms=now_ms)
    with connection.connect_to_ask() as client:
        usage = client.get_usage(key_id, from_ms=from_ms, to_ms=to_ms)
    if as_json:
        put_json(msgspec.to_builtins(usage))
        return
    result_console().print(_generations(usage))
    put("")
    result_console().print(_users(usage.users))


def show_impact(key_id: KeyId, /, *, as_json: AsJson = False, connection: Connection = DEFAULT_CONNECTION) -> None:
    """Show who uses a key, and what their programs do once it is disabled or deleted."""
    with connection.connect_to_ask() as client:
        impact = client.get_impact(key_id)
    if as_json:
        put_json(msgspec.to_builtins(impact))
        return
    for text in impact_texts(impact):
        put(visible(text))
    if impact.users:
        put("")
        result_console().print(_users(impact.users))


def list_findings(*, as_json: AsJson = False, connection: Connection = DEFAULT_CONNECTION) -> None:
    """List the keys that want looking after, the worst first."""
    with connection.connect_to_ask() as client:
        found = client.list_findings()
    if as_json:
        put_json(msgspec.to_builtins(found))
        return
    table = _table(FINDING_COLUMNS)
    for finding in found:
        since = render_moment(finding.since_ms)
        table.add_row(finding.id, finding.type, _plain(finding.name), finding.concern, since, finding.advice)
    result_console().print(table)


def impact_texts(impact: KeyImpact) -> list[str]:
    """What a person has to know before a key is removed."""
    used = "never used" if impact.last_used_ms is None else f"last used {render_moment(impact.last_used_ms)}"
    texts = [impact.text, *(client.text for client in impact.clients)]
    now = counted(impact.last_minute.hosts, "host")
    texts.append(f"In the last minute: {now}. The key was {used}.")
    if not impact.complete:
        texts.append("There may be more users than are known here.")
    if impact.own:
        texts.append("It is the key of this request.")
    return texts


def _generations(usage: KeyUsage) -> Table:
    table = _table(GENERATION_COLUMNS)
    for one in usage.generations:
        used = "-" if one.last_used_ms is None else render_moment(one.last_used_ms)
        counts = (one.hosts, one.requests, one.refusals, one.lines, one.bytes)
        table.add_row(str(one.generation), one.state, used, *map(str, counts))
    return table


def _users(users: Sequence[KeyUser | ActiveUser]) -> Table:
    table = _table(USER_COLUMNS)
    for user in users:
        told = [_plain(text) or "-" for text in (user.host, user.address, user.agent, user.carrier, user.dialect)]
        counts = (user.generation, user.requests, user.refusals)
        table.add_row(*told, *map(str, counts), render_moment(user.last_ms))
    return table


def _table(columns: Sequence[str]) -> Table:
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        column.no_wrap = True
    return table


def _plain(text: str) -> str:
    return visible(" ".join(text.split()))
