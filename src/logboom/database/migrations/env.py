"""Alembic executes this for every command. The connection, in a transaction already, comes from `migrate.py`."""

from alembic import context

from logboom.database.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
