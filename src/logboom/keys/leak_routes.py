"""`/api/keys/{key_id}/leaks`: where values of a key were found in lines, for the owners of the key.

What this server has found is written before it is read, so the answers of a single server are exact.
"""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from logboom.asgi.respond import json_response
from logboom.keys.key import Caller
from logboom.keys.keys import Keys
from logboom.keys.leak import KnownLeak
from logboom.keys.leaks import Leaks


class LeakRoutes:
    """Handlers. Another account's key is answered as an absent one; a deleted one is still known."""

    def __init__(self, keys: Keys, leaks: Leaks) -> None:
        self._keys, self._leaks = keys, leaks

    async def list_leaks(self, request: Request, caller: Caller) -> Response:
        key_id = request.path_params["key_id"]
        return json_response(await run_in_threadpool(self._list, caller.account_id, key_id))

    def _list(self, account_id: str, key_id: str) -> dict[str, object]:
        key = self._keys.get(account_id, key_id, is_live=False)
        self._leaks.flush()
        return {"id": key.id, "leaks": [*map(render_leak, self._leaks.repository.list_leaks(account_id, key_id))]}


def render_leak(leak: KnownLeak) -> dict[str, object]:
    """App and host are '' in lines of another account, which is not named."""
    tally = leak.tally
    counted = {"first_ms": tally.first_ms, "last_ms": tally.last_ms, "count": tally.count}
    return {"day_ms": leak.day_ms, "app": leak.app, "host": leak.host, "in_own_lines": leak.is_own} | counted
