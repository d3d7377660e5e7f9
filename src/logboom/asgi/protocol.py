"""Uvicorn's HTTP/1.1 protocol, made to take what real senders write and to bound what strangers write.

- Fluent Bit puts a hostname with a blank into the address as it is. A strict parser refuses the request, Fluent Bit
  sends it again and again, and its lines are never accepted; so blanks in the address are encoded first.
- Heads, trailers and chunk extensions are bounded: the parser below would take them at any length.
- What does not move is closed, and so many connections are served at once.
- What is no HTTP is told so in the wire's shape, after the answers to what came before it on the connection.
"""

import asyncio
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from logboom.asgi.edge import refuse_connection
from logboom.asgi.stalls import StallWatch
from logboom.limits import (
    CONNECTIONS_MAX,
    CONNECTIONS_REFUSED_MAX,
    REFUSED_BODY_DRAIN_BYTES_MAX,
    REQUEST_HEAD_BYTES_MAX,
    STALL_S,
)

METHODS: Final = (b"GET", b"POST", b"PUT", b"DELETE")
VERSIONS: Final = (b"HTTP/1.1", b"HTTP/1.0")
REFUSAL: Final = b"""\
HTTP/1.1 %d %s\r
content-type: application/json; charset=utf-8\r
content-length: %d\r
connection: close\r
\r
%s"""


class LenientProtocol(HttpToolsProtocol):
    """One connection."""

    stall_s = STALL_S
    connections_max = CONNECTIONS_MAX
    connections_refused_max = CONNECTIONS_REFUSED_MAX

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._line = bytearray()  # what came of a request whose first line is not whole yet
        self._is_between_requests = True
        self._is_in_body = False
        self._bytes_without_body = 0  # that came since the last byte of a body, or since the last request
        self._refusal = b""
        self._is_refused = False  # the refusal is written; what still comes is dropped
        self._dropped_bytes = 0
        self._watch: StallWatch | None = None

    # -- asyncio ------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        excess = len(self.connections) - self.connections_max
        if excess > self.connections_refused_max:
            transport.abort()
            return
        if excess > 0:
            self.app = refuse_connection
        self._watch = StallWatch(self.loop, transport, is_sender_due=self._is_sender_due, stall_s=self.stall_s)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch:
            self._watch.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refusal:
            self._drop(data)
            return
        if self._watch:
            self._watch.received()
        received = self._whole_line(data) if self._is_between_requests else data
        if not received:
            self._unset_keepalive_if_required()
            return
        self._bytes_without_body += len(received)
        super().data_received(received)
        if self._bytes_without_body > REQUEST_HEAD_BYTES_MAX:
            self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request's address and headers are too long.")

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._watch:
            self._watch.paced()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._watch:
            self._watch.paced()

    # -- the parser ---------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._is_between_requests = False
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_in_body:  # trailers come when the headers have been acted upon, and are dropped
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_in_body = True
        self._bytes_without_body = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._bytes_without_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_in_body = False
        self._is_between_requests = True
        self._bytes_without_body = 0
        super().on_message_complete()

    # -- answers ------------------------------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        is_last = not self.pipeline
        super().on_response_complete()
        if is_last and self._refusal:
            self._say_refusal()

    def send_400_response(self, msg: str) -> None:
        self.refuse(HTTPStatus.BAD_REQUEST, msg)

    def refuse(self, status: HTTPStatus, text: str) -> None:
        """Answer what never became a request, or not a whole one, and close; earlier requests are answered first."""
        if self._refusal:
            return
        body = b'{"error":"%s","code":"BadRequest","status":"error"}' % text.encode()
        self._refusal = REFUSAL % (status, status.phrase.encode(), len(body), body)
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if is_answering and self._is_in_body and self.pipeline:
            self.pipeline.popleft()  # the broken request itself, which waits for those before it
        elif is_answering and self._is_in_body:
            self._break_off()
        elif not is_answering:
            self._say_refusal()

    def _break_off(self) -> None:
        """The broken request is being answered: whoever reads its body learns that no more of it comes."""
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        if self.cycle.response_started:
            self.transport.close()
        else:
            self._say_refusal()

    def _say_refusal(self) -> None:
        """Write it and end our side. The sender's side is read on: closing resets it, which hides the answer."""
        if not self.transport.is_closing():
            self._is_refused = True
            self.transport.write(self._refusal)
            self.transport.write_eof()
            self.flow.resume_reading()

    def _drop(self, received: bytes) -> None:
        self._dropped_bytes += len(received)
        if self._dropped_bytes > REFUSED_BODY_DRAIN_BYTES_MAX:
            self.transport.abort()

    # -- what is not whole --------------------------------------------------------------------------------------------

    def _whole_line(self, received: bytes) -> bytes:
        """What has come of the request, mended, once its first line is whole; nothing until then."""
        # Mezmo: Fluent Bit puts hostname, mac and ip into the address without encoding. mezmo-api 5.1
        searched = len(self._line)
        self._line += received
        is_cut_off = self._line.find(b"\n", searched) < 0 and len(self._line) <= REQUEST_HEAD_BYTES_MAX
        if is_cut_off and _begins_request(bytes(self._line[:10])):
            return b""
        start = bytes(self._line)
        self._line.clear()
        return encode_blanks(start)

    def _is_sender_due(self) -> bool:
        """Whether nothing goes on here unless the sender sends: a request is not whole, or there never was one."""
        if self._refusal or self.flow.read_paused:
            return self._is_refused
        if self.cycle is not None and not self.cycle.response_complete:
            return self.cycle.more_body and not self.pipeline
        return self.timeout_keep_alive_task is None


def encode_blanks(start: bytes) -> bytes:
    """The first bytes of a request, with blanks inside its address encoded."""
    end = start.find(b"\n", 0, REQUEST_HEAD_BYTES_MAX)
    line = start[: max(end, 0)]
    method, _, rest = line.removesuffix(b"\r").partition(b" ")
    address, _, version = rest.rpartition(b" ")
    is_sound = method in METHODS and address.startswith(b"/") and version in VERSIONS
    if not is_sound or not line.endswith(b"\r") or b"\r" in address:
        return start
    return b"%s %s %s\r%s" % (method, address.replace(b" ", b"%20"), version, start[end:])


def _begins_request(start: bytes) -> bool:
    return any(start.startswith(method + b" /") or (method + b" /").startswith(start) for method in METHODS)
