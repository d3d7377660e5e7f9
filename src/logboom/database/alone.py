"""Lets one server at a time do what must be done once for a database, such as its first start."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, text

from logboom.database.engine import reading

# The number is this program's own and means nothing else. A session holds it, so a killed server lets go of it.
TAKE = text("SELECT pg_advisory_lock(5496152002)")
RELEASE = text("SELECT pg_advisory_unlock(5496152002)")


@contextmanager
def alone(engine: Engine) -> Iterator[None]:
    """Wait until no other server is within, and keep others out. Raises Unavailable."""
    if engine.dialect.name == "sqlite":
        # Beside the database, since whoever closes any handle of the database's own file gives up SQLite's locks on it.
        with Path(f"{engine.url.database}.start").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        return
    with reading(engine) as connection:
        connection.execute(TAKE)
        try:
            yield
        finally:
            connection.execute(RELEASE)
