"""The control plane's tables. Migrations lead here step by step; a test proves that both agree.

Times are `_ms`, Unix milliseconds: the wire speaks them, and they mean the same in SQLite and PostgreSQL.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)

from logboom.limits import INGESTION_KEYS_MAX, KEY_NAME_UTF16_MAX, SERVICE_KEYS_MAX

ACCOUNT_ID_CHARACTERS = 10
KEY_ID_CHARACTERS = 24
EMAIL_CHARACTERS_MAX = 254

# Constraints have names that are the same everywhere, so that a migration can address them.
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _account_id(*, primary_key: bool = False) -> Column[str]:
    return Column(
        "account_id",
        String(ACCOUNT_ID_CHARACTERS),
        ForeignKey("accounts.id"),
        primary_key=primary_key,
        nullable=False,
        comment="The account it belongs to; every statement binds it.",
    )


accounts = Table(
    "accounts",
    metadata,
    Column("id", String(ACCOUNT_ID_CHARACTERS), primary_key=True, comment="10 lowercase hex digits, random."),
    Column("created_ms", BigInteger, nullable=False, comment="When it was created."),
    comment="An account owns everything else: members, keys, lines.",
)

members = Table(
    "members",
    metadata,
    Column("id", String(ACCOUNT_ID_CHARACTERS), primary_key=True, comment="10 lowercase hex digits, random."),
    _account_id(),
    Column("email", String(EMAIL_CHARACTERS_MAX), nullable=False, comment="Lower case. A person signs in with it."),
    Column("role", String(16), nullable=False, comment="What the member may do: owner."),
    Column("password_digest", String(255), nullable=False, comment="argon2id, in its own text form with parameters."),
    Column("must_change_password", Boolean, nullable=False, comment="True while the password is one we generated."),
    Column("created_ms", BigInteger, nullable=False, comment="When the member was created."),
    UniqueConstraint("email"),
    comment="A person of an account.",
)

master_secret_checks = Table(
    "master_secret_checks",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False, comment="Always 1: there is one master secret."),
    Column("check_value", LargeBinary, nullable=False, comment="Derived from the master secret; tells a wrong one."),
    CheckConstraint("id = 1", name="one_row"),
    comment="Recognises the master secret without holding it.",
)

data_keys = Table(
    "data_keys",
    metadata,
    _account_id(primary_key=True),
    Column("wrapped", LargeBinary, nullable=False, comment="The account's data key, sealed by the master secret."),
    comment="One data key per account; it seals the account's key values.",
)

keys = Table(
    "keys",
    metadata,
    Column("number", Integer, primary_key=True, comment="Order of creation. Lists are oldest first by it."),
    Column("id", String(KEY_ID_CHARACTERS), nullable=False, comment="24 lowercase hex digits, random; safe to log."),
    _account_id(),
    Column("kind", String(16), nullable=False, comment="ingestion or service; never changes."),
    Column("slot", SmallInteger, comment="The place it takes among the account's keys of its kind; null once deleted."),
    Column("name", String(KEY_NAME_UTF16_MAX), nullable=False, comment="What people call it; need not be unique."),
    Column("generation", SmallInteger, nullable=False, comment="Which value of the key this is; 1 is the first."),
    Column("digest", LargeBinary, nullable=False, comment="HMAC-SHA256 of the value under a pepper that is not here."),
    Column("sealed", LargeBinary, comment="The value, sealed by the account's data key; null once deleted."),
    Column("created_ms", BigInteger, nullable=False, comment="When it was created."),
    Column("deleted_ms", BigInteger, comment="When it was deleted; null while it is alive."),
    UniqueConstraint("id"),
    # A value belongs to one key for ever: no second key, alive or deleted, may answer to it.
    UniqueConstraint("digest"),
    # The limit of active keys is these two constraints, whatever runs at the same time: a slot is taken once, and there
    # are as many slots as active keys allowed. Deleted keys hold no slot, and nulls never clash. The index also serves
    # the list of an account's keys.
    UniqueConstraint("account_id", "kind", "slot"),
    CheckConstraint(
        f"slot BETWEEN 1 AND CASE kind WHEN 'ingestion' THEN {INGESTION_KEYS_MAX} ELSE {SERVICE_KEYS_MAX} END",
        name="slot_within_limit",
    ),
    CheckConstraint("kind IN ('ingestion', 'service')", name="kind"),
    CheckConstraint("(deleted_ms IS NULL) = (slot IS NOT NULL)", name="alive_with_slot"),
    CheckConstraint("(deleted_ms IS NULL) = (sealed IS NOT NULL)", name="alive_with_value"),
    comment="Ingestion and service keys. A deleted key stays as a row without value, so that its id never returns.",
)
