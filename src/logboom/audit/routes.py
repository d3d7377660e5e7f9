"""`/api/audit`: an account reads its own events, and has the whole chain proven."""

from asyncio import Lock
from dataclasses import replace
from typing import Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from logboom.asgi.respond import json_response
from logboom.audit import wire
from logboom.audit.repository import AuditLog


class Reader(Protocol):
    """Who asks. Keys know more of them; the audit log needs no more."""

    @property
    def account_id(self) -> str: ...


class AuditRoutes:
    """Handlers of the addresses below `/api/audit`."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._one_at_a_time = Lock()

    async def list_events(self, request: Request, caller: Reader) -> Response:
        """`GET /api/audit`: `{"events": [...], "next": ...}`, newest first."""
        wanted = wire.parse_filter(request.query_params)
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
