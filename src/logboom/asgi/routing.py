"""One explicit table of addresses: method, path, who may ask, and the handler. What is not in it does not exist."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import Receive, Scope, Send

from logboom.errors import MethodNotAllowed

Endpoint = Callable[[Request], Awaitable[Response]]


class Access(Enum):
    """Who may ask. Each but PUBLIC stands for a check that `server.py` puts before the handler."""

    PUBLIC = auto()
    INGESTION_KEY = auto()  # checked by the handler, as the key may stand in the body
    SERVICE_KEY = auto()
    ANY_KEY = auto()  # whoever asks about their own key
    SERVICE_KEY_OR_QUERY = auto()  # also `?servicekey=`, for a client that cannot do otherwise


@dataclass(frozen=True)
class Route:
    """One row of the table; *path* may hold `{name}` parameters."""

    method: str
    path: str
    access: Access
    endpoint: Endpoint


def addresses(routes: Sequence[Route]) -> list[StarletteRoute]:
    """The rows of the table by path, as Starlette's router takes them."""
    paths = dict.fromkeys(route.path for route in routes)
    return [StarletteRoute(path, Address(path, [route for route in routes if route.path == path])) for path in paths]


class Address:
    """One path of the table with its methods, as an ASGI application."""

    def __init__(self, path: str, routes: Sequence[Route]) -> None:
        self._path = path
        self._endpoints = {route.method: route.endpoint for route in routes}
        if "GET" in self._endpoints:
            self._endpoints.setdefault("HEAD", self._endpoints["GET"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route_name"] = self._path
        structlog.contextvars.bind_contextvars(route=self._path)
        if scope["method"] not in self._endpoints:
            raise MethodNotAllowed
        response = await self._endpoints[scope["method"]](Request(scope, receive, send))
        await response(scope, receive, send)
