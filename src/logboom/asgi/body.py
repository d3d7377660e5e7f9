"""Reads request bodies, bounded before and after decompression.

What is left of a refused body is the edge's to drop.
"""

import zlib

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request

from logboom.errors import BodyTooLarge, MalformedBatch

GZIP_WINDOW = 16 + zlib.MAX_WBITS
GZIP_ENCODINGS = frozenset({"gzip", "x-gzip"})
PLAIN_ENCODINGS = frozenset({"", "identity"})


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The body as sent. Raises BodyTooLarge when it is longer than *limit_bytes*."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit_bytes:
            raise BodyTooLarge
        chunks.append(chunk)
    return b"".join(chunks)


async def read_decoded_body(request: Request, limit_bytes: int, *, threads: CapacityLimiter) -> bytes:
    """The body after its Content-Encoding (gzip or none), at most *limit_bytes* long when decoded.

    Decompressing takes one of *threads*, so that other work in threads does not hold it up, nor it other work.

    Raises BodyTooLarge, and MalformedBatch for broken gzip or an encoding that is not supported.
    """
    body = await read_body(request, limit_bytes)
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding in PLAIN_ENCODINGS:
        return body
    if encoding in GZIP_ENCODINGS:
        return await to_thread.run_sync(gunzip, body, limit_bytes, limiter=threads)
    raise MalformedBatch(f"Content-Encoding is not supported: {encoding[:40]}. Send gzip or none.")


def gunzip(body: bytes, limit_bytes: int) -> bytes:
    """Decompress all gzip members of *body*, never holding more than *limit_bytes* of output."""
    output: list[bytes] = []
    left = limit_bytes
    while body:
        inflater = zlib.decompressobj(GZIP_WINDOW)
        try:
            piece = inflater.decompress(body, left + 1)
        except zlib.error as cause:
            raise MalformedBatch("The gzip body cannot be decompressed.") from cause
        left -= len(piece)
        if left < 0:
            raise BodyTooLarge
        if not inflater.eof:
            raise MalformedBatch("The gzip body ends too early.")
        output.append(piece)
        body = inflater.unused_data
    return b"".join(output)
