"""Whether a key that opens keeps within what is set for it: its scopes, its network, its limits, its narrowing.

A key without any of that costs a comparison with None. Everything is in memory, and nothing waits.
"""

from collections.abc import Collection, Iterable

from logboom.keys.key import Caller, KeyKind
from logboom.keys.meter import Meter
from logboom.keys.scopes import Scope, lacking
from logboom.keys.terms import Limits, OnExcess
from logboom.keys.verdict import Refusal, Refused
from logboom.limits import HELD_RETRY_AFTER_S_MAX

TOO_LARGE = "The batch is more than the key may send on one day."


class Bounds:
    """The checks after the verdict; each returns why the key is refused, None when it is not."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def find_misuse(self, caller: Caller, address: str, scopes: Collection[Scope]) -> Refused | None:
        """Whether the key is used from where, and for what, it may be. In a dry run the refusal says that it is one."""
        network = caller.terms.network if caller.terms else None
        if missing := lacking(caller.scopes, scopes):
            return Refused(caller=caller, refusal=Refusal.SCOPE_MISSING, scopes=missing)
        if network is not None and not network.admits(address):
            return Refused(caller=caller, refusal=Refusal.ADDRESS, is_dry_run=network.dry_run)
        return None

    def find_excess(self, caller: Caller, *, is_counted: bool) -> Refused | None:
        """Whether the key is used too often, or has sent all of today's already; a request that *is counted* counts."""
        limits = caller.terms.limits if caller.terms else None
        if limits is None:
            return None
        if limits.is_daily and self._meter.is_full(caller.key_id, limits):
            return self._full(caller, limits)
        if limits.requests_per_s is None:
            return None
        wait_s = self._meter.wait_s(caller.key_id, limits.requests_per_s, is_counted=is_counted)
        return _excess(caller, limits, Refusal.RATE, wait_s) if wait_s else None

    def find_misfit(self, caller: Caller, lines: bytes, *, app: str, host: str, tags: Iterable[str]) -> Refused | None:
        """Whether the key may send all that is in a batch. A long one takes its time: call it from a thread then."""
        narrowing = caller.terms.narrowing if caller.terms else None
        detail = narrowing and narrowing.find_misfit(lines, app=app, host=host, tags=tags)
        return Refused(caller=caller, refusal=Refusal.NARROWED, detail=detail) if detail else None

    def count(self, caller: Caller, *, lines: int, body_bytes: int) -> Refused | None:
        """Count a batch as sent, unless the day would be exceeded by it."""
        limits = caller.terms.limits if caller.terms else None
        if limits is None or not limits.is_daily:
            return None
        if self._meter.add(caller.key_id, limits, lines=lines, body_bytes=body_bytes):
            return None
        lines_max, bytes_max = limits.lines_per_day, limits.bytes_per_day
        can_never_fit = lines > (lines_max or lines) or body_bytes > (bytes_max or body_bytes)
        return self._full(caller, limits, detail=TOO_LARGE if can_never_fit else "")

    def take_back(self, caller: Caller, *, lines: int, body_bytes: int) -> None:
        """A batch that was counted was not accepted."""
        if caller.terms and caller.terms.limits and caller.terms.limits.is_daily:
            self._meter.take_back(caller.key_id, lines=lines, body_bytes=body_bytes)

    def _full(self, caller: Caller, limits: Limits, *, detail: str = "") -> Refused:
        return _excess(caller, limits, Refusal.DAY_FULL, self._meter.left_s(), detail=detail)


def _excess(caller: Caller, limits: Limits, refusal: Refusal, wait_s: int, *, detail: str = "") -> Refused:
    is_held = caller.kind is KeyKind.INGESTION and limits.on_excess is not OnExcess.REFUSE
    # Who keeps its lines meanwhile looks again soon: the limit may be raised.
    retry_after_s = min(wait_s, HELD_RETRY_AFTER_S_MAX) if is_held else wait_s
    return Refused(caller=caller, refusal=refusal, retry_after_s=retry_after_s, detail=detail, is_held=is_held)
