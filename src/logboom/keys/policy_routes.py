"""`/api/keys/policy`: what the account wants of its keys, in the native API's JSON."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from logboom.asgi.body import read_body
from logboom.asgi.respond import json_response
from logboom.keys.actor import actor_of
from logboom.keys.key import Caller, KeyFormat, Reveal
from logboom.keys.life import parse_span, render_span
from logboom.keys.policies import Policies
from logboom.keys.policy import KeyPolicy, OnLeak
from logboom.keys.readers import Reader, one_of, read_members, read_object, read_text, read_truth
from logboom.limits import CONFIG_BODY_BYTES_MAX, LIFETIME_MS_MAX, OVERLAP_MS_MAX


class PolicyRoutes:
    """Handlers of the policy."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    async def get_policy(self, _request: Request, caller: Caller) -> Response:
        return json_response(render_policy(await run_in_threadpool(self._policies.get, caller.account_id)))

    async def change_policy(self, request: Request, caller: Caller) -> Response:
        changes = parse_changes(await read_body(request, CONFIG_BODY_BYTES_MAX))
        actor = actor_of(request, caller)
        policy = await run_in_threadpool(self._policies.change, caller.account_id, changes, actor=actor)
        return json_response(render_policy(policy))


def parse_changes(body: bytes) -> dict[str, Any]:
    """The members to change, by their names in `KeyPolicy`. Raises ValidationFailed."""
    given = read_members(body, CHANGES)
    on_leak: Mapping[str, OnLeak] = given.pop("on_leak", {})
    return {MEMBERS.get(member, member): content for member, content in given.items()} | {
        f"on_leak_{kind}": wanted for kind, wanted in on_leak.items()
    }


def render_policy(policy: KeyPolicy) -> dict[str, object]:
    return {
        "format": policy.format.value,
        "reveal": policy.reveal.value,
        "on_leak": {"ingestion": policy.on_leak_ingestion.value, "service": policy.on_leak_service.value},
        "overlap_idle": _render_span(policy.overlap_idle_ms),
        "lifetime_max": _render_span(policy.lifetime_max_ms),
        "audit_lines": policy.audit_lines,
        "changed_ms": policy.changed_ms,
    }


def _span(max_ms: int) -> Reader:
    return lambda member, given: None if given is None else parse_span(read_text(member, given), member, max_ms)


def _render_span(duration_ms: int | None) -> str | None:
    return None if duration_ms is None else render_span(duration_ms)


MEMBERS: Final = {"overlap_idle": "overlap_idle_ms", "lifetime_max": "lifetime_max_ms"}
CHANGES: Final[dict[str, Reader]] = {
    "format": one_of(KeyFormat),
    "reveal": one_of(Reveal),
    "on_leak": read_object({"ingestion": one_of(OnLeak), "service": one_of(OnLeak)}),
    "overlap_idle": _span(OVERLAP_MS_MAX),
    "lifetime_max": _span(LIFETIME_MS_MAX),
    "audit_lines": read_truth,
}
