"""The embedded engine: chDB, ClickHouse's engine in this process, with a pool of connections.

One engine and one folder a process; each connection runs one query at a time, side by side with the others, and the
engine lets go of Python's lock while it works. A streamed result holds its connection until it is closed.
"""

import queue
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import structlog

from logboom.errors import LineStoreBroken, Unavailable
from logboom.query import Parameter

log = structlog.get_logger(__name__)

CONNECTION_WAIT_S: Final = 20
CLOSE_WAIT_S: Final = 10
ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})
QUOTED_ESCAPES: Final = str.maketrans({"\\": "\\\\", "'": "\\'", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})
CODE: Final = re.compile(r"Code: (\d+)\.")


class EngineError(Exception):
    """The engine refused or failed a statement; *code* is ClickHouse's error number. For the operator only."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        found = CODE.search(text)
        self.code = int(found[1]) if found else 0


class Engine:
    """A pool of connections to the one engine of this process. Two pools on one folder share the engine."""

    def __init__(self, folder: Path, *, connections: int, memory_bytes_max: int, threads: int = 0) -> None:
        """Open the engine on *folder*, or join it. Raises LineStoreBroken."""
        from chdb import connect  # importing it takes most of a second, which `logboom --help` need not wait for

        self._pool: queue.LifoQueue[Any] = queue.LifoQueue()
        self._connections: list[Any] = []
        try:
            for _ in range(connections):
                self._connections.append(connect(str(folder)))
        except RuntimeError as cause:
            raise LineStoreBroken(f"The line store in {folder} cannot be opened: {cause}") from cause
        for connection in self._connections:
            for statement in _session_settings(memory_bytes_max, threads):
                connection.query(statement)
            self._pool.put(connection)

    def execute(self, sql: str, parameters: Mapping[str, Parameter] | None = None) -> None:
        """Run a statement whose result is of no interest. Raises EngineError."""
        self.query(sql, parameters)

    def query(self, sql: str, parameters: Mapping[str, Parameter] | None = None, form: str = "TSVRaw") -> bytes:
        """The whole result in ClickHouse's format *form*. Raises EngineError, and Unavailable when all are busy."""
        with self._connection() as connection, _translated():
            return bytes(connection.query(sql, form, params=_rendered(parameters)).bytes())

    def stream(self, sql: str, parameters: Mapping[str, Parameter] | None = None) -> Generator[bytes, None, None]:
        """The result, a text a row, in chunks as the engine makes them. Closing the iterator cancels the query."""
        with self._connection() as connection, _translated():
            result = connection.send_query(sql, "TSVRaw", params=_rendered(parameters))
            try:
                for chunk in result:
                    yield bytes(chunk.bytes())
            finally:
                result.close()

    def close(self) -> None:
        """Wait a while for running queries and close the connections. What does not end ends with the process."""
        for _ in self._connections:
            try:
                self._pool.get(timeout=CLOSE_WAIT_S).close()
            except queue.Empty:
                log.warning("engine.query_outlived_the_server")
                return

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        try:
            connection = self._pool.get(timeout=CONNECTION_WAIT_S)
        except queue.Empty:
            raise Unavailable("Too many searches are running. Please retry.") from None
        try:
            yield connection
        finally:
            self._pool.put(connection)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except RuntimeError as cause:
        raise EngineError(str(cause)) from cause


def _session_settings(memory_bytes_max: int, threads: int) -> list[str]:
    chosen = [f"SET max_threads = {int(threads)}"] if threads else []
    return [
        *chosen,
        "SET max_insert_threads = 1",
        "SET max_execution_time = 120",
        f"SET max_memory_usage = {int(memory_bytes_max)}",
        "SET session_timezone = 'UTC'",
        "SET output_format_json_quote_64bit_integers = 0",
        "SET output_format_json_escape_forward_slashes = 0",
    ]


def _rendered(parameters: Mapping[str, Parameter] | None) -> dict[str, object]:
    return {name: _rendered_value(value) for name, value in (parameters or {}).items()}


def _rendered_value(value: Parameter) -> object:
    """Parameters reach the engine as escaped text: strings as in its TSV format, arrays as a literal."""
    if isinstance(value, str):
        return value.translate(ESCAPES)
    if isinstance(value, tuple):
        return "[" + ",".join("'" + item.translate(QUOTED_ESCAPES) + "'" for item in value) + "]"
    return value
