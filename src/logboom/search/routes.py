"""Our own search addresses: how many lines a search has."""

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import Response

from logboom.asgi.respond import json_response
from logboom.keys.key import Caller
from logboom.search.turns import turn
from logboom.search.wire import parse_search, render_count
from logboom.store import LineStore


class SearchRoutes:
    """Handlers over lines that answer with figures."""

    def __init__(self, *, store: LineStore, threads: CapacityLimiter) -> None:
        self._store, self._threads = store, threads

    async def count_lines(self, request: Request, caller: Caller) -> Response:
        """`GET /api/search/count`: the parameters of an export, answered with `{"count": n}`."""
        selection = parse_search(request.query_params, account_id=caller.account_id, lines_max=1).selection()
        async with turn(self._threads) as thread:
            count = await to_thread.run_sync(self._store.count, selection, limiter=thread)
        return json_response(render_count(count))
