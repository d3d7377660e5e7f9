"""Accepts request lines with blanks in the address, as Fluent Bit writes them for a hostname with a blank.

The HTTP parser refuses such a request, Fluent Bit sends it again and again, and its lines are never accepted.
"""

import re
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

REQUEST_LINE: Final = re.compile(rb"(GET|POST|PUT|DELETE) (/[^\r\n]* [^\r\n]*) (HTTP/1\.[01])\r\n")


class LenientProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, with blanks in the address of a new request percent-encoded before it is parsed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_between_requests = True

    def data_received(self, data: bytes) -> None:
        if self._is_between_requests:
            self._is_between_requests = False
            # Mezmo: Fluent Bit puts hostname, mac and ip into the address without encoding. mezmo-api 5.1
            data = encode_blanks(data)
        super().data_received(data)

    def on_message_complete(self) -> None:
        self._is_between_requests = True
        super().on_message_complete()


def encode_blanks(data: bytes) -> bytes:
    """The first bytes of a request, with blanks inside its address encoded."""
    found = REQUEST_LINE.match(data)
    if not found:
        return data
    method, address, version = found.groups()
    return b"%s %s %s\r\n%s" % (method, address.replace(b" ", b"%20"), version, data[found.end() :])
