"""Keeps key values out of the database: what is stored there is of no use without the master secret.

The master secret never encrypts anything itself. HKDF derives one subkey for each purpose: the *pepper* of the digests
that keys are looked up by, the *key-encryption key* that wraps one data key per account, and the *check value* that
tells a wrong master secret from the right one. Every ciphertext is bound to its place (account, key, generation, kind,
purpose), so that a row copied over another does not open.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from logboom.keys.key import KeyKind

MASTER_SECRET_BYTES = 32
PEPPER_VERSION = 1
SUBKEY_BYTES = 32
NONCE_BYTES = 12  # random ones; an account's data key seals far fewer than the 2^32 values they allow


class SealError(Exception):
    """A stored value does not open in its place: the row was altered outside of this program."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a sealed value belongs."""

    account_id: str
    key_id: str
    generation: int
    kind: KeyKind

    def bound(self, purpose: str) -> bytes:
        """The associated data of the ciphertext. No part can contain the separator."""
        parts = (self.account_id, self.key_id, str(self.generation), self.kind.value, purpose)
        return "|".join(parts).encode()


class Vault:
    """Digests, seals and opens. Pure computation; *random_bytes* is `secrets.token_bytes` or its like."""

    def __init__(self, master_secret: bytes, *, random_bytes: Callable[[int], bytes]) -> None:
        self._inner, self._outer = _hmac_states(_subkey(master_secret, b"logboom/lookup/v1"), b"key\0")
        self._wrapper = AESGCM(_subkey(master_secret, b"logboom/data-keys/v1"))
        self._audit_key = _subkey(master_secret, b"logboom/audit/v1")
        self._random_bytes = random_bytes
        self.check_value = _subkey(master_secret, b"logboom/check/v1")

    def sign_audit(self, row: bytes) -> bytes:
        """The signature that chains the rows of the audit log."""
        return hmac.digest(self._audit_key, row, "sha256")

    def digest(self, value: str) -> bytes:
        """What *value* is looked up by: 32 bytes that say nothing without the pepper."""
        return self.digest_all([value.encode()])[0]

    def digest_all(self, values: Iterable[bytes]) -> list[bytes]:
        """The digests of *values*, in their order.

        It is HMAC-SHA256 from two states that have the pepper in them already, at less than half of its usual cost:
        every trace id of every line is looked up (`scan.py`).
        """
        copy_inner, copy_outer, digests = self._inner.copy, self._outer.copy, []
        for value in values:
            inner = copy_inner()
            inner.update(value)
            outer = copy_outer()
            outer.update(inner.digest())
            digests.append(outer.digest())
        return digests

    def mint_data_key(self, account_id: str) -> bytes:
        """A new data key for an account, wrapped."""
        nonce = self._random_bytes(NONCE_BYTES)
        return nonce + self._wrapper.encrypt(nonce, self._random_bytes(SUBKEY_BYTES), _data_key_place(account_id))

    def seal(self, value: str, *, data_key: bytes, place: Place) -> bytes:
        """*value* as nonce and ciphertext, under the wrapped *data_key* of its account."""
        return self._seal(value.encode(), data_key, place.account_id, place.bound("reveal"))

    def open(self, sealed: bytes, *, data_key: bytes, place: Place) -> str:
        """The value that was sealed in this *place*. Raises SealError."""
        return self._open(sealed, data_key, place.account_id, place.bound("reveal")).decode()

    def bind(self, digest: bytes, *, data_key: bytes, place: Place) -> bytes:
        """What stands in for a value that is not kept: it proves that *digest* belongs in this *place*."""
        return self._seal(digest, data_key, place.account_id, place.bound("bind"))

    def check_bound(self, digest: bytes, sealed: bytes, *, data_key: bytes, place: Place) -> None:
        """Raises SealError unless *sealed* is what `bind` made of *digest* for this *place*."""
        if self._open(sealed, data_key, place.account_id, place.bound("bind")) != digest:
            raise SealError

    def seal_answer(self, answer: bytes, *, data_key: bytes, account_id: str, name_digest: bytes) -> bytes:
        """An *answer* that holds a key value, to be kept for its repetition under that name."""
        return self._seal(answer, data_key, account_id, _answer_place(account_id, name_digest))

    def open_answer(self, sealed: bytes, *, data_key: bytes, account_id: str, name_digest: bytes) -> bytes:
        """Raises SealError."""
        return self._open(sealed, data_key, account_id, _answer_place(account_id, name_digest))

    def _seal(self, content: bytes, data_key: bytes, account_id: str, bound: bytes) -> bytes:
        nonce = self._random_bytes(NONCE_BYTES)
        return nonce + self._unwrap(data_key, account_id).encrypt(nonce, content, bound)

    def _open(self, sealed: bytes, data_key: bytes, account_id: str, bound: bytes) -> bytes:
        return _decrypt(self._unwrap(data_key, account_id), sealed, bound)

    def _unwrap(self, data_key: bytes, account_id: str) -> AESGCM:
        return AESGCM(_decrypt(self._wrapper, data_key, _data_key_place(account_id)))


def _subkey(master_secret: bytes, label: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=SUBKEY_BYTES, salt=None, info=label).derive(master_secret)


def _hmac_states(key: bytes, beginning: bytes) -> tuple["hashlib._Hash", "hashlib._Hash"]:
    """HMAC-SHA256 under a *key* of at most a block, begun: inner and outer hash, the message so far *beginning*."""
    block = key.ljust(hashlib.sha256().block_size, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + beginning)
    return inner, hashlib.sha256(bytes(byte ^ 0x5C for byte in block))


def _data_key_place(account_id: str) -> bytes:
    return f"{account_id}|data key".encode()


def _answer_place(account_id: str, name_digest: bytes) -> bytes:
    return f"{account_id}|{name_digest.hex()}|answer".encode()


def _decrypt(cipher: AESGCM, sealed: bytes, bound: bytes) -> bytes:
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
    except (InvalidTag, ValueError) as cause:
        raise SealError from cause
