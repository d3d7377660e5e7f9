"""What the commands of keys print, and the options that they share."""

from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.table import Table

from logboom.cli.output import put, say, visible
from logboom.cli.times import render_moment
from logboom.client import Key

KeyId = Annotated[str, Parameter(help="The key's id, as `logboom keys list` shows it (not its value).")]
AsJson = Annotated[bool, Parameter(name="--json", help="Print the API's JSON.")]
Quiet = Annotated[bool, Parameter(help="Print the value and nothing else.")]

COLUMNS = ("ID", "TYPE", "NAME", "STATE", "GEN", "EXPIRES", "CREATED", "USED", "VALUE")


def table(keys: list[Key], *, reveal: bool) -> Table:
    """Keys as a person reads them; what refuses a key now stands in the place of its state."""
    shown = Table(*COLUMNS, box=None, pad_edge=False, header_style="bold")
    for column in shown.columns:
        column.no_wrap = True
    for key in keys:
        expires, used = _moment(key.expires_at_ms), _moment(key.last_used_ms)
        value = (reveal and key.value) or key.masked
        about = (visible(" ".join(key.name.split())), key.refusal or key.state, str(key.generation), expires)
        shown.add_row(key.id, key.type, *about, render_moment(key.created_ms), used, value)
    return shown


def _moment(moment_ms: int | None) -> str:
    return "-" if moment_ms is None else render_moment(moment_ms)


def resource(key: Key, *, reveal: bool) -> dict[str, Any]:
    """The API's object, its value only when it is asked for and there."""
    members: dict[str, Any] = msgspec.to_builtins(key)
    if not reveal or key.value is None:
        del members["value"]
    return members


def put_json(value: Any) -> None:
    put(msgspec.json.format(msgspec.json.encode(value)).decode())


def put_new_value(key: Key, said: str, *, as_json: bool, quiet: bool) -> None:
    """Print a value that was just minted, with what to know about it on stderr."""
    if as_json:
        put_json(resource(key, reveal=True))
        return
    if not quiet and key.reveal == "always":
        say(f"{said} Copy its value now; to see it again:")
        say(f"logboom keys show {key.id} --reveal")
    elif not quiet:
        say(f"{said} Copy its value now: it is not shown again.")
    put(key.value or "")
