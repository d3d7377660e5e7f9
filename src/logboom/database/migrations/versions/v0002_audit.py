"""The audit log: its rows, and the head of their chain."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

APPEND_ONLY = {
    "sqlite": (
        """CREATE TRIGGER audit_events_no_update BEFORE UPDATE ON audit_events
        BEGIN SELECT RAISE(ABORT, 'audit events are only ever added'); END""",
        """CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events
        BEGIN SELECT RAISE(ABORT, 'audit events are only ever added'); END""",
        """CREATE TRIGGER audit_events_no_replace BEFORE INSERT ON audit_events
        WHEN EXISTS (SELECT 1 FROM audit_events WHERE seq = NEW.seq)
        BEGIN SELECT RAISE(ABORT, 'audit events are only ever added'); END""",
    ),
    "postgresql": (
        """CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'audit events are only ever added'; END $$""",
        """CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()""",
    ),
}


def upgrade() -> None:
    _create_audit_events()
    _create_audit_head()
    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)


def _create_audit_events() -> None:
    op.create_table(
        "audit_events",
        sa.Column(
            "seq",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Its place in the chain: 1, 2, 3 ...",
        ),
        sa.Column("account_id", sa.String(length=10), comment="Who may see it; null: the installation's own."),
        sa.Column("action", sa.String(length=40), nullable=False, comment="What happened, as key.created."),
        sa.Column(
            "actor_kind",
            sa.String(length=16),
            nullable=False,
            comment="What kind of actor it was: service_key, system ...",
        ),
        sa.Column("actor_id", sa.String(length=64), comment="The actor's key or member; null for others."),
        sa.Column("actor_name", sa.String(length=254), nullable=False, comment="What the actor was called then."),
        sa.Column(
            "door", sa.String(length=16), nullable=False, comment="The way in: api, compatible, ingest, cli or server."
        ),
        sa.Column("address", sa.String(length=64), nullable=False, comment="Where the request came from."),
        sa.Column("user_agent", sa.String(length=200), nullable=False, comment="The program that asked."),
        sa.Column("request_id", sa.String(length=64), nullable=False, comment="The request in the server's log."),
        sa.Column(
            "subject_kind",
            sa.String(length=16),
            nullable=False,
            comment="What it happened to: key, member, account ...",
        ),
        sa.Column("subject_id", sa.String(length=64), comment="Which one it happened to."),
        sa.Column("before", sa.Text(), comment="JSON object of what the subject was. Never a key value."),
        sa.Column("after", sa.Text(), comment="JSON object of what the subject became. Never a key value."),
        sa.Column("at_ms", sa.BigInteger(), nullable=False, comment="When it happened."),
        sa.Column(
            "hash",
            sa.LargeBinary(),
            nullable=False,
            comment="HMAC-SHA256 of the row before's hash and of this row.",
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_events")),
        comment="Who did what. Rows are only ever added; each is chained to the one before.",
    )
    op.create_index(op.f("ix_audit_events_account_id_seq"), "audit_events", ["account_id", "seq"])
    op.create_index(
        op.f("ix_audit_events_account_id_subject_id_seq"), "audit_events", ["account_id", "subject_id", "seq"]
    )


def _create_audit_head() -> None:
    op.create_table(
        "audit_head",
        sa.Column(
            "id",
            sa.SmallInteger(),
            autoincrement=False,
            nullable=False,
            comment="Always 1: there is one chain.",
        ),
        sa.Column(
            "seq",
            sa.BigInteger(),
            nullable=False,
            comment="The place of the newest audit event; 0 before the first.",
        ),
        sa.Column("hash", sa.LargeBinary(), nullable=False, comment="The hash of the newest audit event."),
        sa.Column(
            "signature",
            sa.LargeBinary(),
            nullable=False,
            comment="HMAC-SHA256 of both; tells a cut off chain.",
        ),
        sa.CheckConstraint("id = 1", name=op.f("ck_audit_head_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
        comment="Where the chain of audit events ends. Its row is what their writers wait for.",
    )
