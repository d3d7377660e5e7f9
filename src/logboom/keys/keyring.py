"""Answers "whose key is this" from memory, without I/O, on every request.

It holds digests only: whoever reads this process's memory finds no key value here.
"""

from collections.abc import Mapping

from logboom.keys.key import Caller, Key
from logboom.keys.vault import Vault
from logboom.limits import KEY_VALUE_CHARACTERS_MAX, KEY_VALUE_CHARACTERS_MIN


class Keyring:
    """Live keys by digest.

    Any thread may authenticate at any time. Writers come one at a time (`Keys` sees to it), and each change is one step
    that a reader sees whole or not at all.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._callers: dict[bytes, Caller] = {}

    def authenticate(self, value: str) -> Caller | None:
        """Who holds *value*, or None. Values that cannot be keys are refused before any hashing."""
        if not KEY_VALUE_CHARACTERS_MIN <= len(value) <= KEY_VALUE_CHARACTERS_MAX or not value.isascii():
            return None
        return self._callers.get(self._vault.digest(value))

    def replace(self, callers: Mapping[bytes, Caller]) -> None:
        """Hold *callers* (by digest) and nothing else."""
        self._callers = dict(callers)

    def add(self, key: Key) -> None:
        caller = Caller(account_id=key.account_id, key_id=key.id, kind=key.kind)
        self._callers[self._vault.digest(key.value)] = caller

    def remove(self, key_id: str) -> None:
        self._callers = {digest: caller for digest, caller in self._callers.items() if caller.key_id != key_id}

    def __len__(self) -> int:
        return len(self._callers)
