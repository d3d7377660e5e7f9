"""Whether the server lives, whether it can work, and its figures."""

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from logboom.asgi.respond import json_response
from logboom.errors import Unavailable


class HealthRoutes:
    """Handlers for those who watch over the server."""

    def __init__(self, *, is_ready: Callable[[], bool], registry: CollectorRegistry) -> None:
        self._is_ready, self._registry = is_ready, registry

    async def live(self, _request: Request) -> Response:
        """`GET /healthz`: the process answers."""
        return json_response({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        """`GET /readyz`: 200 once lines can be accepted and found."""
        if not self._is_ready():
            raise Unavailable("The server is starting or cannot store lines.")
        return json_response({"status": "ok"})

    async def metrics(self, _request: Request) -> Response:
        """`GET /metrics`: Prometheus text."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)
