"""Renders answers. The one function that turns an error into a body is here, so every route speaks the same wire."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack

import msgspec
from anyio import CapacityLimiter, to_thread
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from logboom.errors import LogboomError, ValidationFailed

JSON_TYPE = "application/json; charset=utf-8"


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with *value* as JSON."""
    return Response(msgspec.json.encode(value), status_code=status, media_type=JSON_TYPE, headers=headers)


class ChunksResponse(StreamingResponse):
    """Streams a blocking generator from *thread*, and closes *held* whatever happens.

    A reader that leaves in the middle must not keep what the generator holds until a garbage collection comes by.
    *recheck* is awaited before each chunk; what it raises breaks the answer off.
    """

    def __init__(
        self,
        chunks: Iterator[bytes],
        *,
        thread: CapacityLimiter,
        held: AsyncExitStack,
        media_type: str,
        recheck: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(_from_thread(chunks, thread, recheck), media_type=media_type)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            await super().__call__(scope, receive, send)


async def _from_thread(
    chunks: Iterator[bytes], thread: CapacityLimiter, recheck: Callable[[], Awaitable[None]]
) -> AsyncIterator[bytes]:
    while (chunk := await to_thread.run_sync(next, chunks, None, limiter=thread)) is not None:
        await recheck()
        yield chunk


def error_body(error: LogboomError) -> dict[str, object]:
    """Mezmo's error envelope: `{"error", "code", "status": "error"}`, `details` first where rules were broken.

    Clients match `details[].message` as text, so `message` stands before `key` (mezmo-api 3).
    """
    details: dict[str, object] = {}
    if isinstance(error, ValidationFailed):
        details["details"] = [{"message": detail.message, "key": detail.key} for detail in error.details]
    reason = {"reason": error.reason} if error.reason else {}
    return details | {"error": error.message, "code": error.code, "status": "error"} | reason


def render_error(error: LogboomError) -> Response:
    """Answer with *error* in the wire's shape; what passes says when to come back."""
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s is not None else None
    return json_response(error_body(error), error.status, headers)
