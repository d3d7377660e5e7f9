"""Mezmo's spelling of exported lines. The line store writes the lines themselves; here is what stands around them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from logboom.store import Cursor


@dataclass(frozen=True)
class Page:
    """Lines of one answer, and where the next page begins; None when there are no more."""

    lines: list[bytes]
    last: Cursor | None


def cut_page(chunks: Iterable[bytes], *, lines_max: int, bytes_max: int) -> Page:
    """The page that *chunks* of placed lines begin with. It is full with so many lines, or so many bytes."""
    lines: list[bytes] = []
    size = 0
    for row in _rows(chunks):
        ts_ms, line_id, line = row.split(b"\t", 2)
        lines.append(line)
        size += len(line)
        if len(lines) >= lines_max or size >= bytes_max:
            return Page(lines, Cursor(ts_ms=int(ts_ms), line_id=int(line_id)))
    return Page(lines, None)


def _rows(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        yield from chunk.split(b"\n")[:-1]


def render_page(lines: list[bytes], pagination_id: str | None) -> bytes:
    """One page of /v2/export; *pagination_id* is null on the last one."""
    return b'{"lines":[%s],"pagination_id":%s}' % (b",".join(lines), msgspec.json.encode(pagination_id))
