"""A search: the query and the filters of one account, its time range, and the place where the next page begins."""

import base64
import hashlib
import hmac
import struct
from dataclasses import dataclass, replace
from typing import Final

from logboom.errors import BadCursor, Detail
from logboom.query import compile_query, parse_query
from logboom.store import Cursor, Selection

EARLIEST_MS: Final = -2_208_988_800_000  # 1900
LATEST_MS: Final = 10_413_791_999_999  # 2299-12-31
CURSOR: Final = struct.Struct(">qQ8s")


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a person asks for. Times are epoch milliseconds, both ends included; lists are ORed, their filters ANDed."""

    account_id: str
    query: str = ""
    from_ms: int
    to_ms: int
    hosts: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    newest_first: bool = True
    lines_max: int = 10_000

    def selection(self, after: Cursor | None = None, *, with_place: bool = False) -> Selection:
        """As the line store takes it; *with_place* asks for each line's place too. Raises QuerySyntaxError."""
        return Selection(
            account_id=self.account_id,
            from_ms=self.from_ms,
            to_ms=self.to_ms,
            predicate=compile_query(parse_query(self.query)),
            hosts=self.hosts,
            apps=self.apps,
            levels=self.levels,
            tags=self.tags,
            newest_first=self.newest_first,
            lines_max=self.lines_max,
            after=after,
            with_place=with_place,
        )

    def fingerprint(self) -> bytes:
        """Eight bytes that tell this search from others, whatever the size of a page."""
        return hashlib.blake2b(repr(replace(self, lines_max=0)).encode(), digest_size=8).digest()


def render_cursor(search: Search, last: Cursor) -> str:
    """A pagination_id: the last line's place, bound to the search it belongs to."""
    packed = CURSOR.pack(last.ts_ms, last.line_id, search.fingerprint())
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def parse_cursor(search: Search, text: str) -> Cursor:
    """The place that `render_cursor` gave for the same search. Raises BadCursor."""
    try:
        ts_ms, line_id, fingerprint = CURSOR.unpack(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, struct.error):
        raise BadCursor(Detail('"pagination_id" is not one that this server gave', "pagination_id")) from None
    # The fingerprint is no signature: whoever knows the account's id can make one for a time that no line has.
    if not EARLIEST_MS <= ts_ms <= LATEST_MS or not hmac.compare_digest(fingerprint, search.fingerprint()):
        raise BadCursor(Detail('"pagination_id" belongs to another query', "pagination_id"))
    return Cursor(ts_ms=ts_ms, line_id=line_id)
