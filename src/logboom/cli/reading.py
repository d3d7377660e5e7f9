"""From the bytes of a file or pipe to lines of text: in pieces as they arrive, bounded in memory."""

import os
import select
import time
from collections.abc import Iterator
from typing import Final

CHUNK_BYTES: Final = 1 << 20
# A pipe that trickles is sent on after this time, so that `tail -f` is seen by others about at once.
FLUSH_INTERVAL_S: Final = 0.25
# The server keeps 16 KiB of a line; a file without line breaks must not fill our memory or one request.
LINE_BYTES_MAX: Final = 1 << 20


def read_chunks(descriptor: int) -> Iterator[bytes]:
    """What has arrived, at most CHUNK_BYTES and nothing older than FLUSH_INTERVAL_S, until the end."""
    while chunk := _gather(descriptor):
        yield chunk


def _gather(descriptor: int) -> bytes:
    pieces = [os.read(descriptor, CHUNK_BYTES)]
    size = len(pieces[0])
    due_s = time.monotonic() + FLUSH_INTERVAL_S
    while pieces[-1] and size < CHUNK_BYTES and (left_s := due_s - time.monotonic()) > 0:
        if not select.select([descriptor], [], [], left_s)[0]:
            break
        pieces.append(os.read(descriptor, CHUNK_BYTES - size))
        size += len(pieces[-1])
    return b"".join(pieces)


class LineSplitter:
    """Cuts chunks into lines without their ends (LF or CRLF). `cut` counts lines shortened to LINE_BYTES_MAX."""

    def __init__(self) -> None:
        self.cut = 0
        self._open = bytearray()
        self._overlong = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that *chunk* completes."""
        first, *others = chunk.split(b"\n")
        self._keep(first)
        lines = []
        for piece in others:
            lines.append(self._take())
            self._keep(piece)
        return lines

    def finish(self) -> list[bytes]:
        """The last line when the input does not end with a line break."""
        return [self._take()] if self._open else []

    def _keep(self, piece: bytes) -> None:
        room = LINE_BYTES_MAX - len(self._open)
        self._open += piece[:room]
        self._overlong = self._overlong or len(piece) > room

    def _take(self) -> bytes:
        self.cut += self._overlong
        line = bytes(self._open).removesuffix(b"\r")
        self._open.clear()
        self._overlong = False
        return line
