"""What is known of the use of keys: `/api/keys/{key_id}/usage` and its like.

What this server has counted is written before it is read, so the answers of a single server are exact.
"""

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from logboom.asgi.respond import json_response
from logboom.keys import usage_wire as wire
from logboom.keys.hygiene import Signs, findings
from logboom.keys.impact import assess
from logboom.keys.key import Caller, Key
from logboom.keys.keys import Keys
from logboom.keys.recent import DAY_MS
from logboom.keys.usage_flush import UsageFlush
from logboom.keys.usage_report import last_used_ms, report_usage, sum_of
from logboom.keys.usage_repository import UsageRepository


class UsageRoutes:
    """Handlers. Another account's key is answered as an absent one; a deleted one is still known."""

    def __init__(self, keys: Keys, usage: UsageRepository, flush: UsageFlush, *, now_ms: Callable[[], int]) -> None:
        self._keys, self._usage, self._flush, self._now_ms = keys, usage, flush, now_ms

    async def get_usage(self, request: Request, caller: Caller) -> Response:
        """The use of one key by hour and value, and who its newest users are."""
        asked = wire.parse_range(request.query_params, self._now_ms())
        key_id = request.path_params["key_id"]
        return json_response(await run_in_threadpool(self._report_usage, caller.account_id, key_id, asked))

    async def get_impact(self, request: Request, caller: Caller) -> Response:
        """What would happen if the key were removed now."""
        return json_response(await run_in_threadpool(self._assess, caller, request.path_params["key_id"]))

    async def list_findings(self, _request: Request, caller: Caller) -> Response:
        """Which keys of the account want looking after."""
        return json_response(await run_in_threadpool(self._find, caller.account_id))

    def _report_usage(self, account_id: str, key_id: str, asked: wire.Range) -> dict[str, object]:
        key = self._keys.get(account_id, key_id, is_live=False)
        self._flush.flush()
        hours = self._usage.hours(account_id, key_id, from_ms=asked.from_ms, to_ms=asked.to_ms)
        users = self._usage.users(account_id, key_id)
        return wire.render_usage(key, asked, report_usage(key, hours, users))

    def _assess(self, caller: Caller, key_id: str) -> dict[str, object]:
        self._flush.flush()
        now_ms = self._now_ms()
        key = self._keys.get(caller.account_id, key_id, is_live=False)
        hours = self._usage.hours(caller.account_id, key_id, from_ms=now_ms - DAY_MS, to_ms=now_ms)
        kept = self._usage.users(caller.account_id, key_id)
        impact = assess(key, kept, self._flush.recent.users(key_id, now_ms), sum_of(hours.values()), now_ms)
        return wire.render_impact(key, impact, now_ms, is_own=key_id == caller.key_id)

    def _find(self, account_id: str) -> dict[str, object]:
        self._flush.flush()
        signs = self._usage.signs(account_id)
        known = [
            Signs(
                key=key,
                rotated_ms=kept.rotated_ms,
                url_seen_ms=kept.url_seen_ms,
                leaked_ms=kept.leaked_ms,
                old_value_used_ms=self._old_value_used_ms(key),
            )
            for key in self._keys.list_keys(account_id)
            if (kept := signs.get(key.id))
        ]
        return wire.render_findings(findings(known, self._now_ms()))

    def _old_value_used_ms(self, key: Key) -> int | None:
        """When the old value of an overlap was last used; None for a key that has one value only."""
        if key.retiring_until_ms is None:
            return None
        return last_used_ms(key.generation - 1, {}, self._usage.users(key.account_id, key.id))
