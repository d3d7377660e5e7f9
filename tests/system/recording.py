"""Recorded requests of real clients, rebuilt byte for byte as far as a recording allows.

`../shared/fixtures/README.md` describes the files. A body that was compressed is compressed again, one that was chunked
is chunked again, and headers keep their order and case, so that the server meets what is met in the wild.
"""

import base64
import contextlib
import gzip
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

CHUNK_BYTES = 512
ANSWER_TIMEOUT_S = 30
REPLACED_HEADERS = ("host", "content-length", "connection", "expect", "transfer-encoding")


@dataclass(frozen=True)
class Exchange:
    """One recorded request and what the capture server answered."""

    name: str
    request: dict[str, Any]
    status: int | None

    @property
    def path(self) -> str:
        return str(self.request["path"])

    @property
    def is_complete(self) -> bool:
        """Whether the recording holds the whole body; very long ones are kept in part."""
        return "body_text_truncated" not in self.request

    @property
    def has_key(self) -> bool:
        """Whether the request carries credentials; Vector's start-up check carries none."""
        names = {name.lower() for name, _ in self.request["headers"]}
        return bool(names & {"apikey", "authorization"}) or any(name == "apikey" for name, _ in self.request["query"])

    @property
    def body(self) -> bytes:
        """The body before any compression."""
        if "body_base64" in self.request:
            return base64.b64decode(self.request["body_base64"])
        return str(self.request.get("body_text") or "").encode()

    def lines(self) -> list[dict[str, Any]]:
        """The line objects in the body."""
        batch = json.loads(self.body or b"{}")
        found = batch.get("lines", batch.get("ls"))
        return list(found) if found is not None else [batch] if batch else []

    def texts(self) -> list[str]:
        """The text of each line; another JSON value than text stands as its JSON."""
        values = [line.get("line", line.get("message")) for line in self.lines()]
        return [value if isinstance(value, str) else json.dumps(value) for value in values]

    def wire(self, listen_address: tuple[str, int]) -> bytes:
        """The whole request as bytes."""
        body = self.body
        if self.request["content_encoding"] == "gzip":
            body = gzip.compress(body)
        is_chunked = self.request["framing"] == "chunked"
        framing = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {len(body)}"
        kept = [f"{name}: {value}" for name, value in self.request["headers"] if name.lower() not in REPLACED_HEADERS]
        head = [self.request_line(), "Host: {}:{}".format(*listen_address), *kept, framing, "Connection: close", "", ""]
        return "\r\n".join(head).encode("latin-1") + (b"".join(chunks(body)) if is_chunked else body)

    def request_line(self) -> str:
        version = self.request["http_version"]
        target = self.path + (
            "?" + urlencode([tuple(pair) for pair in self.request["query"]], quote_via=quote)
            if self.request["query"]
            else ""
        )
        # A raw blank in an unescaped hostname splits the request line; the recording keeps the rest as the version.
        return f"{self.request['method']} {target} {version}"


def chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), CHUNK_BYTES):
        chunk = body[start : start + CHUNK_BYTES]
        yield b"%x\r\n%s\r\n" % (len(chunk), chunk)
    yield b"0\r\n\r\n"


def exchanges(folder: Path) -> list[Exchange]:
    """Every recorded HTTP request, in the order of its file and its arrival."""
    return [
        Exchange(name=path.stem, request=exchange["request"], status=exchange["response"].get("status"))
        for path in sorted(folder.glob("*.json"))
        for exchange in json.loads(path.read_bytes()).get("exchanges", [])
    ]


def send_raw(url: str, request: bytes) -> tuple[int, bytes]:
    """Send bytes as they are. Returns the status and the body of the answer; status 0 when there is none."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=ANSWER_TIMEOUT_S) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # an answer may come before all is read
            connection.sendall(request)
        answer = read_all(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    return (int(words[1]) if len(words) > 1 else 0), body


def read_all(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            received += piece
    return received
