"""Builds the control plane of a test: a migrated database and everything about keys on top of it."""

import itertools
import secrets
from dataclasses import dataclass

from sqlalchemy import Engine

from logboom.accounts.repository import AccountRepository
from logboom.database.engine import open_database
from logboom.database.migrate import migrate
from logboom.keys.keyring import Keyring
from logboom.keys.keys import Keys
from logboom.keys.repository import KeyRepository
from logboom.keys.vault import Vault

MASTER_SECRET = b"m" * 32


@dataclass(frozen=True)
class KeysHouse:
    """One server's view of a database; two of them on one URL are two servers."""

    engine: Engine
    accounts: AccountRepository
    keyring: Keyring
    keys: Keys


def open_keys_house(url: str, *, master_secret: bytes = MASTER_SECRET) -> KeysHouse:
    engine = open_database(url)
    migrate(engine)
    vault = Vault(master_secret, random_bytes=secrets.token_bytes)
    now_ms = itertools.count(1_700_000_000_000).__next__
    keyring = Keyring(vault)
    repository = KeyRepository(engine, vault, now_ms=now_ms, random_hex=secrets.token_hex)
    accounts = AccountRepository(engine, now_ms=now_ms, random_hex=secrets.token_hex)
    return KeysHouse(engine=engine, accounts=accounts, keyring=keyring, keys=Keys(repository, keyring))
