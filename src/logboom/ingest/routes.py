"""The ingest addresses of libraries and agents: `/logs/ingest` and `/logs/agent`, one door for both."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from anyio import CapacityLimiter, to_thread
from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import Response

from logboom.asgi.body import read_decoded_body
from logboom.asgi.respond import json_response
from logboom.errors import MissingCredentials
from logboom.ingest.wire import Batch, clean, find_batch, mend, parse_envelope, render_accepted, stated_hostname
from logboom.keys.bounds import Bounds
from logboom.keys.gate import Gate
from logboom.keys.key import Caller
from logboom.keys.redaction import Redactor, Source
from logboom.keys.use import SENDER_HOST
from logboom.keys.verdict import Refused
from logboom.limits import INGEST_BODY_BYTES_MAX, KEYLESS_BODY_BYTES_MAX
from logboom.spool import Envelope, Spool

UNPACKING_THREADS: Final = 2
LOOKED_THROUGH_AT_ONCE_BYTES_MAX: Final = 64 * 1024

OnAccepted = Callable[[Request, int, int], None]  # the request, how many lines, how many bytes its body was decoded


@dataclass(frozen=True)
class Sent:
    """A batch, and how long its body was when decoded."""

    batch: Batch
    body_bytes: int


class IngestRoutes:
    """Handlers of the door."""

    def __init__(
        self,
        *,
        gate: Gate,
        bounds: Bounds,
        redactor: Redactor,
        spool: Spool,
        now_ms: Callable[[], int],
        lines: Counter,
        on_accepted: OnAccepted,
    ) -> None:
        self._gate, self._spool, self._now_ms, self._lines = gate, spool, now_ms, lines
        self._bounds, self._redactor, self._on_accepted = bounds, redactor, on_accepted
        # Of its own, so that no search keeps a sender waiting; few, as the work holds Python's lock in part.
        self._threads = CapacityLimiter(UNPACKING_THREADS)

    async def ingest_lines(self, request: Request) -> Response:
        """Accept a batch: 200 once it is on disk. A key known to be bad is refused before the body is read."""
        may_have_key_in_body = not self._gate.presents_key(request) and _has_body(request)
        if not may_have_key_in_body:
            await self._gate.ingestion_caller(request, is_first_look=True)
        batch, body_bytes = await self._read_batch(request, is_known=not may_have_key_in_body)
        ip_remote = request.client.host if request.client else ""
        request.scope[SENDER_HOST] = stated_hostname(batch, request.query_params, ip_remote)
        caller = await self._gate.ingestion_caller(request, body_key=clean(batch.sender.apikey) or None)
        envelope = parse_envelope(
            batch,
            request.query_params,
            account_id=caller.account_id,
            key_id=caller.key_id,
            received_ms=self._now_ms(),
            ip_remote=ip_remote,
            user_agent=request.headers.get("user-agent", ""),
            redact=partial(self._redactor.redact_texts, source=Source(account_id=caller.account_id)),
        )
        lines = await self._redacted(batch.lines, envelope)
        async with self._within_terms(request, caller, envelope, Sent(batch, body_bytes)):
            seq = await self._spool.append(envelope, lines) if batch.lines_count else None
        self._lines.inc(batch.lines_count)
        self._on_accepted(request, batch.lines_count, body_bytes)
        return json_response(render_accepted(seq))

    @asynccontextmanager
    async def _within_terms(
        self, request: Request, caller: Caller, envelope: Envelope, sent: Sent
    ) -> AsyncIterator[None]:
        """Counts what is *sent* if the key's terms allow it, and takes it back when it is not accepted after all."""
        if caller.terms is None:
            yield
            return
        size = {"lines": sent.batch.lines_count, "body_bytes": sent.body_bytes}
        refused = await self._find_misfit(caller, envelope, sent.batch) or self._bounds.count(caller, **size)
        if refused:
            raise self._gate.refusal(request, refused, clean(sent.batch.sender.apikey) or None)
        try:
            yield
        except Exception:  # a request that was broken off may have been accepted, and stays counted
            self._bounds.take_back(caller, **size)
            raise

    async def _find_misfit(self, caller: Caller, envelope: Envelope, batch: Batch) -> Refused | None:
        find = partial(self._bounds.find_misfit, caller, batch.lines, tags=envelope.tags)
        find = partial(find, app=envelope.app, host=envelope.hostname)
        if len(batch.lines) <= LOOKED_THROUGH_AT_ONCE_BYTES_MAX:
            return find()
        return await to_thread.run_sync(find, limiter=self._threads)

    async def _redacted(self, lines: bytes, envelope: Envelope) -> bytes:
        """The lines without key values of ours. What takes longer than changing threads does is done in one."""
        source = Source(account_id=envelope.account_id, app=envelope.app, host=envelope.hostname)
        if len(lines) <= LOOKED_THROUGH_AT_ONCE_BYTES_MAX:
            return self._redactor.redact_lines(lines, source)
        return await to_thread.run_sync(self._redactor.redact_lines, lines, source, limiter=self._threads)

    async def _read_batch(self, request: Request, *, is_known: bool) -> tuple[Batch, int]:
        """The batch of the body, and the body's size in bytes when decoded.

        The slow way of mending is kept for senders whose key is known to be good.
        """
        body_bytes_max = INGEST_BODY_BYTES_MAX if is_known else KEYLESS_BODY_BYTES_MAX
        body = await read_decoded_body(request, body_bytes_max, threads=self._threads)
        batch = find_batch(body)
        if batch:
            return batch, len(body)
        if not is_known:
            raise MissingCredentials
        is_text = request.headers.get("content-type", "").startswith("text/")
        return await to_thread.run_sync(partial(mend, body, is_text=is_text), limiter=self._threads), len(body)


def _has_body(request: Request) -> bool:
    headers = request.headers
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
