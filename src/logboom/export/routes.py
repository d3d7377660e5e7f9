"""`GET /v1/export` streams JSON Lines; `GET /v2/export` gives pages."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import AsyncExitStack, closing
from functools import partial

from anyio import CancelScope, CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import Response

from logboom.asgi.respond import JSON_TYPE, ChunksResponse
from logboom.errors import Detail, ValidationFailed
from logboom.export.wire import cut_page, render_page
from logboom.keys.key import Caller
from logboom.limits import EXPORT_V1_LINES_MAX, EXPORT_V2_PAGE_BYTES_MAX, EXPORT_V2_PAGE_LINES_MAX
from logboom.search.search import Search, parse_cursor, render_cursor
from logboom.search.turns import turn
from logboom.search.wire import parse_search
from logboom.store import LineStore, Selection

LINES_TYPE = "application/x-ndjson"


class ExportRoutes:
    """Handlers of both versions. *threads* are as many as searches may run at once.

    *recheck* raises when the key of a caller does not open any more: a stream ends with it.
    """

    def __init__(
        self,
        *,
        store: LineStore,
        threads: CapacityLimiter,
        recheck: Callable[[Request, Caller], Awaitable[None]],
        page_bytes_max: int = EXPORT_V2_PAGE_BYTES_MAX,
    ) -> None:
        self._store, self._threads, self._recheck, self._page_bytes_max = store, threads, recheck, page_bytes_max

    async def export_lines(self, request: Request, caller: Caller) -> Response:
        """Version 1: one JSON object a row, newest first unless `prefer=head`, in constant memory."""
        if request.query_params.get("email"):
            raise ValidationFailed(Detail('"email" is not supported yet; leave it out to get the lines here', "email"))
        selection = _search(request, caller, EXPORT_V1_LINES_MAX).selection()
        async with AsyncExitStack() as stack:
            thread = await stack.enter_async_context(turn(self._threads))
            chunks = self._store.select(selection)
            stack.push_async_callback(_close, chunks, thread)
            # The first chunk comes before the status, so that what fails at once is told with its proper status.
            first = await to_thread.run_sync(next, chunks, b"", limiter=thread)
            return ChunksResponse(
                _with_first(first, chunks),
                thread=thread,
                held=stack.pop_all(),
                media_type=LINES_TYPE,
                recheck=partial(self._recheck, request, caller),
            )

    async def export_page(self, request: Request, caller: Caller) -> Response:
        """Version 2: `{"lines": [...], "pagination_id": ...}`."""
        search = _search(request, caller, EXPORT_V2_PAGE_LINES_MAX)
        cursor = request.query_params.get("pagination_id", "").strip()
        # Mezmo: scripts send Python's None on the first call. mezmo-api 6.2
        after = parse_cursor(search, cursor) if cursor not in {"", "None", "null"} else None
        selection = search.selection(after, with_place=True)
        async with turn(self._threads) as thread:
            body = await to_thread.run_sync(self._read_page, search, selection, limiter=thread)
        return Response(body, media_type=JSON_TYPE)

    def _read_page(self, search: Search, selection: Selection) -> bytes:
        with closing(self._store.select(selection)) as chunks:
            page = cut_page(chunks, lines_max=search.lines_max, bytes_max=self._page_bytes_max)
        return render_page(page.lines, render_cursor(search, page.last) if page.last else None)


def _search(request: Request, caller: Caller, lines_max: int) -> Search:
    return parse_search(request.query_params, account_id=caller.account_id, lines_max=lines_max)


async def _close(chunks: Generator[bytes, None, None], thread: CapacityLimiter) -> None:
    with CancelScope(shield=True):
        await to_thread.run_sync(chunks.close, limiter=thread)


def _with_first(first: bytes, chunks: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
    if first:
        yield first
        yield from chunks
