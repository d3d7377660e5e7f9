"""What is known of the use of keys: `/api/keys/{key_id}/usage` and its like.

What this server has counted is written before it is read, so the answers of a single server are exact.
"""

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from logboom.asgi.respond import json_response
from logboom.keys import usage_wire as wire
from logboom.keys.key import Caller
from logboom.keys.keys import Keys
from logboom.keys.usage_report import report_usage
from logboom.keys.usage_repository import UsageRepository


class UsageRoutes:
    """Handlers. Another account's key is answered as an absent one; a deleted one is still known."""

    def __init__(
        self, keys: Keys, usage: UsageRepository, flush: Callable[[], None], *, now_ms: Callable[[], int]
    ) -> None:
        self._keys, self._usage, self._flush, self._now_ms = keys, usage, flush, now_ms

    async def get_usage(self, request: Request, caller: Caller) -> Response:
        """The use of one key by hour and value, and who its newest users are."""
        asked = wire.parse_range(request.query_params, self._now_ms())
        key_id = request.path_params["key_id"]
        return json_response(await run_in_threadpool(self._report_usage, caller.account_id, key_id, asked))

    def _report_usage(self, account_id: str, key_id: str, asked: wire.Range) -> dict[str, object]:
        key = self._keys.get(account_id, key_id, is_live=False)
        self._flush()
        hours = self._usage.hours(account_id, key_id, from_ms=asked.from_ms, to_ms=asked.to_ms)
        users = self._usage.users(account_id, key_id)
        return wire.render_usage(key, asked, report_usage(key, hours, users))
