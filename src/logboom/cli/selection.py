"""Which lines a command is about: the options that `search` and `export` share."""

import time
from dataclasses import dataclass
from typing import Annotated, Final

from cyclopts import Parameter

from logboom.cli.times import parse_moment
from logboom.client import Selection

Names = list[str] | None


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Lines:
    """Filters: entries of one kind are alternatives, different kinds must all match."""

    since: Annotated[
        str | None, Parameter(name="--from", help="First moment: 15m, 2h, 1d (ago), ISO 8601, or an epoch in s or ms.")
    ] = None
    until: Annotated[str | None, Parameter(name="--to", help="Last moment, in the same forms.")] = None
    hosts: Annotated[Names, Parameter(name="--host", help="Only this host; repeat for more.")] = None
    apps: Annotated[Names, Parameter(name="--app", help="Only this app; repeat for more.")] = None
    levels: Annotated[Names, Parameter(name="--level", help="Only this level; repeat for more.")] = None
    tags: Annotated[Names, Parameter(name="--tag", help="Only this tag; repeat for more.")] = None

    def select(self, query: str) -> Selection:
        now_ms = time.time_ns() // 1_000_000
        return Selection(
            query=query,
            from_ms=None if self.since is None else parse_moment(self.since, option="--from", now_ms=now_ms),
            to_ms=None if self.until is None else parse_moment(self.until, option="--to", now_ms=now_ms),
            hosts=self.hosts or (),
            apps=self.apps or (),
            levels=self.levels or (),
            tags=self.tags or (),
        )


ALL_LINES: Final = Lines()
