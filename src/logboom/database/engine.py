"""Opens the control plane's database and runs transactions on it.

SQLite and PostgreSQL differ in how writers meet. SQLite lets one write at a time, and a transaction that has read and
then wants to write may be refused at once; so a transaction says beforehand whether it writes. What goes wrong between
us and the database is our trouble, never the client's, and becomes `Unavailable`.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import ArgumentError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from logboom.errors import SettingsInvalid, Unavailable

BUSY_TIMEOUT_MS = 10_000
WRITES = "logboom_writes"  # names the execution option of a connection that is going to write
AFTER_COMMIT = "logboom_after_commit"  # names the one with what is to be called once that has been committed

# The patience comes first, for the next line may already meet another process. WAL lets readers and the one writer work
# side by side; FULL syncs every commit, so that what was answered survives a power cut; SQLite checks no foreign key
# unless told.
SQLITE_PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)

# A database that cannot be reached is noticed within seconds: without these a lost packet hangs a connection for hours.
POSTGRESQL_REACHED = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 8_000,
    # A server that was paused in the middle of a transaction must not keep all others from revoking keys.
    "options": "-c idle_in_transaction_session_timeout=10s",
}


def open_database(url: str) -> Engine:
    """An engine for `sqlite:///FILE` or `postgresql+psycopg://...`. Connects later. Raises SettingsInvalid."""
    try:
        reached = POSTGRESQL_REACHED if url.startswith("postgresql") else {}
        engine = create_engine(url, pool_pre_ping=True, hide_parameters=True, connect_args=reached)
    except (ArgumentError, ImportError, ValueError) as cause:
        raise SettingsInvalid("The database URL must be sqlite:///FILE or postgresql+psycopg://...") from cause
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        event.listen(engine, "do_connect", _FirstOnly())
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One transaction that only reads. Raises Unavailable."""
    with _trouble_is_ours(), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes: committed at the end, rolled back on an exception. Raises Unavailable."""
    calls: list[Callable[[], None]] = []
    with (
        _trouble_is_ours(),
        engine.connect().execution_options(**{WRITES: True, AFTER_COMMIT: calls}) as connection,
        connection.begin(),
    ):
        yield connection
    for call in calls:
        call()


def after_commit(connection: Connection, call: Callable[[], None]) -> None:
    """Have *call* called when the transaction that `writing` began has been committed. It must not raise."""
    connection.get_execution_options()[AFTER_COMMIT].append(call)


@contextmanager
def _trouble_is_ours() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolExhausted) as cause:
        raise Unavailable from cause
    except InternalError as cause:  # how the driver names the end of a session by one of the database's timeouts
        if not cause.connection_invalidated:
            raise
        raise Unavailable from cause


class _FirstOnly:
    """Lets the first connection make the file. A later one must not put an empty file in the place of a lost one."""

    def __init__(self) -> None:
        self._is_made = False

    def __call__(self, _dialect: object, _record: object, arguments: list[str], _named: object) -> None:
        if self._is_made and not Path(arguments[0]).exists():
            raise sqlite3.OperationalError("the database's file is not at its place any more")
        self._is_made = True


def _prepare_sqlite(dbapi_connection: Any, _record: object) -> None:
    # The driver's own BEGIN comes late and is always deferred; None hands transactions to _begin_sqlite.
    dbapi_connection.isolation_level = None
    for pragma in SQLITE_PRAGMAS:
        dbapi_connection.execute(pragma).close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock first: a deferred one that has read an older state is refused without any waiting.
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
