"""Our own search addresses: how many lines a search has."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from logboom.asgi.respond import json_response
from logboom.keys.key import Caller
from logboom.search.wire import parse_search, render_count
from logboom.store import LineStore


class SearchRoutes:
    """Handlers over lines that answer with figures."""

    def __init__(self, *, store: LineStore) -> None:
        self._store = store

    async def count_lines(self, request: Request, caller: Caller) -> Response:
        """`GET /api/search/count`: the parameters of an export, answered with `{"count": n}`."""
        search = parse_search(request.query_params, account_id=caller.account_id, lines_max=1)
        count = await run_in_threadpool(self._store.count, search.selection())
        return json_response(render_count(count))
