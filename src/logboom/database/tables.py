"""The control plane's tables. Migrations lead here step by step; a test proves that both agree.

Times are `_ms`, Unix milliseconds: the wire speaks them, and they mean the same in SQLite and PostgreSQL.
"""

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)

from logboom.limits import (
    INGESTION_KEYS_MAX,
    KEY_NAME_CHARACTERS_MAX,
    KEY_NOTE_CHARACTERS_MAX,
    KEY_OWNER_CHARACTERS_MAX,
    SERVICE_KEYS_MAX,
)

ACCOUNT_ID_CHARACTERS = 10
KEY_ID_CHARACTERS = 24
EMAIL_CHARACTERS_MAX = 254
AUDIT_ID_CHARACTERS_MAX = 64  # of whatever an audit event tells of; every id of ours is shorter
AUDIT_NAME_CHARACTERS_MAX = 254
USER_AGENT_CHARACTERS_MAX = 200

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


def _key_id() -> Column[str]:
    return Column(
        "key_id",
        String(KEY_ID_CHARACTERS),
        ForeignKey("keys.id"),
        primary_key=True,
        comment="The key that it is about.",
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
    Column("kek_version", SmallInteger, nullable=False, server_default="1", comment="Which key wraps it."),
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
    Column("state", String(16), nullable=False, comment="active, held, disabled or deleted."),
    Column("name", String(KEY_NAME_CHARACTERS_MAX), nullable=False, comment="What people call it; need not be unique."),
    Column("note", String(KEY_NOTE_CHARACTERS_MAX), nullable=False, comment="What people want to remember about it."),
    Column("labels", Text, nullable=False, comment="JSON object of short texts, to find keys by."),
    Column("owner", String(KEY_OWNER_CHARACTERS_MAX), nullable=False, comment="Who answers for it, in free words."),
    Column("format", String(16), nullable=False, comment="The shape of minted values: classic or native."),
    Column("reveal", String(16), nullable=False, comment="Who may read the value again: always, step_up or never."),
    Column("is_imported", Boolean, nullable=False, comment="True while its value came from outside: others know it."),
    Column("created_by", String(KEY_ID_CHARACTERS), comment="The service key that created it; null for the server."),
    Column("created_ms", BigInteger, nullable=False, comment="When it was created."),
    Column("held_until_ms", BigInteger, comment="When its hold ends by itself; null while it is not held."),
    Column("not_before_ms", BigInteger, comment="From when on it opens; null: at once."),
    Column("expires_at_ms", BigInteger, comment="From when on it does not open any more; null: never."),
    Column("deleted_ms", BigInteger, comment="When it was deleted; null while it is alive."),
    Column("scopes", Text, comment="JSON array of what a service key may do; null: everything its kind may."),
    Column("narrowing", Text, comment="JSON object of the apps, hosts and tags it may send for; null: all."),
    Column("network", Text, comment="JSON object of the addresses it may come from; null: all."),
    Column("limits", Text, comment="JSON object of how much it may be used; null: as much as it likes."),
    Column("expiry_warned_days", SmallInteger, comment="The nearest warning of its expiry that was given, in days."),
    Column("url_seen_ms", BigInteger, comment="When it was last sent in an address, where logs keep it; null: never."),
    Column("revision", BigInteger, nullable=False, server_default="0", comment="The change that made it what it is."),
    UniqueConstraint("id"),
    Index(None, "revision"),
    # The limit of active keys is these two constraints, whatever runs at the same time: a slot is taken once, and there
    # are as many slots as active keys allowed. Deleted keys hold no slot, and nulls never clash. The index also serves
    # the list of an account's keys.
    UniqueConstraint("account_id", "kind", "slot"),
    CheckConstraint(
        f"slot BETWEEN 1 AND CASE kind WHEN 'ingestion' THEN {INGESTION_KEYS_MAX} ELSE {SERVICE_KEYS_MAX} END",
        name="slot_within_limit",
    ),
    CheckConstraint("kind IN ('ingestion', 'service')", name="kind"),
    CheckConstraint("state IN ('active', 'held', 'disabled', 'deleted')", name="state"),
    CheckConstraint("(state = 'held') = (held_until_ms IS NOT NULL)", name="held_with_end"),
    CheckConstraint("(state = 'deleted') = (deleted_ms IS NOT NULL)", name="deleted_with_time"),
    CheckConstraint("(deleted_ms IS NULL) = (slot IS NOT NULL)", name="alive_with_slot"),
    comment="Ingestion and service keys. A deleted key stays as a row without slot, so that its id never returns.",
)

key_values = Table(
    "key_values",
    metadata,
    Column(
        "key_id",
        String(KEY_ID_CHARACTERS),
        ForeignKey("keys.id"),
        primary_key=True,
        comment="The key that answers to the value.",
    ),
    Column(
        "generation",
        SmallInteger,
        primary_key=True,
        autoincrement=False,
        comment="Which value of the key this is; 1 is the first.",
    ),
    Column("digest", LargeBinary, nullable=False, comment="HMAC-SHA256 of the value under a pepper that is not here."),
    Column("pepper_version", SmallInteger, nullable=False, comment="Which pepper the digest was made with."),
    Column("sealed", LargeBinary, comment="The value, or its digest when never revealed, sealed; null once dead."),
    Column("state", String(16), nullable=False, comment="active, retiring (both open the door) or dead."),
    Column("valid_until_ms", BigInteger, comment="When a retiring value ends or a dead one ended; null while active."),
    # A value belongs to one key for ever: no second key, alive or deleted, may answer to it.
    UniqueConstraint("digest"),
    # A key has one active value, and beside it one that is being replaced, however many rotations meet.
    Index(
        "uq_key_values_key_id_state",
        "key_id",
        "state",
        unique=True,
        sqlite_where=text("state <> 'dead'"),
        postgresql_where=text("state <> 'dead'"),
    ),
    CheckConstraint("state IN ('active', 'retiring', 'dead')", name="state"),
    CheckConstraint("(state = 'active') = (valid_until_ms IS NULL)", name="ending_with_time"),
    CheckConstraint("(state = 'dead') = (sealed IS NULL)", name="alive_with_value"),
    comment="The values of keys. A dead one stays without its value, so that later use is named and none returns.",
)

keyring_state = Table(
    "keyring_state",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False, comment="Always 1: there is one keyring."),
    Column("seq", BigInteger, nullable=False, comment="The number of the newest change of any key."),
    Column("pepper_version", SmallInteger, nullable=False, comment="Which pepper new digests are made with."),
    Column("kek_version", SmallInteger, nullable=False, comment="Which key wraps new data keys."),
    CheckConstraint("id = 1", name="one_row"),
    comment="Numbers the changes of keys in the order of their commits: who changes a key holds it till then.",
)

nodes = Table(
    "nodes",
    metadata,
    Column("id", String(AUDIT_ID_CHARACTERS_MAX), primary_key=True, comment="16 random hex digits of one start."),
    Column("name", String(AUDIT_NAME_CHARACTERS_MAX), nullable=False, comment="Host and process, for people."),
    Column("started_ms", BigInteger, nullable=False, comment="When the server started."),
    Column("beat_ms", BigInteger, nullable=False, comment="When it was last known to live."),
    Column("seq", BigInteger, nullable=False, comment="The newest change of a key that it knows of."),
    comment="The servers that share this database, so that a change can wait until all of them have seen it.",
)

key_usage = Table(
    "key_usage",
    metadata,
    _key_id(),
    Column("generation", SmallInteger, primary_key=True, autoincrement=False, comment="Which value of the key."),
    Column("hour_ms", BigInteger, primary_key=True, autoincrement=False, comment="The beginning of the hour, UTC."),
    Column("requests", BigInteger, nullable=False, comment="Requests that it opened the door to."),
    Column("lines", BigInteger, nullable=False, comment="Lines accepted with it."),
    Column("bytes", BigInteger, nullable=False, comment="Bytes of the bodies that held them, decoded."),
    Column("refusals", BigInteger, nullable=False, comment="Requests that were refused although the value is known."),
    Index(None, "hour_ms"),
    comment="How much each value of a key was used, added up by all servers.",
)

key_users = Table(
    "key_users",
    metadata,
    _key_id(),
    Column("user_digest", LargeBinary, primary_key=True, comment="BLAKE2b of what tells this user from others."),
    Column("generation", SmallInteger, nullable=False, comment="Which value of the key it uses."),
    Column("address", String(AUDIT_ID_CHARACTERS_MAX), nullable=False, comment="Where its requests came from."),
    Column("agent", String(USER_AGENT_CHARACTERS_MAX), nullable=False, comment="Its program, as it says."),
    Column("host", String(AUDIT_NAME_CHARACTERS_MAX), nullable=False, comment="Its hostname, as it says."),
    Column("carrier", String(16), nullable=False, comment="Where in the request the value stood."),
    Column("dialect", String(16), nullable=False, comment="Which family of addresses it asked."),
    Column("first_ms", BigInteger, nullable=False, comment="When it was first seen."),
    Column("last_ms", BigInteger, nullable=False, comment="When it was last seen."),
    Column("requests", BigInteger, nullable=False, comment="Requests so far, refused ones too."),
    Column("refusals", BigInteger, nullable=False, comment="How many of them were refused."),
    Index(None, "key_id", "last_ms"),
    comment="Who uses a key: the newest distinct users of each.",
)

key_leaks = Table(
    "key_leaks",
    metadata,
    _key_id(),
    Column("place_digest", LargeBinary, primary_key=True, comment="BLAKE2b of account, app, host and day."),
    Column("account_id", String(ACCOUNT_ID_CHARACTERS), nullable=False, comment="The account whose lines held it."),
    Column("app", String(AUDIT_NAME_CHARACTERS_MAX), nullable=False, comment="The app of the line; '' when foreign."),
    Column("host", String(AUDIT_NAME_CHARACTERS_MAX), nullable=False, comment="The host of the line; '' when foreign."),
    Column("day_ms", BigInteger, nullable=False, comment="The beginning of the day, UTC."),
    Column("first_ms", BigInteger, nullable=False, comment="When it was first found that day."),
    Column("last_ms", BigInteger, nullable=False, comment="When it was last found that day."),
    Column("count", BigInteger, nullable=False, comment="How often."),
    comment="Where values of keys were found in lines. They were redacted before anything was stored.",
)

key_policies = Table(
    "key_policies",
    metadata,
    _account_id(primary_key=True),
    Column("format", String(16), nullable=False, comment="The format of new keys that name none."),
    Column("reveal", String(16), nullable=False, comment="The reveal mode of new keys that name none."),
    Column("on_leak_ingestion", String(16), nullable=False, comment="What happens to a leaked ingestion key."),
    Column("on_leak_service", String(16), nullable=False, comment="What happens to a leaked service key."),
    Column("overlap_idle_ms", BigInteger, comment="An overlap ends early when its old value is idle so long."),
    Column("lifetime_max_ms", BigInteger, comment="How long new keys may live at most; null: for ever."),
    Column("audit_lines", Boolean, nullable=False, comment="Whether audit events become lines of the account too."),
    Column("changed_ms", BigInteger, nullable=False, comment="When it was last changed."),
    comment="What an account wants of its keys. An account without a row has the defaults.",
)

remembered_answers = Table(
    "remembered_answers",
    metadata,
    _account_id(primary_key=True),
    Column("name_digest", LargeBinary, primary_key=True, comment="SHA-256 of the request's Idempotency-Key."),
    Column("request_digest", LargeBinary, nullable=False, comment="SHA-256 of what was asked; tells another request."),
    Column("sealed", LargeBinary, nullable=False, comment="The answer, sealed by the account's data key."),
    Column("created_ms", BigInteger, nullable=False, comment="When it was given; it is forgotten a day later."),
    comment="Answers to requests that carried an Idempotency-Key, so that a repeated one creates nothing twice.",
)

audit_events = Table(
    "audit_events",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False, comment="Its place in the chain: 1, 2, 3 ..."),
    # No foreign key: what is told of an account outlives it.
    Column("account_id", String(ACCOUNT_ID_CHARACTERS), comment="Who may see it; null: the installation's own."),
    Column("action", String(40), nullable=False, comment="What happened, as key.created."),
    Column("actor_kind", String(16), nullable=False, comment="What kind of actor it was: service_key, system ..."),
    Column("actor_id", String(AUDIT_ID_CHARACTERS_MAX), comment="The actor's key or member; null for others."),
    Column("actor_name", String(AUDIT_NAME_CHARACTERS_MAX), nullable=False, comment="What the actor was called then."),
    Column("door", String(16), nullable=False, comment="The way in: api, compatible, ingest, cli or server."),
    Column("address", String(AUDIT_ID_CHARACTERS_MAX), nullable=False, comment="Where the request came from."),
    Column("user_agent", String(USER_AGENT_CHARACTERS_MAX), nullable=False, comment="The program that asked."),
    Column("request_id", String(AUDIT_ID_CHARACTERS_MAX), nullable=False, comment="The request in the server's log."),
    Column("subject_kind", String(16), nullable=False, comment="What it happened to: key, member, account ..."),
    Column("subject_id", String(AUDIT_ID_CHARACTERS_MAX), comment="Which one it happened to."),
    Column("before", Text, comment="JSON object of what the subject was. Never a key value."),
    Column("after", Text, comment="JSON object of what the subject became. Never a key value."),
    Column("at_ms", BigInteger, nullable=False, comment="When it happened."),
    Column("hash", LargeBinary, nullable=False, comment="HMAC-SHA256 of the row before's hash and of this row."),
    # An account's events and one key's events are read newest first.
    Index(None, "account_id", "seq"),
    Index(None, "account_id", "subject_id", "seq"),
    comment="Who did what. Rows are only ever added; each is chained to the one before.",
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False, comment="Always 1: there is one chain."),
    Column("seq", BigInteger, nullable=False, comment="The place of the newest audit event; 0 before the first."),
    Column("hash", LargeBinary, nullable=False, comment="The hash of the newest audit event."),
    Column("signature", LargeBinary, nullable=False, comment="HMAC-SHA256 of both; tells a cut off chain."),
    CheckConstraint("id = 1", name="one_row"),
    comment="Where the chain of audit events ends. Its row is what their writers wait for.",
)

# The chain proves what was done to its rows; this keeps it from being done by mistake. REPLACE fires no trigger of
# deletion in SQLite, so it is refused as what it is.
AUDIT_IS_APPEND_ONLY = {
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
for dialect, statements in AUDIT_IS_APPEND_ONLY.items():
    for statement in statements:
        made = DDL(statement)  # type: ignore[no-untyped-call] # SQLAlchemy has left its types out
        event.listen(audit_events, "after_create", made.execute_if(dialect=dialect))
