"""Servers of a test that rotate secrets: each has a text of the master secret, which can be exchanged as a file can."""

import secrets
from typing import Any

from keys_house import MASTER_SECRET, Clock
from sqlalchemy import Connection

from logboom.accounts.repository import AccountRepository
from logboom.database.engine import open_database, reading
from logboom.database.migrate import migrate
from logboom.keys.change import SYSTEM
from logboom.keys.key import Caller, Key, KeyKind, NewKey, Reveal
from logboom.keys.keyring import Keyring
from logboom.keys.keys import Keys
from logboom.keys.older import Older
from logboom.keys.repository import KeyRepository
from logboom.keys.rotation import Batch, Rotation
from logboom.keys.secret_text import FIRST, MasterSecret, Purpose, Version
from logboom.keys.vault import Vault
from logboom.keys.versions import keep_master_check, rows_by_version

UNROTATED = MasterSecret(master=MASTER_SECRET)
ROTATED = MasterSecret(
    master=MASTER_SECRET,
    versions={purpose: (*FIRST, Version(number=2, secret=secrets.token_bytes(32))) for purpose in Purpose},
)


class Server:
    """One server's view of a database. *older* is what its requests have handed over."""

    def __init__(self, url: str, secret: MasterSecret) -> None:
        self.secret = secret
        self.engine = open_database(url)
        migrate(self.engine)
        self.vault = Vault(secret, random_bytes=secrets.token_bytes, read_again=lambda: self.secret)
        keep_master_check(self.engine, self.vault.check_value)
        self.older: list[Older] = []
        self.clock = Clock()
        self.keyring = Keyring(self.vault, self.older.append)
        self.repository = KeyRepository(self.engine, self.vault)
        self.keys = Keys(self.repository, self.keyring, self.vault, now_ms=self.clock, random_hex=secrets.token_hex)
        self.rotation = Rotation(self.repository, self.vault)
        self.accounts = AccountRepository(self.engine, now_ms=self.clock, random_hex=secrets.token_hex)

    def create(self, account_id: str, reveal: Reveal = Reveal.ALWAYS, **options: Any) -> Key:
        new = NewKey(kind=KeyKind.INGESTION, name="key", reveal=reveal)
        return self.keys.create_key(account_id, new, actor=SYSTEM, **options)

    def admits(self, key: Key) -> bool:
        found = self.keyring.authenticate(key.value or "", self.clock())
        return isinstance(found, Caller) and found.key_id == key.id

    def refusal(self, value: str) -> str | None:
        """Why *value* is refused; None when it is nobody's."""
        found = self.keyring.authenticate(value, self.clock())
        return None if found is None or isinstance(found, Caller) else found.refusal.name

    def begin(self, purpose: Purpose = Purpose.PEPPER) -> int:
        def tell(_connection: Connection) -> None:
            """Nobody wants to know."""

        return self.rotation.begin(purpose, 2, tell)

    def digest_anew(self) -> tuple[int, int]:
        """Every batch until the end: how many were moved, and how many wait."""
        return sweep(self.rotation.digest_anew)

    def wrap_anew(self) -> tuple[int, int]:
        return sweep(self.rotation.wrap_anew)

    def pepper_versions(self) -> dict[int, int]:
        with reading(self.engine) as connection:
            return dict(rows_by_version(connection, Purpose.PEPPER))


def sweep(next_batch: Any) -> tuple[int, int]:
    batches: list[Batch] = [next_batch(None)]
    while batches[-1].last is not None:
        batches.append(next_batch(batches[-1].last))
    return sum(batch.moved for batch in batches), sum(batch.waiting for batch in batches)
