"""One round's bodies as a file that the engine reads: RowBinary, a row a batch."""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from logboom.spool import SpooledBatch

UINT64: Final = struct.Struct("<Q")
INT64: Final = struct.Struct("<q")
VARINT_BITS: Final = 7


def write_round(path: Path, batches: Iterable[SpooledBatch]) -> None:
    """Write the rows that explode.sql reads. The file is scratch: after a crash it is written anew."""
    with path.open("wb") as file:
        for batch in batches:
            file.writelines(_row(batch))


def _row(batch: SpooledBatch) -> Iterator[bytes]:
    envelope = batch.envelope
    yield UINT64.pack(batch.seq)
    yield from _text(envelope.account_id)
    yield INT64.pack(envelope.received_ms)
    yield from _text(envelope.hostname)
    yield from _text(envelope.app)
    for texts in (envelope.tags, envelope.cut):
        yield _varint(len(texts))
        for text in texts:
            yield from _text(text)
    for text in (envelope.ip, envelope.ip_remote, envelope.mac, envelope.user_agent):
        yield from _text(text)
    yield _varint(len(batch.body))
    yield batch.body


def _text(text: str) -> tuple[bytes, bytes]:
    encoded = text.encode("utf-8", errors="replace")
    return _varint(len(encoded)), encoded


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >> VARINT_BITS:
        out.append(number & 0x7F | 0x80)
        number >>= VARINT_BITS
    out.append(number)
    return bytes(out)
