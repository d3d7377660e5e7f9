"""Accounts, members and keys."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_accounts()
    _create_members()
    _create_master_secret_checks()
    _create_data_keys()
    _create_keys()


def _create_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(length=10), nullable=False, comment="10 lowercase hex digits, random."),
        sa.Column("created_ms", sa.BigInteger(), nullable=False, comment="When it was created."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        comment="An account owns everything else: members, keys, lines.",
    )


def _create_members() -> None:
    op.create_table(
        "members",
        sa.Column("id", sa.String(length=10), nullable=False, comment="10 lowercase hex digits, random."),
        sa.Column(
            "account_id",
            sa.String(length=10),
            nullable=False,
            comment="The account it belongs to; every statement binds it.",
        ),
        sa.Column("email", sa.String(length=254), nullable=False, comment="Lower case. A person signs in with it."),
        sa.Column("role", sa.String(length=16), nullable=False, comment="What the member may do: owner."),
        sa.Column(
            "password_digest",
            sa.String(length=255),
            nullable=False,
            comment="argon2id, in its own text form with parameters.",
        ),
        sa.Column(
            "must_change_password", sa.Boolean(), nullable=False, comment="True while the password is one we generated."
        ),
        sa.Column("created_ms", sa.BigInteger(), nullable=False, comment="When the member was created."),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_members_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_members")),
        sa.UniqueConstraint("email", name=op.f("uq_members_email")),
        comment="A person of an account.",
    )


def _create_master_secret_checks() -> None:
    op.create_table(
        "master_secret_checks",
        sa.Column(
            "id",
            sa.SmallInteger(),
            autoincrement=False,
            nullable=False,
            comment="Always 1: there is one master secret.",
        ),
        sa.Column(
            "check_value",
            sa.LargeBinary(),
            nullable=False,
            comment="Derived from the master secret; tells a wrong one.",
        ),
        sa.CheckConstraint("id = 1", name=op.f("ck_master_secret_checks_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_master_secret_checks")),
        comment="Recognises the master secret without holding it.",
    )


def _create_data_keys() -> None:
    op.create_table(
        "data_keys",
        sa.Column(
            "account_id",
            sa.String(length=10),
            nullable=False,
            comment="The account it belongs to; every statement binds it.",
        ),
        sa.Column(
            "wrapped", sa.LargeBinary(), nullable=False, comment="The account's data key, sealed by the master secret."
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_data_keys_account_id")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_data_keys")),
        comment="One data key per account; it seals the account's key values.",
    )


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
        sa.Column("name", sa.String(length=30), nullable=False, comment="What people call it; need not be unique."),
        sa.Column(
            "generation", sa.SmallInteger(), nullable=False, comment="Which value of the key this is; 1 is the first."
        ),
        sa.Column(
            "digest",
            sa.LargeBinary(),
            nullable=False,
            comment="HMAC-SHA256 of the value under a pepper that is not here.",
        ),
        sa.Column(
            "sealed",
            sa.LargeBinary(),
            nullable=True,
            comment="The value, sealed by the account's data key; null once deleted.",
        ),
        sa.Column("created_ms", sa.BigInteger(), nullable=False, comment="When it was created."),
        sa.Column("deleted_ms", sa.BigInteger(), nullable=True, comment="When it was deleted; null while it is alive."),
        sa.CheckConstraint("kind IN ('ingestion', 'service')", name=op.f("ck_keys_kind")),
        sa.CheckConstraint(
            "slot BETWEEN 1 AND CASE kind WHEN 'ingestion' THEN 10 ELSE 20 END", name=op.f("ck_keys_slot_within_limit")
        ),
        sa.CheckConstraint("(deleted_ms IS NULL) = (sealed IS NOT NULL)", name=op.f("ck_keys_alive_with_value")),
        sa.CheckConstraint("(deleted_ms IS NULL) = (slot IS NOT NULL)", name=op.f("ck_keys_alive_with_slot")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_keys_account_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_keys")),
        sa.UniqueConstraint("account_id", "kind", "slot", name=op.f("uq_keys_account_id_kind_slot")),
        sa.UniqueConstraint("digest", name=op.f("uq_keys_digest")),
        sa.UniqueConstraint("id", name=op.f("uq_keys_id")),
        comment="Ingestion and service keys. A deleted key stays as a row without value, so that its id never returns.",
    )
