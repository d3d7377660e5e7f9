"""What the rest of Logboom may ask of the line store. Adapters differ; answers do not."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from logboom.query import Parameter, Predicate


class Cursor(NamedTuple):
    """A place between two lines: after the line with this time and id, in the order of the selection."""

    ts_ms: int
    line_id: int


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which lines of one account, in which order, and how many. Both ends of the time range belong to it."""

    account_id: str
    from_ms: int
    to_ms: int
    predicate: Predicate = field(default_factory=lambda: Predicate(sql="1", parameters={}))
    hosts: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    newest_first: bool = True
    lines_max: int = 10_000
    after: Cursor | None = None
    with_place: bool = False


@dataclass(frozen=True, kw_only=True)
class Rows:
    """New lines: a SELECT over the mill's tables in the order of the table's columns, and the range of their ids."""

    sql: str
    parameters: Mapping[str, Parameter]
    first_id: int
    last_id: int


class LineStore(Protocol):
    """The port. Every method may raise errors.Unavailable, and blocks: call it from a thread."""

    def append(self, rows: Rows, *, again: bool = False) -> None:
        """Insert *rows* durably. *again*: some or all of them may be there already, and are not inserted twice."""
        ...

    def select(self, selection: Selection) -> Generator[bytes, None, None]:
        """The lines as JSON Lines (members of mezmo-api 6.3), in chunks of whole lines, in constant memory.

        With `with_place` each begins with its time in epoch milliseconds, a tab, its id and a tab.

        Whoever leaves it before its end must close it: it holds one of few connections.
        """
        ...

    def count(self, selection: Selection) -> int:
        """How many lines a selection has, `lines_max` and order aside."""
        ...

    def close(self) -> None:
        """End running work and let go of the files."""
        ...
