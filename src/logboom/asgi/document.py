"""Answers with one document that does not change while the server runs."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from logboom.asgi.respond import JSON_TYPE


class JsonDocument:
    """A JSON file, read once."""

    def __init__(self, path: Path) -> None:
        self._content = path.read_bytes()

    async def answer(self, _request: Request) -> Response:
        return Response(self._content, media_type=JSON_TYPE)
