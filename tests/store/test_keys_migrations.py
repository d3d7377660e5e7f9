"""The migrations lead to the tables that the program is written for, on both databases."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from logboom.database.engine import open_database, reading, writing
from logboom.database.migrate import migrate
from logboom.database.tables import metadata
from logboom.errors import SettingsInvalid, Unavailable

# Alembic does not compare CHECK constraints, so the database's own account of itself is compared as well.
SCHEMA = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%alembic%' ORDER BY 1",
    "postgresql": """
        SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND conname NOT LIKE '%alembic%' ORDER BY 1
    """,
}


@pytest.fixture
def engine(database_url):
    engine = open_database(database_url)
    yield engine
    engine.dispose()


def describe_schema(engine):
    with reading(engine) as connection:
        rows = connection.execute(text(SCHEMA[engine.dialect.name])).all()
    return {name: clauses(sql or "") for name, sql in rows}


def clauses(sql):
    """What a statement says, in no order: the constraints of a table have none."""
    return sorted(" ".join(clause.split()).strip(" ()") for clause in sql.split(","))


def test_migrations_lead_to_the_tables(engine):
    migrate(engine)
    with reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_migrations_lead_to_the_same_constraints(engine):
    migrate(engine)
    migrated = describe_schema(engine)
    with writing(engine) as connection:
        metadata.drop_all(connection)
        metadata.create_all(connection)
    assert migrated == describe_schema(engine)
    assert len(migrated) > len(metadata.tables)


def test_migrating_again_changes_nothing(engine):
    migrate(engine)
    before = describe_schema(engine)
    migrate(engine)
    assert describe_schema(engine) == before


@pytest.mark.parametrize("table", metadata.tables.values(), ids=str)
def test_every_column_says_what_it_is(table):
    assert table.comment
    assert [column.name for column in table.columns if not column.comment] == []


def test_sqlite_waits_syncs_and_checks(sqlite_url):
    engine = open_database(sqlite_url)
    with reading(engine) as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
    engine.dispose()


@pytest.mark.parametrize("url", ["", "nonsense", "oracle9://x", "postgresql+nodriver://x"])
def test_url_that_cannot_be_used_is_a_wrong_setting(url):
    with pytest.raises(SettingsInvalid):
        open_database(url)


def test_database_that_is_away_is_our_trouble(tmp_path):
    engine = open_database(f"postgresql+psycopg://nobody@/none?host={tmp_path}")
    with pytest.raises(Unavailable), reading(engine) as connection:
        connection.execute(text("SELECT 1"))
