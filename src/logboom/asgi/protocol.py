"""Uvicorn's HTTP/1.1 protocol, made to take what real senders write and to bound what strangers write.

- Fluent Bit puts a hostname with a blank into the address as it is. A strict parser refuses the request, Fluent Bit
  sends it again and again, and its lines are never accepted; so blanks in the address are encoded first.
- The head of a request is bounded: the parser below would keep headers of any length.
- What is no HTTP is told so in the wire's shape.
"""

import re
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from logboom.limits import REQUEST_HEAD_BYTES_MAX

REQUEST_LINE: Final = re.compile(rb"(GET|POST|PUT|DELETE) (/[^\r\n]* [^\r\n]*) (HTTP/1\.[01])\r\n")
REFUSAL: Final = b"""\
HTTP/1.1 %d %s\r
content-type: application/json; charset=utf-8\r
content-length: %d\r
connection: close\r
\r
%s"""


class LenientProtocol(HttpToolsProtocol):
    """One connection. `_head_bytes` counts what came since the last request; None within a body."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes: int | None = 0

    def data_received(self, data: bytes) -> None:
        # Mezmo: Fluent Bit puts hostname, mac and ip into the address without encoding. mezmo-api 5.1
        received = encode_blanks(data) if self._head_bytes == 0 else data
        if self._head_bytes is not None:
            self._head_bytes += len(received)
        super().data_received(received)
        if self._head_bytes is not None and self._head_bytes > REQUEST_HEAD_BYTES_MAX:
            self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request's address and headers are too long.")

    def on_headers_complete(self) -> None:
        self._head_bytes = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self.refuse(HTTPStatus.BAD_REQUEST, msg)

    def refuse(self, status: HTTPStatus, text: str) -> None:
        """Answer what never became a request, and close."""
        body = b'{"error":"%s","code":"BadRequest","status":"error"}' % text.encode()
        self.transport.write(REFUSAL % (status, status.phrase.encode(), len(body), body))
        self.transport.close()


def encode_blanks(head: bytes) -> bytes:
    """The first bytes of a request, with blanks inside its address encoded."""
    found = REQUEST_LINE.match(head)
    if not found:
        return head
    method, address, version = found.groups()
    return b"%s %s %s\r\n%s" % (method, address.replace(b" ", b"%20"), version, head[found.end() :])
