"""Tells that something may have been committed to the control plane's database, by whatever process.

SQLite answers that question itself, from memory that all its processes share, in about a microsecond. PostgreSQL sends
notifications to who listens. Both are only hints: a notification may be lost, so whoever relies on them asks now and
then without one.
"""

import os
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, Final

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from logboom.errors import Unavailable

log = structlog.get_logger(__name__)

CHANNEL: Final = "logboom_keys"
LISTEN_S: Final = 0.25  # how long one wait for notifications lasts; a stop is noticed in between
AGAIN_S: Final = 0.25


class SqliteWatch:
    """Whether anything was committed, by one look at the memory that SQLite's processes share. For one thread."""

    def __init__(self, engine: Engine) -> None:
        self._path = str(engine.url.database)
        self._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self._ask = self._connection.cursor().execute  # one cursor for all: a new one costs a quarter more
        self._identity = _identity(self._path)

    def probe(self) -> object:
        """What differs from the last time when any other connection has committed since. Raises sqlite3.Error."""
        return self._ask("PRAGMA data_version").fetchone()

    def check(self) -> None:
        """Raises Unavailable when the file has been removed or replaced: open connections still see the old one."""
        try:
            identity = _identity(self._path)
        except OSError as cause:
            raise Unavailable from cause
        if identity != self._identity:
            raise Unavailable

    def close(self) -> None:
        self._connection.close()


class PostgresWatch:
    """Listens for notifications in a thread of its own and calls *wake* for each, and after every reconnect."""

    def __init__(self, engine: Engine, wake: Callable[[], None]) -> None:
        self._engine, self._wake = engine, wake
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="key-listener", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except Exception as error:  # noqa: BLE001 -- the edge of this thread: it must outlive the database
                log.warning("keys.listener_lost", error=type(error).__name__)
                self._stopping.wait(AGAIN_S)

    def _listen(self) -> None:
        connection = _own_connection(self._engine)
        try:
            connection.autocommit = True
            connection.execute(f"LISTEN {CHANNEL}")
            self._wake()  # what was committed before is not told of any more
            while not self._stopping.is_set():
                for _ in connection.notifies(timeout=LISTEN_S, stop_after=1):
                    self._wake()
        finally:
            connection.close()


def _own_connection(engine: Engine) -> Any:
    """A driver's connection outside of the pool. Raises Unavailable."""
    try:
        pooled = engine.raw_connection()
    except DBAPIError as cause:
        raise Unavailable from cause
    connection = pooled.driver_connection
    pooled.detach()
    return connection


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)  # noqa: PTH116 -- a path of the database's own, not one of ours
    return found.st_dev, found.st_ino
