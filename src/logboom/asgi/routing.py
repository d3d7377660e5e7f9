"""One explicit table of addresses: method, path, who may ask, and the handler. What is not in it does not exist."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
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


SERVICE_ACCESS = frozenset({Access.SERVICE_KEY, Access.SERVICE_KEY_OR_QUERY})


@dataclass(frozen=True)
class Route:
    """One row of the table; *path* may hold `{name}` parameters.

    *scopes* are what a service key needs, all of them. A row for service keys names at least one: raises ValueError.
    The *answer* is given the request, and the caller too where the access asks for a key that is checked before.
    """

    method: str
    path: str
    access: Access
    scopes: tuple[str, ...]
    answer: Callable[..., Awaitable[Response]]

    def __post_init__(self) -> None:
        if bool(self.scopes) != (self.access in SERVICE_ACCESS):
            raise ValueError(f"{self.method} {self.path}: scopes are for service keys, and service keys need them")


def addresses(routes: Sequence[Route], guard: Callable[[Route], Endpoint]) -> list[StarletteRoute]:
    """The rows of the table by path, as Starlette's router takes them. *guard* puts the check before the answer."""
    endpoints: dict[str, dict[str, Endpoint]] = {}
    for route in routes:
        endpoints.setdefault(route.path, {})[route.method] = guard(route)
    return [StarletteRoute(path, Address(path, methods)) for path, methods in endpoints.items()]


class Address:
    """One path of the table with its methods, as an ASGI application."""

    def __init__(self, path: str, endpoints: Mapping[str, Endpoint]) -> None:
        self._path = path
        self._endpoints = dict(endpoints)
        if "GET" in self._endpoints:
            self._endpoints.setdefault("HEAD", self._endpoints["GET"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route_name"] = self._path
        structlog.contextvars.bind_contextvars(route=self._path)
        if scope["method"] not in self._endpoints:
            raise MethodNotAllowed
        response = await self._endpoints[scope["method"]](Request(scope, receive, send))
        await response(scope, receive, send)
