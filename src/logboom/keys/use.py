"""Reads off a request who uses a key, and tells the counters. It runs on every request, so each step is measured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine
from starlette.requests import Request

from logboom.keys.credentials import Carrier
from logboom.keys.key import Caller, KeyKind
from logboom.keys.meter import Meter
from logboom.keys.usage import AGENT_READ_MAX, HOST_READ_MAX, HOUR_MS, Counters, Use
from logboom.keys.usage_flush import UsageFlush
from logboom.keys.usage_repository import UsageRepository
from logboom.keys.verdict import Refused

USE: Final = "logboom.use"  # where a request's scope keeps what was counted of it
SENDER_HOST: Final = "logboom.sender_host"  # where it keeps the host that a sender named in its body

# The families of addresses, the first that fits.
FAMILIES: Final = (
    ("/logs/agent", "agent"),
    ("/logs/", "logs"),
    ("/v1/config/", "config"),
    ("/v1/export", "export"),
    ("/v2/export", "export"),
    ("/api/", "api"),
)
OTHER_FAMILY: Final = "other"


class UseListener:
    """What the gate and the doors of ingest tell of each request. Nothing here waits."""

    def __init__(self, counters: Counters, *, now_ms: Callable[[], int]) -> None:
        self._counters, self._now_ms = counters, now_ms
        self._dialects: dict[str, str] = {}  # by route; there are only so many

    def admitted(self, request: Request, caller: Caller, carrier: Carrier) -> None:
        now_ms = self._now_ms()
        use = request.scope[USE] = self._use(request, caller, carrier, now_ms)
        self._counters.opened(use, now_ms)

    def refused(self, request: Request, refused: Refused, carrier: Carrier) -> None:
        now_ms = self._now_ms()
        self._counters.refused(self._use(request, refused.caller, carrier, now_ms), now_ms)

    def accepted(self, request: Request, lines: int, body_bytes: int) -> None:
        """Lines of a request that was admitted are safe now."""
        use: Use | None = request.scope.get(USE)
        if use is not None:
            self._counters.accepted(use, self._now_ms(), lines=lines, body_bytes=body_bytes)

    def _use(self, request: Request, caller: Caller, carrier: Carrier, now_ms: int) -> Use:
        scope = request.scope
        client, host, agent = scope.get("client"), scope.get(SENDER_HOST), ""
        # Straight from the list: a look-up by name costs five times as much.
        for name, text in scope["headers"]:
            if name == b"user-agent":
                agent = text.decode("latin-1")[:AGENT_READ_MAX]
                break
        return (
            caller.key_id,
            caller.generation,
            client[0] if client else "",
            agent,
            _stated_host(request, caller) if host is None else host[:HOST_READ_MAX],
            str(carrier),
            self._dialects.get(scope.get("route_name", "")) or self._learn_dialect(scope.get("route_name", "")),
            now_ms - now_ms % HOUR_MS,
        )

    def _learn_dialect(self, route: str) -> str:
        dialect = self._dialects[route] = dialect_of(route)
        return dialect


@dataclass(frozen=True, kw_only=True)
class KeyUse:
    """What counts, keeps and knows the use of keys, put together."""

    listener: UseListener
    flush: UsageFlush
    repository: UsageRepository


def watch_use(
    database: Engine,
    meter: Meter,
    *,
    now_ms: Callable[[], int],
    random: Callable[[], float],
    keep: Callable[[str], str],
    on_written: Callable[[bool], None],
) -> KeyUse:
    """*random* gives a number from 0 to 1, *keep* what may be kept of a sender's text.

    *on_written* is told of each write, and whether it could be done. The *meter* learns what was used already before
    this returns, and after each round. Raises Unavailable.
    """
    repository = UsageRepository(database)

    def teach() -> None:
        day_ms = meter.day_ms
        meter.learn(day_ms, repository.used_of_limited(day_ms))

    teach()
    flush = UsageFlush(repository, random=random, keep=keep, on_written=on_written, on_round=teach)
    return KeyUse(listener=UseListener(flush.counters, now_ms=now_ms), flush=flush, repository=repository)


def dialect_of(route: str) -> str:
    """The family of addresses that a route belongs to."""
    return next((family for beginning, family in FAMILIES if route.startswith(beginning)), OTHER_FAMILY)


def _stated_host(request: Request, caller: Caller) -> str:
    """The host of a sender whose body was not read."""
    if caller.kind is not KeyKind.INGESTION:
        return ""
    return str(request.query_params.get("hostname", ""))[:HOST_READ_MAX]
