"""The life of keys: states, expiry, what people write on them, and several values of one key.

The keys of an earlier release keep their ids, values and slots. Their values move to a table of their own, as they are:
neither digests nor sealed values can be made anew here, where the master secret is not known.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

# A copy, because neither database can turn the old table with its constraints into the new one in place.
COPY_KEYS = "CREATE TABLE keys_before AS SELECT * FROM keys"

COPY_BACK = """
    INSERT INTO keys (
        number, id, account_id, kind, slot, state, name, note, labels, owner, format, reveal, is_imported, created_ms,
        deleted_ms
    )
    SELECT
        number, id, account_id, kind, slot, CASE WHEN deleted_ms IS NULL THEN 'active' ELSE 'deleted' END, name, '',
        '{}', '', 'classic', 'always', FALSE, created_ms, deleted_ms
    FROM keys_before
"""

# A deleted key's value ended with it.
MOVE_VALUES = """
    INSERT INTO key_values (key_id, generation, digest, pepper_version, sealed, state, valid_until_ms)
    SELECT id, generation, digest, 1, sealed, CASE WHEN deleted_ms IS NULL THEN 'active' ELSE 'dead' END, deleted_ms
    FROM keys_before
"""

# The numbers were copied, so PostgreSQL's sequence has not seen them.
GO_ON_COUNTING = "SELECT setval(pg_get_serial_sequence('keys', 'number'), max(number)) FROM keys"


def upgrade() -> None:
    op.execute(COPY_KEYS)
    op.drop_table("keys")
    _create_keys()
    _create_key_values()
    _create_remembered_answers()
    op.execute(COPY_BACK)
    op.execute(MOVE_VALUES)
    op.drop_table("keys_before")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(GO_ON_COUNTING)


def _create_keys() -> None:
    op.create_table(
        "keys",
        sa.Column("number", sa.Integer(), nullable=False, comment="Order of creation. Lists are oldest first by it."),
        sa.Column("id", sa.String(length=24), nullable=False, comment="24 lowercase hex digits, random; safe to log."),
        sa.Column(
            "account_id",
            sa.String(length=10),
            nullable=False,
            comment="The account it belongs to; every statement binds it.",
        ),
        sa.Column("kind", sa.String(length=16), nullable=False, comment="ingestion or service; never changes."),
        sa.Column(
            "slot",
            sa.SmallInteger(),
            nullable=True,
            comment="The place it takes among the account's keys of its kind; null once deleted.",
        ),
        sa.Column("state", sa.String(length=16), nullable=False, comment="active, held, disabled or deleted."),
        sa.Column("name", sa.String(length=200), nullable=False, comment="What people call it; need not be unique."),
        sa.Column("note", sa.String(length=1000), nullable=False, comment="What people want to remember about it."),
        sa.Column("labels", sa.Text(), nullable=False, comment="JSON object of short texts, to find keys by."),
        sa.Column("owner", sa.String(length=200), nullable=False, comment="Who answers for it, in free words."),
        sa.Column(
            "format", sa.String(length=16), nullable=False, comment="The shape of minted values: classic or native."
        ),
        sa.Column(
            "reveal",
            sa.String(length=16),
            nullable=False,
            comment="Who may read the value again: always, step_up or never.",
        ),
        sa.Column(
            "is_imported",
            sa.Boolean(),
            nullable=False,
            comment="True while its value came from outside: others know it.",
        ),
        sa.Column(
            "created_by",
            sa.String(length=24),
            nullable=True,
            comment="The service key that created it; null for the server.",
        ),
        sa.Column("created_ms", sa.BigInteger(), nullable=False, comment="When it was created."),
        *_times(),
        sa.CheckConstraint("(state = 'deleted') = (deleted_ms IS NOT NULL)", name=op.f("ck_keys_deleted_with_time")),
        sa.CheckConstraint("(state = 'held') = (held_until_ms IS NOT NULL)", name=op.f("ck_keys_held_with_end")),
        sa.CheckConstraint("kind IN ('ingestion', 'service')", name=op.f("ck_keys_kind")),
        sa.CheckConstraint(
            "slot BETWEEN 1 AND CASE kind WHEN 'ingestion' THEN 10 ELSE 20 END", name=op.f("ck_keys_slot_within_limit")
        ),
        sa.CheckConstraint("state IN ('active', 'held', 'disabled', 'deleted')", name=op.f("ck_keys_state")),
        sa.CheckConstraint("(deleted_ms IS NULL) = (slot IS NOT NULL)", name=op.f("ck_keys_alive_with_slot")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_keys_account_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_keys")),
        sa.UniqueConstraint("account_id", "kind", "slot", name=op.f("uq_keys_account_id_kind_slot")),
        sa.UniqueConstraint("id", name=op.f("uq_keys_id")),
        comment="Ingestion and service keys. A deleted key stays as a row without slot, so that its id never returns.",
    )


def _times() -> list[sa.Column[int]]:
    comments = {
        "held_until_ms": "When its hold ends by itself; null while it is not held.",
        "not_before_ms": "From when on it opens; null: at once.",
        "expires_at_ms": "From when on it does not open any more; null: never.",
        "deleted_ms": "When it was deleted; null while it is alive.",
    }
    return [sa.Column(name, sa.BigInteger(), nullable=True, comment=text) for name, text in comments.items()]


def _create_key_values() -> None:
    op.create_table(
        "key_values",
        sa.Column("key_id", sa.String(length=24), nullable=False, comment="The key that answers to the value."),
        sa.Column(
            "generation",
            sa.SmallInteger(),
            autoincrement=False,
            nullable=False,
            comment="Which value of the key this is; 1 is the first.",
        ),
        sa.Column(
            "digest",
            sa.LargeBinary(),
            nullable=False,
            comment="HMAC-SHA256 of the value under a pepper that is not here.",
        ),
        sa.Column(
            "pepper_version", sa.SmallInteger(), nullable=False, comment="Which pepper the digest was made with."
        ),
        sa.Column(
            "sealed",
            sa.LargeBinary(),
            nullable=True,
            comment="The value, or its digest when never revealed, sealed; null once dead.",
        ),
        sa.Column(
            "state", sa.String(length=16), nullable=False, comment="active, retiring (both open the door) or dead."
        ),
        sa.Column(
            "valid_until_ms",
            sa.BigInteger(),
            nullable=True,
            comment="When a retiring value ends or a dead one ended; null while active.",
        ),
        sa.CheckConstraint(
            "(state = 'active') = (valid_until_ms IS NULL)", name=op.f("ck_key_values_ending_with_time")
        ),
        sa.CheckConstraint("(state = 'dead') = (sealed IS NULL)", name=op.f("ck_key_values_alive_with_value")),
        sa.CheckConstraint("state IN ('active', 'retiring', 'dead')", name=op.f("ck_key_values_state")),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name=op.f("fk_key_values_key_id")),
        sa.PrimaryKeyConstraint("key_id", "generation", name=op.f("pk_key_values")),
        sa.UniqueConstraint("digest", name=op.f("uq_key_values_digest")),
        comment="The values of keys. A dead one stays without its value, so that later use is named and none returns.",
    )
    op.create_index(
        "uq_key_values_key_id_state",
        "key_values",
        ["key_id", "state"],
        unique=True,
        sqlite_where=sa.text("state <> 'dead'"),
        postgresql_where=sa.text("state <> 'dead'"),
    )


def _create_remembered_answers() -> None:
    op.create_table(
        "remembered_answers",
        sa.Column(
            "account_id",
            sa.String(length=10),
            nullable=False,
            comment="The account it belongs to; every statement binds it.",
        ),
        sa.Column("name_digest", sa.LargeBinary(), nullable=False, comment="SHA-256 of the request's Idempotency-Key."),
        sa.Column(
            "request_digest",
            sa.LargeBinary(),
            nullable=False,
            comment="SHA-256 of what was asked; tells another request.",
        ),
        sa.Column("sealed", sa.LargeBinary(), nullable=False, comment="The answer, sealed by the account's data key."),
        sa.Column(
            "created_ms", sa.BigInteger(), nullable=False, comment="When it was given; it is forgotten a day later."
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_remembered_answers_account_id")),
        sa.PrimaryKeyConstraint("account_id", "name_digest", name=op.f("pk_remembered_answers")),
        comment="Answers to requests that carried an Idempotency-Key, so that a repeated one creates nothing twice.",
    )
