"""The commands of a key's life: rotate, hold, disable and their opposites, and bringing a key along."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from logboom.cli.connection import DEFAULT_CONNECTION, KEY_FILE_CHARACTERS_MAX, Connection
from logboom.cli.key_output import AsJson, KeyId, Quiet, put_json, put_new_value, resource
from logboom.cli.output import UsageError, say
from logboom.cli.times import render_moment
from logboom.client import Key, KeyChange, KeyKind

EXAMPLE_ID = "64b1f0c2a9d3e87f5c012345"


def add_life_commands(app: App) -> None:
    """Each with an example in its help."""
    commands: dict[str, tuple[Callable[..., None], str]] = {
        "rotate": (rotate, f"rotate {EXAMPLE_ID} --overlap 24h"),
        "end-overlap": (end_overlap, f"end-overlap {EXAMPLE_ID}"),
        "hold": (hold, f"hold {EXAMPLE_ID} --for 15m"),
        "release": (release, f"release {EXAMPLE_ID}"),
        "disable": (disable, f"disable {EXAMPLE_ID}"),
        "enable": (enable, f"enable {EXAMPLE_ID}"),
        "import": (import_key, "import --type ingestion --name fleet --value-file old.key"),
    }
    for name, (command, example) in commands.items():
        app.command(command, name=name, help_epilogue=f"Example: logboom keys {example}")


def rotate(
    key_id: KeyId,
    /,
    *,
    overlap: Annotated[
        str, Parameter(help="How long the old value goes on: 30m, 24h, 7d; 0 ends it at once, for a leak.")
    ] = "24h",
    as_json: AsJson = False,
    quiet: Quiet = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Give a key a new value and print it. Id, name and everything else stay."""
    with connection.connect_to_ask() as client:
        key = client.change_key(key_id, "rotate", overlap=overlap)
    until_ms = key.retiring_until_ms
    old = "was refused at once" if until_ms is None else f"goes on until {render_moment(until_ms)}"
    said = f"Rotated the {key.type} key {key.name!r}; its old value {old}."
    put_new_value(key, said, as_json=as_json, quiet=quiet)


def end_overlap(key_id: KeyId, /, *, as_json: AsJson = False, connection: Connection = DEFAULT_CONNECTION) -> None:
    """End the old value of a rotated key now."""
    _change(connection, key_id, "end-overlap", "has one value only", as_json=as_json)


def hold(
    key_id: KeyId,
    /,
    *,
    span: Annotated[str, Parameter(name="--for", help="How long: 90s, 15m, 24h at most. It ends by itself.")] = "15m",
    as_json: AsJson = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Tell the users of a key to keep their lines and come back."""
    _change(connection, key_id, "hold", "is on hold", as_json=as_json, **{"for": span})


def release(key_id: KeyId, /, *, as_json: AsJson = False, connection: Connection = DEFAULT_CONNECTION) -> None:
    """End a hold."""
    _change(connection, key_id, "release", "is active again", as_json=as_json)


def disable(key_id: KeyId, /, *, as_json: AsJson = False, connection: Connection = DEFAULT_CONNECTION) -> None:
    """Refuse a key until it is enabled. Many senders throw their lines away then; hold keeps them."""
    _change(connection, key_id, "disable", "is refused until it is enabled", as_json=as_json)


def enable(key_id: KeyId, /, *, as_json: AsJson = False, connection: Connection = DEFAULT_CONNECTION) -> None:
    """Let a disabled key open again."""
    _change(connection, key_id, "enable", "is active again", as_json=as_json)


def import_key(
    *,
    kind: Annotated[KeyKind, Parameter(name="--type", help="What the key shall open.")],
    value_file: Annotated[
        str, Parameter(allow_leading_hyphen=True, help="File with the value on its first line, - for stdin.")
    ] = "-",
    name: Annotated[str | None, Parameter(help="At most 200 characters. Without it the server picks one.")] = None,
    as_json: AsJson = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Bring a key along with the value that it has elsewhere, so that no sender needs a change."""
    if value_file == "-" == connection.key_file:
        raise UsageError("Standard input cannot be both the service key and the value. Name a file for one of them.")
    value = _read_value(value_file)
    with connection.connect_to_ask() as client:
        key = client.import_key(kind, value, name)
    _tell(key, "was imported; others know its value, so rotate it when you can", as_json=as_json)


def _change(
    connection: Connection, key_id: str, change: KeyChange, said: str, *, as_json: bool, **parameters: str
) -> None:
    with connection.connect_to_ask() as client:
        key = client.change_key(key_id, change, **parameters)
    until = "" if key.held_until_ms is None else f" until {render_moment(key.held_until_ms)}"
    _tell(key, said + until, as_json=as_json)


def _tell(key: Key, said: str, *, as_json: bool) -> None:
    if as_json:
        put_json(resource(key, reveal=False))
    else:
        say(f"The {key.type} key {key.name!r} ({key.id}) {said}.")


def _read_value(path: str) -> str:
    """The value that stands on the first line; never an argument, which every user of the machine could read."""
    try:
        if path == "-":
            return sys.stdin.readline(KEY_FILE_CHARACTERS_MAX).strip()
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            return file.readline(KEY_FILE_CHARACTERS_MAX).strip()
    except OSError as error:
        raise UsageError(f"Cannot read the value from {path}: {error.strerror}.") from None
