"""The embedded adapter of the line store: a MergeTree table in the engine of this process."""

from collections.abc import Generator
from importlib.resources import files
from typing import Final

import structlog

from logboom.errors import Unavailable
from logboom.query import Parameter
from logboom.store.engine import Engine, EngineError
from logboom.store.port import Rows, Selection
from logboom.store.statement import count_statement, select_statement

log = structlog.get_logger(__name__)

# One block, so that a round makes one part in each partition. The text index is left to the merges (ADR 0002).
INSERT: Final = """
INSERT INTO lines
SELECT * FROM (/*rows*/) /*only*/
SETTINGS max_partitions_per_insert_block = 0,
    min_insert_block_size_rows = 100000000, min_insert_block_size_bytes = 0, prefer_column_name_to_alias = 1,
    exclude_materialize_skip_indexes_on_insert = 'line_ngrams'
"""
# Ids follow from the batch and the place in it, so they tell what a round that was cut off has left behind (ADR 0008).
# No account: the ids are those of one spool range.
ONLY_MISSING: Final = """
WHERE line_id NOT IN (SELECT line_id FROM lines WHERE line_id BETWEEN {first_id:UInt64} AND {last_id:UInt64})
"""


class EmbeddedLineStore:
    """See port.LineStore."""

    def __init__(self, *, searches: Engine, inserts: Engine) -> None:
        """Bring the schema up to date. Two pools, so that no number of searches keeps lines from being stored."""
        self._searches, self._inserts = searches, inserts
        schema = files("logboom.store").joinpath("schema")
        for script in sorted(schema.iterdir(), key=lambda script: script.name):
            inserts.execute(script.read_text(encoding="utf-8"))

    def append(self, rows: Rows, *, again: bool = False) -> None:
        sql = INSERT.replace("/*only*/", ONLY_MISSING if again else "").replace("/*rows*/", rows.sql)
        ids: dict[str, Parameter] = {"first_id": rows.first_id, "last_id": rows.last_id} if again else {}
        with _as_unavailable("append"):
            self._inserts.execute(sql, {**rows.parameters, **ids})

    def select(self, selection: Selection) -> Generator[bytes, None, None]:
        statement = select_statement(selection)
        with _as_unavailable("select"):
            yield from self._searches.stream(statement.sql, statement.parameters)

    def count(self, selection: Selection) -> int:
        statement = count_statement(selection)
        with _as_unavailable("count"):
            return int(self._searches.query(statement.sql, statement.parameters))

    def close(self) -> None:
        self._searches.close()
        self._inserts.close()


class _as_unavailable:  # noqa: N801 -- reads as a statement at its uses
    """Turn the engine's failures into Unavailable for the sender and a message for the operator."""

    def __init__(self, work: str) -> None:
        self._work = work

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        if isinstance(error, EngineError):
            log.error("store.failed", work=self._work, code=error.code, error=str(error))
            raise Unavailable from error
