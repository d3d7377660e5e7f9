"""Remembers for a day what was answered to a request with an `Idempotency-Key`: a repetition does nothing twice.

An answer may hold a key value, so it is sealed. It is kept by the transaction of the change that it tells of: either
both happened or neither.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, delete, insert, select

from logboom.database.tables import remembered_answers
from logboom.errors import Detail, ValidationFailed
from logboom.keys.key import Key
from logboom.keys.vault import Vault, WrappedKey
from logboom.limits import ANSWER_REMEMBERED_MS


@dataclass(frozen=True, kw_only=True)
class Once:
    """A request that shall count once: the name its sender gave it, and what it asks for."""

    name: str
    request: bytes

    @property
    def name_digest(self) -> bytes:
        return hashlib.sha256(self.name.encode()).digest()

    @property
    def request_digest(self) -> bytes:
        return hashlib.sha256(self.request).digest()


class Answers:
    """Keeps keys as they were answered, with their values, per account."""

    def __init__(self, vault: Vault, *, now_ms: Callable[[], int]) -> None:
        self._vault = vault
        self._now_ms = now_ms

    def find(self, connection: Connection, account_id: str, once: Once, data_key: WrappedKey) -> Key | None:
        """What was answered to the same request. Raises ValidationFailed when the name was used for another one."""
        is_same = (
            remembered_answers.c.account_id == account_id,
            remembered_answers.c.name_digest == once.name_digest,
            remembered_answers.c.created_ms > self._now_ms() - ANSWER_REMEMBERED_MS,
        )
        row = connection.execute(select(remembered_answers).where(*is_same)).one_or_none()
        if row is None:
            return None
        if row.request_digest != once.request_digest:
            message = '"Idempotency-Key" was used for another request'
            raise ValidationFailed(Detail(message=message, key="Idempotency-Key"))
        answer = self._vault.open_answer(
            row.sealed, data_key=data_key, account_id=account_id, name_digest=once.name_digest
        )
        return msgspec.json.decode(answer, type=Key)

    def keep(self, connection: Connection, key: Key, once: Once, data_key: WrappedKey) -> None:
        """Remember *key* as the answer. Raises IntegrityError when the same request was answered meanwhile."""
        now_ms = self._now_ms()
        forgotten = remembered_answers.c.created_ms <= now_ms - ANSWER_REMEMBERED_MS
        connection.execute(delete(remembered_answers).where(forgotten))
        sealed = self._vault.seal_answer(
            msgspec.json.encode(key), data_key=data_key, account_id=key.account_id, name_digest=once.name_digest
        )
        columns = {"account_id": key.account_id, "name_digest": once.name_digest, "created_ms": now_ms}
        connection.execute(
            insert(remembered_answers).values(request_digest=once.request_digest, sealed=sealed, **columns)
        )
