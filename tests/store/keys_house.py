"""Builds the control plane of a test: a migrated database and everything about keys on top of it."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine

from logboom.accounts.repository import AccountRepository
from logboom.database.engine import open_database
from logboom.database.migrate import migrate
from logboom.keys.change import KeyChange
from logboom.keys.key import Caller
from logboom.keys.keyring import Keyring
from logboom.keys.keys import Keys
from logboom.keys.repository import KeyRepository
from logboom.keys.vault import Vault

MASTER_SECRET = b"m" * 32


@dataclass
class Clock:
    """A clock that stands still until it is told to go on."""

    now_ms: int = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now_ms


class WallClock(Clock):
    """The real one, which other processes have too."""

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class KeysHouse:
    """One server's view of a database; two of them on one URL are two servers. *changes* is what it was told of."""

    engine: Engine
    accounts: AccountRepository
    keyring: Keyring
    keys: Keys
    clock: Clock
    changes: list[KeyChange] = field(default_factory=list)

    def caller(self, value: str) -> Caller | None:
        """Who is admitted with *value* now."""
        found = self.keyring.authenticate(value, self.clock())
        return found if isinstance(found, Caller) else None

    def refusal(self, value: str) -> str | None:
        """Why *value* is refused now; None when it is admitted or nobody's."""
        found = self.keyring.authenticate(value, self.clock())
        return None if found is None or isinstance(found, Caller) else found.refusal.name


def open_keys_house(
    url: str,
    *,
    master_secret: bytes = MASTER_SECRET,
    clock: Clock | None = None,
    on_change: Callable[[Connection, KeyChange], None] | None = None,
    is_migrated: bool = False,
) -> KeysHouse:
    engine = open_database(url)
    if not is_migrated:
        migrate(engine)
    vault = Vault(master_secret, random_bytes=secrets.token_bytes)
    clock = clock or Clock()
    keyring = Keyring(vault)
    changes: list[KeyChange] = []

    keys = Keys(
        KeyRepository(engine, vault),
        keyring,
        vault,
        now_ms=clock,
        random_hex=secrets.token_hex,
        on_change=on_change or (lambda _connection, change: changes.append(change)),
    )
    accounts = AccountRepository(engine, now_ms=clock, random_hex=secrets.token_hex)
    return KeysHouse(engine=engine, accounts=accounts, keyring=keyring, keys=keys, clock=clock, changes=changes)
