"""Mezmo's spelling of exported lines. The line store writes the lines themselves; here is what stands around them."""

import msgspec

from logboom.store import Cursor


class LinePlace(msgspec.Struct, rename={"ts_ms": "_ts", "line_id": "_id"}):
    """What of an exported line says where the next page begins."""

    ts_ms: int
    line_id: str


_decode_place = msgspec.json.Decoder(LinePlace).decode


def last_place(line: bytes) -> Cursor:
    """The place of an exported line."""
    place = _decode_place(line)
    return Cursor(ts_ms=place.ts_ms, line_id=int(place.line_id))


def render_page(lines: list[bytes], pagination_id: str | None) -> bytes:
    """One page of /v2/export; *pagination_id* is null on the last one."""
    return b'{"lines":[%s],"pagination_id":%s}' % (b",".join(lines), msgspec.json.encode(pagination_id))
