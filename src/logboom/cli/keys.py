"""`logboom keys`: see, mint, name and delete keys; the changes of a key's life are in `key_life.py`.

A value is shown only when it is asked for: it would otherwise stay on screens and in terminal logs.
"""

import sys
from typing import Annotated, Literal

from cyclopts import App, Parameter

from logboom.cli.audit import list_key_events
from logboom.cli.connection import DEFAULT_CONNECTION, Connection
from logboom.cli.key_life import add_life_commands
from logboom.cli.key_output import AsJson, KeyId, put_json, put_new_value, resource, table
from logboom.cli.key_policy import add_policy_commands
from logboom.cli.key_terms import NO_TERMS, KeyTerms, add_terms_command
from logboom.cli.key_use import add_use_commands, impact_texts
from logboom.cli.output import INTERRUPTED, UsageError, ask, put, result_console, say
from logboom.client import Key, KeyKind, LogboomClient, ServerRefused

Reveal = Annotated[bool, Parameter(help="Show key values in full.")]


def build_keys_app() -> App:
    """The group of commands, each with an example in its help."""
    app = App(name="keys", help="See, create, rename and delete keys.")
    app.command(list_keys, name="list", help_epilogue="Example: logboom keys list --type ingestion")
    app.command(
        create_key,
        name="create",
        help_epilogue="Example: LOGBOOM_INGESTION_KEY=$(logboom keys create --type ingestion --name web --quiet)",
    )
    app.command(show_key, name="show", help_epilogue="Example: logboom keys show 64b1f0c2a9d3e87f5c012345 --reveal")
    app.command(
        rename_key, name="rename", help_epilogue='Example: logboom keys rename 64b1f0c2a9d3e87f5c012345 "edge fleet"'
    )
    app.command(delete_key, name="delete", help_epilogue="Example: logboom keys delete 64b1f0c2a9d3e87f5c012345 --yes")
    app.command(list_key_events, name="events", help_epilogue="Example: logboom keys events 64b1f0c2a9d3e87f5c012345")
    add_life_commands(app)
    add_use_commands(app)
    add_terms_command(app)
    add_policy_commands(app)
    return app


def list_keys(
    *,
    kind: Annotated[KeyKind | None, Parameter(name="--type", help="Only keys of this type.")] = None,
    as_json: AsJson = False,
    reveal: Reveal = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """List the account's keys, oldest first."""
    with connection.connect_to_ask() as client:
        keys = client.list_keys(kind)
        if reveal:
            keys = [_revealed(client, key) for key in keys]
    if as_json:
        put_json([resource(key, reveal=reveal) for key in keys])
    else:
        result_console().print(table(keys, reveal=reveal))


def create_key(
    *,
    kind: Annotated[
        KeyKind, Parameter(name="--type", help="An ingestion key sends lines, a service key does the rest.")
    ],
    name: Annotated[str | None, Parameter(help="At most 200 characters. Without it the server picks one.")] = None,
    shape: Annotated[
        Literal["classic", "native"] | None,
        Parameter(name="--format", help="classic: 32 hex digits (the default); native: with prefix and checksum."),
    ] = None,
    reveal_mode: Annotated[
        Literal["always", "step_up", "never"] | None,
        Parameter(help="Who may read the value again later (default: always)."),
    ] = None,
    terms: KeyTerms = NO_TERMS,
    as_json: AsJson = False,
    quiet: Annotated[bool, Parameter(help="Print the value and nothing else.")] = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Create a key and print its value."""
    with connection.connect_to_ask() as client:
        members = {"format": shape, "reveal": reveal_mode} | terms.members()
        key = client.create_key(kind, name, **{member: wish for member, wish in members.items() if wish is not None})
    said = f"Created the {key.type} key {key.name!r} with the id {key.id}."
    put_new_value(key, said, as_json=as_json, quiet=quiet)


def show_key(
    key_id: KeyId, /, *, as_json: AsJson = False, reveal: Reveal = False, connection: Connection = DEFAULT_CONNECTION
) -> None:
    """Show one key; with --reveal its value alone, ready for a script."""
    with connection.connect_to_ask() as client:
        key = client.get_key(key_id, reveal=reveal)
    if as_json:
        put_json(resource(key, reveal=reveal))
    elif reveal:
        put(key.value or "")
    else:
        result_console().print(table([key], reveal=False))


def rename_key(
    key_id: KeyId,
    name: Annotated[str, Parameter(help="The new name, at most 200 characters.")],
    /,
    *,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Give a key another name. Its value stays."""
    with connection.connect_to_ask() as client:
        key = client.rename_key(key_id, name)
    say(f"The {key.type} key {key.id} is now named {key.name!r}.")


def delete_key(
    key_id: KeyId,
    /,
    *,
    yes: Annotated[bool, Parameter(help="Do not ask. Needed where there is no terminal.")] = False,
    children: Annotated[bool, Parameter(help="Delete the keys that go back to it too, for a stolen one.")] = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> int:
    """Delete a key. Whoever uses it is refused from then on; who that is is said before it is asked for a yes."""
    if not yes and not sys.stdin.isatty():
        raise UsageError("Nobody is here to confirm. Say --yes to delete the key without being asked.")
    with connection.connect_to_ask() as client:
        key = client.get_key(key_id)
        if not yes and not _confirmed(key, _impact_texts(client, key_id)):
            say("Nothing was deleted.")
            return INTERRUPTED
        deleted = client.delete_key(key_id, children=children)
    say(f"Deleted the {key.type} key {key.name!r} ({key.masked}).")
    if deleted.deleted_children:
        say(f"Deleted {len(deleted.deleted_children)} keys that go back to it: {' '.join(deleted.deleted_children)}")
    if deleted.children:
        say(f"These keys go back to it and are still alive: {' '.join(deleted.children)}")
    return 0


def _impact_texts(client: LogboomClient, key_id: str) -> list[str]:
    try:
        return impact_texts(client.get_impact(key_id))
    except ServerRefused:  # whoever may delete a key need not be allowed to see its use
        return ["Who uses it cannot be told: this service key may not read the use of keys."]


def _confirmed(key: Key, impact: list[str]) -> bool:
    for text in impact:
        say(text)
    question = f"Delete the {key.type} key {key.name!r} ({key.masked})? Whoever uses it is refused from then on. [y/N] "
    ask(question)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _revealed(client: LogboomClient, key: Key) -> Key:
    """The key with its value where that may be shown; each showing is one request, so that each is told of."""
    return client.get_key(key.id, reveal=True) if key.reveal == "always" else key
