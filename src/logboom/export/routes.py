"""`GET /v1/export` streams JSON Lines; `GET /v2/export` gives pages."""

from collections.abc import Generator

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from logboom.asgi.respond import JSON_TYPE, ChunksResponse
from logboom.errors import Detail, ValidationFailed
from logboom.export.wire import last_place, render_page
from logboom.keys.key import Caller
from logboom.limits import EXPORT_V1_LINES_MAX, EXPORT_V2_PAGE_LINES_MAX
from logboom.search.search import Search, parse_cursor, render_cursor
from logboom.search.wire import parse_search
from logboom.store import LineStore

LINES_TYPE = "application/x-ndjson"


class ExportRoutes:
    """Handlers of both versions."""

    def __init__(self, *, store: LineStore) -> None:
        self._store = store

    async def export_lines(self, request: Request, caller: Caller) -> Response:
        """Version 1: one JSON object a row, newest first unless `prefer=head`, in constant memory."""
        if request.query_params.get("email"):
            raise ValidationFailed(Detail('"email" is not supported yet; leave it out to get the lines here', "email"))
        search = _search(request, caller, EXPORT_V1_LINES_MAX)
        chunks = self._store.select(search.selection())
        # The first chunk comes before the status, so that what fails at once is told with its proper status.
        first = await run_in_threadpool(next, chunks, b"")
        return ChunksResponse(_with_first(first, chunks), media_type=LINES_TYPE)

    async def export_page(self, request: Request, caller: Caller) -> Response:
        """Version 2: `{"lines": [...], "pagination_id": ...}`."""
        search = _search(request, caller, EXPORT_V2_PAGE_LINES_MAX)
        cursor = request.query_params.get("pagination_id", "").strip()
        # Mezmo: scripts send Python's None on the first call. mezmo-api 6.2
        after = parse_cursor(search, cursor) if cursor not in {"", "None", "null"} else None
        chunks = await run_in_threadpool(lambda: list(self._store.select(search.selection(after))))
        lines = b"".join(chunks).split(b"\n")[:-1]
        return Response(render_page(lines, _next_page(search, lines)), media_type=JSON_TYPE)


def _search(request: Request, caller: Caller, lines_max: int) -> Search:
    return parse_search(request.query_params, account_id=caller.account_id, lines_max=lines_max)


def _next_page(search: Search, lines: list[bytes]) -> str | None:
    return render_cursor(search, last_place(lines[-1])) if len(lines) == search.lines_max else None


def _with_first(first: bytes, chunks: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
    try:
        if first:
            yield first
        yield from chunks
    finally:
        chunks.close()
