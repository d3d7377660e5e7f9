"""What `logboom keys create` and `logboom keys set` can say of a key, and the command `set`."""

import time
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from cyclopts import App, Parameter

from logboom.cli.connection import DEFAULT_CONNECTION, Connection
from logboom.cli.key_output import AsJson, KeyId, put_json, resource
from logboom.cli.output import UsageError, say
from logboom.cli.times import parse_coming_moment

Names = list[str] | None
Clearable = Literal["expires", "not-before", "labels", "scopes", "network", "limits", "narrowing"]

# What a cleared member becomes: `scopes` everything, the others nothing.
CLEARED: Final[dict[Clearable, dict[str, Any]]] = {
    "expires": {"expires_at_ms": None},
    "not-before": {"not_before_ms": None},
    "labels": {"labels": {}},
    "scopes": {"scopes": None},
    "network": {"network": None},
    "limits": {"limits": None},
    "narrowing": {"narrowing": None},
}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class KeyTerms:
    """Options about what is written on a key, and on which terms it is used."""

    note: Annotated[str | None, Parameter(help="A note, at most 1,000 characters.")] = None
    owner: Annotated[str | None, Parameter(help="Who answers for the key.")] = None
    labels: Annotated[Names, Parameter(name="--label", help="A label, as team=edge; repeat for more.")] = None
    expires: Annotated[
        str | None, Parameter(help="When it ends: 90d (from now on), ISO 8601, or an epoch in s or ms.")
    ] = None
    not_before: Annotated[str | None, Parameter(help="When it begins, in the same forms.")] = None
    scopes: Annotated[
        str | None,
        Parameter(help="What a service key may do: a preset such as export-only, or scopes joined by commas."),
    ] = None
    allow: Annotated[Names, Parameter(help="Only from this network, as 192.0.2.0/24; repeat for more.")] = None
    deny: Annotated[Names, Parameter(help="Not from this network; repeat for more.")] = None
    dry_run: Annotated[
        bool, Parameter(help="Refuse nobody for the network, but tell in the audit log who would be.")
    ] = False
    requests_per_s: Annotated[int | None, Parameter(help="Requests in a second, of each server.")] = None
    lines_per_day: Annotated[int | None, Parameter(help="Lines on one day, UTC.")] = None
    bytes_per_day: Annotated[int | None, Parameter(help="Bytes on one day, UTC.")] = None
    on_excess: Annotated[
        Literal["hold", "refuse"] | None, Parameter(help="hold: senders keep their lines (504); refuse: 429.")
    ] = None
    apps: Annotated[Names, Parameter(name="--app", help="Only for this app, as web or edge-*; repeat for more.")] = None
    hosts: Annotated[Names, Parameter(name="--host", help="Only for this host; repeat for more.")] = None
    tags: Annotated[Names, Parameter(name="--tag", help="Only with this tag; repeat for more.")] = None

    def members(self) -> dict[str, Any]:
        """The members of the native API that were named."""
        limits = _named(
            requests_per_s=self.requests_per_s,
            lines_per_day=self.lines_per_day,
            bytes_per_day=self.bytes_per_day,
            on_excess=self.on_excess,
        )
        network = _named(allow=self.allow, deny=self.deny, dry_run=self.dry_run or None)
        narrowing = _named(apps=self.apps, hosts=self.hosts, tags=self.tags)
        texts = _named(note=self.note, owner=self.owner, scopes=_scopes(self.scopes), labels=_labels(self.labels))
        return (
            texts | self._times() | _named(limits=limits or None, network=network or None, narrowing=narrowing or None)
        )

    def _times(self) -> dict[str, int]:
        now_ms = time.time_ns() // 1_000_000
        named = {"expires_at_ms": ("--expires", self.expires), "not_before_ms": ("--not-before", self.not_before)}
        return {
            member: parse_coming_moment(text, option=option, now_ms=now_ms)
            for member, (option, text) in named.items()
            if text is not None
        }


NO_TERMS: Final = KeyTerms()


def add_terms_command(app: App) -> None:
    """With an example in its help."""
    example = (
        "Example: logboom keys set 64b1f0c2a9d3e87f5c012345 --allow 192.0.2.0/24 --dry-run --lines-per-day 1000000"
    )
    app.command(set_terms, name="set", help_epilogue=example)


def set_terms(
    key_id: KeyId,
    /,
    *,
    terms: KeyTerms = NO_TERMS,
    clear: Annotated[list[Clearable] | None, Parameter(help="End this; repeat for more.")] = None,
    as_json: AsJson = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Change what is written on a key, and on which terms it is used.

    Network, limits and narrowing are each replaced as a whole. What is not named stays as it is.
    """
    cleared = {member: content for name in clear or () for member, content in CLEARED[name].items()}
    members = terms.members()
    if both := cleared.keys() & members:
        raise UsageError(f"{', '.join(sorted(both))}: either set or cleared.")
    if not members and not cleared:
        raise UsageError("Name at least one thing to change; --help lists them.")
    with connection.connect_to_ask() as client:
        key = client.edit_key(key_id, **members, **cleared)
    if as_json:
        put_json(resource(key, reveal=False))
    else:
        say(f"Changed the {key.type} key {key.name!r} ({key.id}).")


def _named(**members: Any) -> dict[str, Any]:
    return {member: content for member, content in members.items() if content is not None}


def _scopes(text: str | None) -> str | list[str] | None:
    """The name of a preset, or scopes joined by commas; a scope has a colon in it."""
    return text.split(",") if text and ":" in text else text


def _labels(texts: Names) -> dict[str, str] | None:
    return None if texts is None else {name: text for name, _, text in (label.partition("=") for label in texts)}
