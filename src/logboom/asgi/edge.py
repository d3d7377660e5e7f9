"""The outermost layer: every request gets an id, a measured answer, and an error in the wire's shape.

It is one of the few places that catch everything. Logs name the route, never the address as asked: query strings
carry keys.
"""

import secrets
import time
from dataclasses import dataclass

import structlog
from prometheus_client import Counter, Histogram
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from logboom.asgi.network import TrustedProxies
from logboom.asgi.respond import render_error
from logboom.errors import LogboomError, Unavailable
from logboom.limits import REFUSED_BODY_DRAIN_BYTES_MAX

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class EdgeMetrics:
    """What the operator sees of the requests."""

    requests: Counter
    seconds: Histogram


class Edge:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, metrics: EdgeMetrics, proxies: TrustedProxies) -> None:
        self._app, self._metrics, self._proxies = app, metrics, proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["path"] = _plain_path(scope["path"])
        if self._proxies and scope.get("client"):
            scope["client"] = self._client_behind(scope)
        exchange = Exchange(receive, send)
        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=secrets.token_hex(8)):
            try:
                await self._app(scope, exchange.receive, exchange.send)
            except ClientDisconnect:
                exchange.status = 499  # the sender left; nobody reads an answer
            except Exception as error:  # noqa: BLE001 -- the edge: every failure becomes an answer
                await exchange.refuse(error, scope)
            self._measure(scope, exchange.status, time.perf_counter() - started)

    def _client_behind(self, scope: Scope) -> tuple[str, int] | None:
        forwarded = b",".join(text for name, text in scope["headers"] if name == b"x-forwarded-for")
        client = self._proxies.client_of(scope["client"][0], forwarded.decode("latin-1"))
        return None if client is None else (client, scope["client"][1])

    def _measure(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route_name", "unknown")
        self._metrics.requests.labels(route, scope["method"][:10], str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        log.debug("request", route=route, method=scope["method"][:10], status=status, ms=round(seconds * 1000, 2))


class Exchange:
    """One request and its answer, watched."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._is_body_read = False
        self.status = 0

    async def receive(self) -> Message:
        message = await self._receive()
        if not message.get("more_body", False):
            self._is_body_read = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)

    async def refuse(self, error: Exception, scope: Scope) -> None:
        """Answer with the error, unless an answer has begun; then only breaking off tells that it is not whole."""
        if not isinstance(error, LogboomError):
            log.error("request.failed", route=scope.get("route_name", "unknown"), exc_info=error)
            error = Unavailable()
        if self.status:
            raise error
        await self.drop_body()
        answer = render_error(error)
        if not self._is_body_read:
            answer.headers["Connection"] = "close"
        await answer(scope, self.receive, self.send)

    async def drop_body(self) -> None:
        """Read what is left of the body: closing on a half-sent one resets the connection and hides the answer."""
        dropped = 0
        while not self._is_body_read and dropped < REFUSED_BODY_DRAIN_BYTES_MAX:
            dropped += len((await self.receive()).get("body", b""))


async def refuse_connection(scope: Scope, receive: Receive, send: Send) -> None:
    """In place of the application on a connection that is one too many. Senders keep their lines on a 504."""
    answer = render_error(Unavailable("Too many connections are open. Please retry."))
    answer.headers["Connection"] = "close"
    exchange = Exchange(receive, send)
    await exchange.drop_body()
    await answer(scope, receive, send)


def _plain_path(path: str) -> str:
    """The path without doubled and trailing slashes: Vector posts to `//logs/ingest`, scripts end with a slash."""
    return "/" + "/".join(part for part in path.split("/") if part)
