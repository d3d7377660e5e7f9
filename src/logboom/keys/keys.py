"""Joins the two places a key lives in, the database and the memory of this process, so that they never disagree.

A created key opens doors as soon as the caller is told of it, a deleted one is refused by the very next request.
"""

from threading import Lock

from logboom.keys.key import Key, KeyKind
from logboom.keys.keyring import Keyring
from logboom.keys.repository import KeyRepository


class Keys:
    """All that is done to keys. The methods wait for the database: call them from a thread.

    The lock makes "commit, then tell the keyring" one step. Without it a key that is created and deleted by two
    requests at once could enter the keyring after it has left, and would open doors until the next start.
    """

    def __init__(self, repository: KeyRepository, keyring: Keyring) -> None:
        self._repository = repository
        self._keyring = keyring
        self._changing = Lock()

    def load(self) -> tuple[str, ...]:
        """Fill the keyring. Returns the ids of keys left out because somebody altered their rows; say so loudly."""
        with self._changing:
            snapshot = self._repository.snapshot()
            self._keyring.replace(snapshot.callers)
        return snapshot.altered_key_ids

    def create(self, account_id: str, kind: KeyKind, *, name: str = "", value: str | None = None) -> Key:
        """As `KeyRepository.create`; the key works when this returns."""
        with self._changing:
            key = self._repository.create(account_id, kind, name=name, value=value)
            self._keyring.add(key)
        return key

    def delete(self, account_id: str, key_id: str) -> None:
        """As `KeyRepository.delete`; the key is refused when this returns."""
        with self._changing:
            self._repository.delete(account_id, key_id)
            self._keyring.remove(key_id)

    def rename(self, account_id: str, key_id: str, name: str) -> Key:
        return self._repository.rename(account_id, key_id, name)

    def get(self, account_id: str, key_id: str) -> Key:
        return self._repository.get(account_id, key_id)

    def list_keys(self, account_id: str, kind: KeyKind | None = None) -> list[Key]:
        return self._repository.list_keys(account_id, kind)
