"""What several servers share of keys: the order of changes, who is alive, usage, users, leaks, and an account's policy.

Existing keys keep everything: no scopes, no bounds and no network mean what they could do before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


BEGIN_KEYRING = "INSERT INTO keyring_state (id, seq, pepper_version, kek_version) VALUES (1, 0, 1, 1)"


def upgrade() -> None:
    _create_shared()
    op.execute(BEGIN_KEYRING)
    _create_policies()
    _create_usage()
    _create_findings()
    _widen_keys()


def _create_shared() -> None:
    op.create_table(
        "keyring_state",
        sa.Column(
            "id", sa.SmallInteger(), autoincrement=False, nullable=False, comment="Always 1: there is one keyring."
        ),
        sa.Column("seq", sa.BigInteger(), nullable=False, comment="The number of the newest change of any key."),
        sa.Column(
            "pepper_version", sa.SmallInteger(), nullable=False, comment="Which pepper new digests are made with."
        ),
        sa.Column("kek_version", sa.SmallInteger(), nullable=False, comment="Which key wraps new data keys."),
        sa.CheckConstraint("id = 1", name=op.f("ck_keyring_state_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keyring_state")),
        comment="Numbers the changes of keys in the order of their commits: who changes a key holds it till then.",
    )
    op.create_table(
        "nodes",
        sa.Column("id", sa.String(length=64), nullable=False, comment="16 random hex digits of one start."),
        sa.Column("name", sa.String(length=254), nullable=False, comment="Host and process, for people."),
        sa.Column("started_ms", sa.BigInteger(), nullable=False, comment="When the server started."),
        sa.Column("beat_ms", sa.BigInteger(), nullable=False, comment="When it was last known to live."),
        sa.Column("seq", sa.BigInteger(), nullable=False, comment="The newest change of a key that it knows of."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nodes")),
        comment="The servers that share this database, so that a change can wait until all of them have seen it.",
    )


def _create_policies() -> None:
    op.create_table(
        "key_policies",
        sa.Column(
            "account_id",
            sa.String(length=10),
            nullable=False,
            comment="The account it belongs to; every statement binds it.",
        ),
        sa.Column("format", sa.String(length=16), nullable=False, comment="The format of new keys that name none."),
        sa.Column(
            "reveal", sa.String(length=16), nullable=False, comment="The reveal mode of new keys that name none."
        ),
        sa.Column(
            "on_leak_ingestion", sa.String(length=16), nullable=False, comment="What happens to a leaked ingestion key."
        ),
        sa.Column(
            "on_leak_service", sa.String(length=16), nullable=False, comment="What happens to a leaked service key."
        ),
        sa.Column(
            "overlap_idle_ms",
            sa.BigInteger(),
            nullable=True,
            comment="An overlap ends early when its old value is idle so long.",
        ),
        sa.Column(
            "lifetime_max_ms",
            sa.BigInteger(),
            nullable=True,
            comment="How long new keys may live at most; null: for ever.",
        ),
        sa.Column(
            "audit_lines", sa.Boolean(), nullable=False, comment="Whether audit events become lines of the account too."
        ),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False, comment="When it was last changed."),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_key_policies_account_id")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_key_policies")),
        comment="What an account wants of its keys. An account without a row has the defaults.",
    )


def _create_usage() -> None:
    op.create_table(
        "key_usage",
        sa.Column("key_id", sa.String(length=24), nullable=False, comment="The key that it is about."),
        sa.Column(
            "generation", sa.SmallInteger(), autoincrement=False, nullable=False, comment="Which value of the key."
        ),
        sa.Column(
            "hour_ms", sa.BigInteger(), autoincrement=False, nullable=False, comment="The beginning of the hour, UTC."
        ),
        sa.Column("requests", sa.BigInteger(), nullable=False, comment="Requests that it opened the door to."),
        sa.Column("lines", sa.BigInteger(), nullable=False, comment="Lines accepted with it."),
        sa.Column("bytes", sa.BigInteger(), nullable=False, comment="Bytes of the bodies that held them, decoded."),
        sa.Column(
            "refusals",
            sa.BigInteger(),
            nullable=False,
            comment="Requests that were refused although the value is known.",
        ),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name=op.f("fk_key_usage_key_id")),
        sa.PrimaryKeyConstraint("key_id", "generation", "hour_ms", name=op.f("pk_key_usage")),
        comment="How much each value of a key was used, added up by all servers.",
    )
    op.create_index(op.f("ix_key_usage_hour_ms"), "key_usage", ["hour_ms"], unique=False)


def _create_findings() -> None:
    op.create_table(
        "key_leaks",
        sa.Column("key_id", sa.String(length=24), nullable=False, comment="The key that it is about."),
        sa.Column("place_digest", sa.LargeBinary(), nullable=False, comment="BLAKE2b of account, app, host and day."),
        sa.Column("account_id", sa.String(length=10), nullable=False, comment="The account whose lines held it."),
        sa.Column("app", sa.String(length=254), nullable=False, comment="The app of the line; '' when foreign."),
        sa.Column("host", sa.String(length=254), nullable=False, comment="The host of the line; '' when foreign."),
        sa.Column("day_ms", sa.BigInteger(), nullable=False, comment="The beginning of the day, UTC."),
        sa.Column("first_ms", sa.BigInteger(), nullable=False, comment="When it was first found that day."),
        sa.Column("last_ms", sa.BigInteger(), nullable=False, comment="When it was last found that day."),
        sa.Column("count", sa.BigInteger(), nullable=False, comment="How often."),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name=op.f("fk_key_leaks_key_id")),
        sa.PrimaryKeyConstraint("key_id", "place_digest", name=op.f("pk_key_leaks")),
        comment="Where values of keys were found in lines. They were redacted before anything was stored.",
    )
    op.create_table(
        "key_users",
        sa.Column("key_id", sa.String(length=24), nullable=False, comment="The key that it is about."),
        sa.Column(
            "user_digest", sa.LargeBinary(), nullable=False, comment="BLAKE2b of what tells this user from others."
        ),
        sa.Column("generation", sa.SmallInteger(), nullable=False, comment="Which value of the key it uses."),
        sa.Column("address", sa.String(length=64), nullable=False, comment="Where its requests came from."),
        sa.Column("agent", sa.String(length=200), nullable=False, comment="Its program, as it says."),
        sa.Column("host", sa.String(length=254), nullable=False, comment="Its hostname, as it says."),
        sa.Column("carrier", sa.String(length=16), nullable=False, comment="Where in the request the value stood."),
        sa.Column("dialect", sa.String(length=16), nullable=False, comment="Which family of addresses it asked."),
        sa.Column("first_ms", sa.BigInteger(), nullable=False, comment="When it was first seen."),
        sa.Column("last_ms", sa.BigInteger(), nullable=False, comment="When it was last seen."),
        sa.Column("requests", sa.BigInteger(), nullable=False, comment="Requests so far, refused ones too."),
        sa.Column("refusals", sa.BigInteger(), nullable=False, comment="How many of them were refused."),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name=op.f("fk_key_users_key_id")),
        sa.PrimaryKeyConstraint("key_id", "user_digest", name=op.f("pk_key_users")),
        comment="Who uses a key: the newest distinct users of each.",
    )
    op.create_index(op.f("ix_key_users_key_id_last_ms"), "key_users", ["key_id", "last_ms"], unique=False)


def _widen_keys() -> None:
    op.add_column(
        "data_keys",
        sa.Column("kek_version", sa.SmallInteger(), server_default="1", nullable=False, comment="Which key wraps it."),
    )
    op.add_column(
        "keys",
        sa.Column(
            "scopes",
            sa.Text(),
            nullable=True,
            comment="JSON array of what a service key may do; null: everything its kind may.",
        ),
    )
    op.add_column(
        "keys",
        sa.Column(
            "narrowing",
            sa.Text(),
            nullable=True,
            comment="JSON object of the apps, hosts and tags it may send for; null: all.",
        ),
    )
    op.add_column(
        "keys",
        sa.Column(
            "network", sa.Text(), nullable=True, comment="JSON object of the addresses it may come from; null: all."
        ),
    )
    op.add_column(
        "keys",
        sa.Column(
            "limits",
            sa.Text(),
            nullable=True,
            comment="JSON object of how much it may be used; null: as much as it likes.",
        ),
    )
    op.add_column(
        "keys",
        sa.Column(
            "expiry_warned_days",
            sa.SmallInteger(),
            nullable=True,
            comment="The nearest warning of its expiry that was given, in days.",
        ),
    )
    op.add_column(
        "keys",
        sa.Column(
            "url_seen_ms",
            sa.BigInteger(),
            nullable=True,
            comment="When it was last sent in an address, where logs keep it; null: never.",
        ),
    )
    op.add_column(
        "keys",
        sa.Column(
            "revision",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="The change that made it what it is.",
        ),
    )
    op.create_index(op.f("ix_keys_revision"), "keys", ["revision"], unique=False)
