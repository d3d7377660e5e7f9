"""What time makes due of keys, found and done: under the key's lock, after another look, so that it is done once."""

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Connection

from logboom.errors import NotFound
from logboom.keys import life
from logboom.keys.change import KeyAction
from logboom.keys.expiry import WARNED_BEFORE_MS, due_warning
from logboom.keys.key import Key
from logboom.keys.keys import Keys
from logboom.keys.repository import KeyRepository, Overlap
from logboom.keys.rows import RETIRING


class Due:
    """The methods wait for the database: call them from a thread. They speak of the keys of all accounts."""

    def __init__(self, keys: Keys, repository: KeyRepository, *, now_ms: Callable[[], int]) -> None:
        self._keys, self._repository, self._now_ms = keys, repository, now_ms

    def end_lapsed_overlaps(self) -> None:
        """Forget the old values whose overlap has ended; they are refused already."""
        self._keys.end_lapsed_overlaps()

    def overlaps_that_may_end(self) -> list[Overlap]:
        """The old values that shall end early once nobody uses them."""
        with self._repository.reading() as connection:
            return self._repository.overlaps_that_may_end(connection)

    def end_idle_overlap(self, overlap: Overlap) -> None:
        """End that old value, if it still goes on."""

        def rule(connection: Connection, key: Key, now_ms: int) -> Key:
            if key.generation != overlap.generation + 1 or key.retiring_until_ms is None:
                return key
            self._repository.end_values(connection, key.id, [RETIRING], now_ms)
            return life.overlap_ended(key)

        self._change(overlap.account_id, overlap.key_id, KeyAction.RETIRED, rule)

    def expiring(self) -> list[tuple[str, str]]:
        """Account and id of the keys whose expiry has come so near that it is to be told."""
        now_ms = self._now_ms()
        with self._repository.reading() as connection:
            near = self._repository.expiring(connection, after_ms=now_ms, until_ms=now_ms + WARNED_BEFORE_MS)
        return [(key.account_id, key.id) for key in near if due_warning(key, now_ms) is not None]

    def warn_of_expiry(self, account_id: str, key_id: str) -> int | None:
        """Tell once that the key is going to expire; the days before it if this call did."""
        told: list[int] = []

        def rule(_connection: Connection, key: Key, now_ms: int) -> Key:
            days = due_warning(key, now_ms)
            if days is None:
                return key
            told.append(days)
            return replace(key, expiry_warned_days=days)

        self._change(account_id, key_id, KeyAction.EXPIRING, rule)
        return told[0] if told else None

    def _change(
        self, account_id: str, key_id: str, action: KeyAction, rule: Callable[[Connection, Key, int], Key]
    ) -> None:
        try:
            self._keys.change_by_itself(account_id, key_id, action, rule)
        except NotFound:  # deleted in between
            return
