"""Keeps where values of keys were found: one row for each key, place and day.

Several servers add to the same rows. The rows of one transaction are written in the order of their keys, so that two
servers never wait for each other crosswise.
"""

from typing import Final

from sqlalchemy import Connection, Engine, text

from logboom.database.engine import reading
from logboom.keys.leak import KnownLeak, Leak, Tally
from logboom.limits import LEAK_PLACES_MAX, LEAKS_SHOWN_MAX

ADD: Final = text(
    """UPDATE key_leaks SET
        count = count + :count,
        first_ms = CASE WHEN first_ms < :first_ms THEN first_ms ELSE :first_ms END,
        last_ms = CASE WHEN last_ms > :last_ms THEN last_ms ELSE :last_ms END
    WHERE key_id = :key_id AND place_digest = :place_digest"""
)
# A key may be gone when an older database was put back under a running server; its leaks are dropped then.
BEGIN: Final = text(
    """INSERT INTO key_leaks (key_id, place_digest, account_id, app, host, day_ms, first_ms, last_ms, count)
    SELECT keys.id, :place_digest, :account_id, :app, :host, :day_ms, :first_ms, :last_ms, :count
    FROM keys WHERE keys.id = :key_id
    ON CONFLICT (key_id, place_digest) DO NOTHING"""
)
COUNT_PLACES: Final = text("SELECT count(*) FROM key_leaks WHERE key_id = :key_id AND day_ms = :day_ms")
LIST: Final = text(
    """SELECT key_leaks.* FROM key_leaks JOIN keys ON keys.id = key_leaks.key_id
    WHERE keys.account_id = :account_id AND keys.id = :key_id
    ORDER BY key_leaks.day_ms DESC, key_leaks.last_ms DESC LIMIT :leaks_max"""
)
FORGET: Final = text("DELETE FROM key_leaks WHERE day_ms < :before_ms")


class LeakRepository:
    """Rows to leaks and back."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, connection: Connection, leak: Leak, tally: Tally) -> Leak | None:
        """Count a leak. Returns it when its place is new for the day; without app and host if there are too many."""
        if self._is_added(connection, leak, tally):
            return None
        day = {"key_id": leak.caller.key_id, "day_ms": leak.day_ms}
        places = connection.execute(COUNT_PLACES, day).scalar_one()
        if places >= LEAK_PLACES_MAX and leak != leak.anywhere():
            return self.add(connection, leak.anywhere(), tally)
        place = {"account_id": leak.account_id, "app": leak.app, "host": leak.host}
        if connection.execute(BEGIN, _row(leak, tally) | day | place).rowcount:
            return leak
        self._is_added(connection, leak, tally)  # another server was first
        return None

    def list_leaks(self, account_id: str, key_id: str) -> list[KnownLeak]:
        """Where the values of the account's key were found, newest first."""
        wanted = {"account_id": account_id, "key_id": key_id, "leaks_max": LEAKS_SHOWN_MAX}
        with reading(self._engine) as connection:
            rows = connection.execute(LIST, wanted).mappings().all()
        return [
            KnownLeak(
                app=row["app"],
                host=row["host"],
                is_own=row["account_id"] == account_id,
                day_ms=row["day_ms"],
                tally=Tally(count=row["count"], first_ms=row["first_ms"], last_ms=row["last_ms"]),
            )
            for row in rows
        ]

    def forget(self, connection: Connection, *, before_ms: int) -> None:
        """Forget the days before that time."""
        connection.execute(FORGET, {"before_ms": before_ms})

    def _is_added(self, connection: Connection, leak: Leak, tally: Tally) -> bool:
        return connection.execute(ADD, _row(leak, tally)).rowcount > 0


def _row(leak: Leak, tally: Tally) -> dict[str, object]:
    place = {"key_id": leak.caller.key_id, "place_digest": leak.place_digest}
    return place | {"count": tally.count, "first_ms": tally.first_ms, "last_ms": tally.last_ms}
