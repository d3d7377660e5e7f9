"""Brings the database's tables up to this release, at every start.

Alembic runs inside the program, on the steps packaged in `migrations/`: an operator has no second command to remember.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from logboom.database.engine import reading, writing

MIGRATIONS = Path(__file__).with_name("migrations")

# Two servers that start together must not migrate together; SQLite's write transaction keeps them apart by itself.
# The number is this program's own and means nothing else.
LOCK_MIGRATIONS = text("SELECT pg_advisory_xact_lock(5496152001)")


def migrate(engine: Engine) -> None:
    """Apply every migration that is missing, all in one transaction. Raises Unavailable."""
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(LOCK_MIGRATIONS)
        command.upgrade(_config(connection), "head")


def is_current(engine: Engine) -> bool:
    """Whether the tables are those of this release. Raises Unavailable."""
    with reading(engine) as connection:
        newest = ScriptDirectory.from_config(_config(connection)).get_current_head()
        return MigrationContext.configure(connection).get_current_revision() == newest


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
