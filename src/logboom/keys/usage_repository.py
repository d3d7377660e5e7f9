"""Keeps the use of keys in the control plane's database: counts for each hour, and the newest users.

Several servers add to the same rows. One writes at a time (SQLite has it so anyway), so they never wait for each other
crosswise; and as everything is added up, the order does not matter.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, bindparam, func, select, text

from logboom.database.engine import reading, writing
from logboom.database.tables import audit_events, key_leaks, key_usage, key_users, keys
from logboom.keys.credentials import Carrier
from logboom.keys.meter import Used
from logboom.keys.usage import Counts, Hour, HourCount, User, UserCount

USERS_KEPT: Final = 20
GENERATIONS_KEPT: Final = 3
KEYS_AT_ONCE: Final = 500
DIGEST_BYTES: Final = 16
DAY_MS: Final = 86_400_000
ROTATED: Final = "key.rotated"  # the audit log is the one that knows when

# PostgreSQL only. The lock keeps two writers of usage apart. The times keep a server that stops in the middle from
# holding up the changes of keys, whose rows an insert here refers to.
ALONE: Final = (
    text("SET LOCAL lock_timeout = '5s'"),
    text("SET LOCAL idle_in_transaction_session_timeout = '5s'"),
    text("SELECT pg_advisory_xact_lock(7810771401)"),
)

# A key may be gone when an older database was put back under a running server; its counts are dropped then.
ADD_HOUR: Final = text(
    """INSERT INTO key_usage (key_id, generation, hour_ms, requests, lines, bytes, refusals)
    SELECT keys.id, :generation, :hour_ms, :requests, :lines, :bytes, :refusals FROM keys WHERE keys.id = :key_id
    ON CONFLICT (key_id, generation, hour_ms) DO UPDATE SET
        requests = key_usage.requests + excluded.requests,
        lines = key_usage.lines + excluded.lines,
        bytes = key_usage.bytes + excluded.bytes,
        refusals = key_usage.refusals + excluded.refusals"""
)

ADD_USER: Final = text(
    """INSERT INTO key_users (key_id, user_digest, generation, address, agent, host, carrier, dialect,
        first_ms, last_ms, requests, refusals)
    SELECT keys.id, :user_digest, :generation, :address, :agent, :host, :carrier, :dialect,
        :first_ms, :last_ms, :requests, :refusals FROM keys WHERE keys.id = :key_id
    ON CONFLICT (key_id, user_digest) DO UPDATE SET
        requests = key_users.requests + excluded.requests,
        refusals = key_users.refusals + excluded.refusals,
        first_ms = CASE WHEN key_users.first_ms < excluded.first_ms THEN key_users.first_ms ELSE excluded.first_ms END,
        last_ms = CASE WHEN key_users.last_ms > excluded.last_ms THEN key_users.last_ms ELSE excluded.last_ms END"""
)

# The newest users of each of the newest values: the last few hosts of an old value are what a rotation waits for, and
# a fleet that has moved on must not push them out.
FORGET_OLDER_USERS: Final = text(
    """DELETE FROM key_users WHERE (key_id, user_digest) IN (
        SELECT key_id, user_digest FROM (
            SELECT key_id, user_digest,
                row_number() OVER (PARTITION BY key_id, generation ORDER BY last_ms DESC, user_digest) AS place,
                dense_rank() OVER (PARTITION BY key_id ORDER BY generation DESC) AS generation_place
            FROM key_users WHERE key_id IN :key_ids
        ) AS ranked WHERE place > :users_kept OR generation_place > :generations_kept
    )"""
).bindparams(bindparam("key_ids", expanding=True), users_kept=USERS_KEPT, generations_kept=GENERATIONS_KEPT)

# Once a day is enough to know, and the row of a key is read by many.
SEE_IN_ADDRESS: Final = text(
    "UPDATE keys SET url_seen_ms = :at_ms WHERE id = :key_id AND (url_seen_ms IS NULL OR url_seen_ms < :again_ms)"
)

# Few keys have limits of a day, and a day has few hours of each.
USED_OF_LIMITED: Final = text(
    """SELECT key_usage.key_id, SUM(key_usage.lines) AS lines, SUM(key_usage.bytes) AS bytes
    FROM key_usage JOIN keys ON keys.id = key_usage.key_id
    WHERE keys.limits IS NOT NULL AND keys.deleted_ms IS NULL AND key_usage.hour_ms >= :day_ms
    GROUP BY key_usage.key_id"""
)

FORGET_OLD_HOURS: Final = text("DELETE FROM key_usage WHERE hour_ms < :before_ms")


@dataclass(frozen=True, kw_only=True)
class KeptUser:
    """A user as it is kept."""

    user: User
    seen: UserCount


@dataclass(frozen=True, kw_only=True)
class SignsKept:
    """When a value of a key was last seen in an address and in a line, and when it was last rotated."""

    url_seen_ms: int | None
    leaked_ms: int | None
    rotated_ms: int | None


class UsageRepository:
    """Counts to rows and back. The methods wait for the database: call them from a thread. All raise Unavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen_in_address: dict[str, int] = {}  # when that was last written of a key, so that it need not be asked

    def add(self, counts: Counts) -> None:
        """Add *counts* to what is kept, all of it or nothing."""
        seen = self._newly_seen_in_address(counts)
        with writing(self._engine) as connection:
            if connection.dialect.name == "postgresql":
                for statement in ALONE:
                    connection.execute(statement)
            _execute(connection, ADD_HOUR, [_hour_row(*counted) for counted in sorted(counts.hours.items())])
            _execute(connection, ADD_USER, [_user_row(*counted) for counted in sorted(counts.users.items())])
            for key_ids in _in_parts(sorted({user.key_id for user in counts.users})):
                connection.execute(FORGET_OLDER_USERS, {"key_ids": key_ids})
            rows = [{"key_id": key_id, "at_ms": at_ms, "again_ms": at_ms - DAY_MS} for key_id, at_ms in seen.items()]
            _execute(connection, SEE_IN_ADDRESS, rows)
        self._seen_in_address |= seen

    def forget_hours(self, before_ms: int) -> None:
        """Forget the counts of hours that began before then."""
        with writing(self._engine) as connection:
            connection.execute(FORGET_OLD_HOURS, {"before_ms": before_ms})

    def hours(self, account_id: str, key_id: str, *, from_ms: int, to_ms: int) -> dict[Hour, HourCount]:
        """The counts of the hours that begin in the range, both ends included, oldest first."""
        rows = select(key_usage).join(keys, keys.c.id == key_usage.c.key_id)
        mine = rows.where(keys.c.account_id == account_id, keys.c.id == key_id)
        asked = mine.where(key_usage.c.hour_ms.between(from_ms, to_ms))
        with reading(self._engine) as connection:
            found = connection.execute(asked.order_by(key_usage.c.hour_ms, key_usage.c.generation)).all()
        return {
            Hour(row.key_id, row.generation, row.hour_ms): HourCount(row.requests, row.refusals, row.lines, row.bytes)
            for row in found
        }

    def users(self, account_id: str, key_id: str) -> list[KeptUser]:
        """The users that are kept, the newest first."""
        rows = select(key_users).join(keys, keys.c.id == key_users.c.key_id)
        mine = rows.where(keys.c.account_id == account_id, keys.c.id == key_id)
        newest = mine.order_by(key_users.c.last_ms.desc(), key_users.c.user_digest)
        with reading(self._engine) as connection:
            return [_kept_user(row) for row in connection.execute(newest)]

    def used_of_limited(self, day_ms: int) -> dict[str, Used]:
        """What was accepted since *day_ms* of the live keys with limits, by all servers and of all values."""
        with reading(self._engine) as connection:
            rows = connection.execute(USED_OF_LIMITED, {"day_ms": day_ms}).all()
        return {row.key_id: Used(int(row.lines), int(row.bytes)) for row in rows}

    def signs(self, account_id: str) -> dict[str, SignsKept]:
        """What is known of the live keys of an account beside themselves, by key."""
        leaked = select(func.max(key_leaks.c.last_ms)).where(key_leaks.c.key_id == keys.c.id).scalar_subquery()
        rotations = select(func.max(audit_events.c.at_ms)).where(
            audit_events.c.account_id == account_id,
            audit_events.c.subject_id == keys.c.id,
            audit_events.c.action == ROTATED,
        )
        columns = select(
            keys.c.id,
            keys.c.url_seen_ms,
            leaked.label("leaked_ms"),
            rotations.scalar_subquery().label("rotated_ms"),
        )
        mine = columns.where(keys.c.account_id == account_id, keys.c.deleted_ms.is_(None))
        with reading(self._engine) as connection:
            return {
                row.id: SignsKept(url_seen_ms=row.url_seen_ms, leaked_ms=row.leaked_ms, rotated_ms=row.rotated_ms)
                for row in connection.execute(mine)
            }

    def _newly_seen_in_address(self, counts: Counts) -> Mapping[str, int]:
        """When keys were sent in an address, by key, of those that this was not written of within a day."""
        seen: dict[str, int] = {}
        for user, count in counts.users.items():
            last_ms = self._seen_in_address.get(user.key_id)
            is_new = last_ms is None or last_ms < count.last_ms - DAY_MS
            if user.carrier == Carrier.ADDRESS and is_new:
                seen[user.key_id] = max(seen.get(user.key_id, 0), count.last_ms)
        return dict(sorted(seen.items()))


def _execute(connection: Connection, statement: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(statement, rows)


def _in_parts(key_ids: list[str]) -> Iterable[list[str]]:
    return (key_ids[start : start + KEYS_AT_ONCE] for start in range(0, len(key_ids), KEYS_AT_ONCE))


def _hour_row(hour: Hour, count: HourCount) -> dict[str, Any]:
    return hour._asdict() | count._asdict()


def _user_row(user: User, seen: UserCount) -> dict[str, Any]:
    # PostgreSQL keeps no NUL in a text, so NULs can part what is digested.
    told = {
        member: text.replace("\0", "") if isinstance(text, str) else text for member, text in user._asdict().items()
    }
    digest = blake2b("\0".join(map(str, told.values())).encode(), digest_size=DIGEST_BYTES).digest()
    counted = {"first_ms": seen.first_ms, "last_ms": seen.last_ms, "requests": seen.requests, "refusals": seen.refusals}
    return told | counted | {"user_digest": digest}


def _kept_user(row: Row[Any]) -> KeptUser:
    user = User(row.key_id, row.generation, row.address, row.agent, row.host, row.carrier, row.dialect)
    return KeptUser(user=user, seen=UserCount(row.requests, row.refusals, 0, row.first_ms, row.last_ms))
