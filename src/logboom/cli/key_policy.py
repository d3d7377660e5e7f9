"""`logboom keys policy` and `set-policy`: what the account wants of its keys."""

from typing import Annotated, Any, Literal

import msgspec
from cyclopts import App, Parameter

from logboom.cli.connection import DEFAULT_CONNECTION, Connection
from logboom.cli.key_output import AsJson, put_json
from logboom.cli.output import UsageError, put
from logboom.client import Policy

OnLeak = Literal["warn", "hold", "rotate", "disable"]


def add_policy_commands(app: App) -> None:
    """Each with an example in its help."""
    app.command(show_policy, name="policy", help_epilogue="Example: logboom keys policy")
    app.command(
        set_policy,
        name="set-policy",
        help_epilogue="Example: logboom keys set-policy --format native --lifetime-max 90d",
    )


def show_policy(*, as_json: AsJson = False, connection: Connection = DEFAULT_CONNECTION) -> None:
    """Show what the account wants of its keys."""
    with connection.connect_to_ask() as client:
        _put(client.get_policy(), as_json=as_json)


def set_policy(
    *,
    shape: Annotated[
        Literal["classic", "native"] | None, Parameter(name="--format", help="The format of new keys that name none.")
    ] = None,
    reveal_mode: Annotated[
        Literal["always", "step_up", "never"] | None, Parameter(help="The reveal mode of new keys that name none.")
    ] = None,
    on_leak_ingestion: Annotated[
        OnLeak | None, Parameter(help="What happens to an ingestion key that is found in a line.")
    ] = None,
    on_leak_service: Annotated[
        OnLeak | None, Parameter(help="What happens to a service key that is found in a line.")
    ] = None,
    overlap_idle: Annotated[
        str | None, Parameter(help="An old value that is idle so long (6h) ends before its overlap does; or none.")
    ] = None,
    lifetime_max: Annotated[str | None, Parameter(help="New keys must expire within that (90d); or none.")] = None,
    audit_lines: Annotated[
        bool | None, Parameter(negative="--no-audit-lines", help="Whether audit events become log lines too.")
    ] = None,
    as_json: AsJson = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Change what the account wants of its keys. What is not named stays as it is."""
    on_leak = _given(ingestion=on_leak_ingestion, service=on_leak_service)
    members = _given(format=shape, reveal=reveal_mode, on_leak=on_leak or None, audit_lines=audit_lines)
    spans = _given(overlap_idle=overlap_idle, lifetime_max=lifetime_max)
    members |= {member: None if span == "none" else span for member, span in spans.items()}
    if not members:
        raise UsageError("Name at least one thing to change; --help lists them.")
    with connection.connect_to_ask() as client:
        _put(client.change_policy(**members), as_json=as_json)


def _given(**members: Any) -> dict[str, Any]:
    return {member: content for member, content in members.items() if content is not None}


def _put(policy: Policy, *, as_json: bool) -> None:
    if as_json:
        put_json(msgspec.to_builtins(policy))
        return
    rows = {
        "format": policy.format,
        "reveal": policy.reveal,
        "on leak": f"ingestion {policy.on_leak.ingestion}, service {policy.on_leak.service}",
        "overlap idle": policy.overlap_idle or "none",
        "lifetime max": policy.lifetime_max or "none",
        "audit lines": "yes" if policy.audit_lines else "no",
    }
    for name, text in rows.items():
        put(f"{name:<13} {text}")
