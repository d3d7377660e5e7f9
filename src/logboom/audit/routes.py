"""`/api/audit` and a key's events: an account reads its own events, and has the whole chain proven."""

from asyncio import Lock
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from logboom.asgi.respond import json_response
from logboom.audit import wire
from logboom.audit.event import EventFilter
from logboom.audit.repository import AuditLog


class Reader(Protocol):
    """Who asks. Keys know more of them; the audit log needs no more."""

    @property
    def account_id(self) -> str: ...


class AuditRoutes:
    """Handlers of the addresses that tell of events.

    *check_key* is given an account and a key's id, and raises NotFound unless the account has or had that key.
    """

    def __init__(self, log: AuditLog, *, check_key: Callable[[str, str], object]) -> None:
        self._log, self._check_key = log, check_key
        self._one_at_a_time = Lock()

    async def list_events(self, request: Request, caller: Reader) -> Response:
        """`GET /api/audit`: `{"events": [...], "next": ...}`."""
        return await self._answer(caller, wire.parse_filter(request.query_params))

    async def list_key_events(self, request: Request, caller: Reader) -> Response:
        """`GET /api/keys/{key_id}/events`: the same of one key, also of a deleted one."""
        key_id = request.path_params["key_id"]
        wanted = wire.parse_filter(request.query_params)
        await run_in_threadpool(self._check_key, caller.account_id, key_id)
        return await self._answer(caller, replace(wanted, subject_id=key_id))

    async def _answer(self, caller: Reader, wanted: EventFilter) -> Response:
        # One more than asked for tells whether there is another page.
        one_more = replace(wanted, limit=wanted.limit + 1)
        rows = await run_in_threadpool(self._log.list_events, caller.account_id, one_more)
        return json_response(wire.render_events(rows, limit=wanted.limit))

    async def verify_chain(self, request: Request, _caller: Reader) -> Response:
        """`GET /api/audit/verify`. It reads every row there is, so one waits for the other, and not in a thread."""
        witness = wire.parse_witness(request.query_params)
        async with self._one_at_a_time:
            verification = await run_in_threadpool(self._log.verify, witness=witness)
        return json_response(wire.render_verification(verification))
