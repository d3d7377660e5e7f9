"""Whether somebody may change keys, by the rows as they are within the transaction of the change.

The gate has let the request in by what memory knew then. Meanwhile the key that asks may have been deleted or given
less to do; what it wants is not done then. The rows of an account's keys do not change under this check: whoever
changes them by a key, or changes one, holds the account.
"""

from collections.abc import Callable, Collection
from typing import Final

from sqlalchemy import Connection

from logboom.errors import NotAuthorized, ScopeExceeded, ScopeMissing, SecretOutdated
from logboom.keys.change import Actor, ActorKind, KeyAction
from logboom.keys.key import Caller, Key, KeyKind
from logboom.keys.repository import KeyRepository
from logboom.keys.scopes import FULL, Scope, Scopes, covers, lacking
from logboom.keys.verdict import decide, error_of
from logboom.limits import TOMBSTONE_MS

# What gives a key back to its users, or gives them more to do. The other changes only take away, and any key that
# manages keys may make them: stopping a stolen key must not depend on having as many rights as the thief.
GIVING: Final = frozenset({KeyAction.CREATED, KeyAction.IMPORTED, KeyAction.RENAMED, KeyAction.CHANGED})
GIVING_BACK: Final = frozenset({KeyAction.RELEASED, KeyAction.ENABLED, KeyAction.ROTATED})

CHANGING: Final = (Scope.KEYS_MANAGE,)
REVEALING: Final = (Scope.KEYS_REVEAL,)


class Rights:
    """What an actor may do now."""

    def __init__(self, repository: KeyRepository, *, now_ms: Callable[[], int]) -> None:
        self._repository, self._now_ms = repository, now_ms

    def authorize(self, connection: Connection, account_id: str, action: KeyAction, actor: Actor) -> Scopes:
        """As `scopes_of`, once nobody else changes keys of the account until the transaction ends."""
        self._repository.lock_account(connection, account_id)
        return self.scopes_of(connection, account_id, actor, needed_for(action))

    def scopes_of(self, connection: Connection, account_id: str, actor: Actor, needed: Collection[Scope]) -> Scopes:
        """All that *actor* may do. Raises ScopeMissing without one *needed*; NotAuthorized when its key has ended."""
        if actor.kind is not ActorKind.SERVICE_KEY:
            return FULL
        now_ms = self._now_ms()
        snapshot = self._repository.snapshot(connection, since_ms=now_ms - TOMBSTONE_MS, key_id=actor.key_id)
        for standing in snapshot.standings.values():
            caller = standing.caller
            if (caller.account_id, caller.generation) == (account_id, actor.generation):
                found = decide(standing, now_ms)
                if not isinstance(found, Caller):
                    raise error_of(found, NotAuthorized)
                if missing := lacking(found.scopes, needed):
                    raise ScopeMissing(*missing)
                return found.scopes
        raise NotAuthorized if snapshot.is_whole else SecretOutdated


def needed_for(action: KeyAction) -> tuple[Scope, ...]:
    """What somebody needs to do *action* to a key. Renaming is the compatible API's, and shows the value."""
    return (*CHANGING, *REVEALING) if action is KeyAction.RENAMED else CHANGING


def check_giving(own: Scopes, action: KeyAction, *keys: Key | None) -> None:
    """Raises ScopeExceeded when *action* would give somebody's key, or give it back, more than one has *own* scopes."""
    if action in GIVING or action in GIVING_BACK:
        check_covers(own, *keys)


def check_covers(own: Scopes, *keys: Key | None) -> None:
    """Raises ScopeExceeded when one of the *keys* can do more."""
    if not all(may_have(own, key) for key in keys if key):
        raise ScopeExceeded


def may_have(own: Scopes, key: Key) -> bool:
    """Whether who has its *own* scopes may have the value of *key*."""
    return key.kind is KeyKind.INGESTION or covers(own, key.scopes)
