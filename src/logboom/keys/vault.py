"""Keeps key values out of the database: what is stored there is of no use without the master secret.

The master never encrypts anything itself. For each purpose there is a secret of its own: the *pepper* of the digests
that keys are looked up by, the *key-encryption key* (KEK) that wraps one data key per account, the key of the audit
log, and the *check values* that tell a wrong secret from the right one. HKDF derives them from the master; a pepper or
KEK that was rotated in is random instead. Every ciphertext is bound to its place (account, key, generation, kind,
purpose), so that a row copied over another does not open.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from logboom.audit.chain import AuditKeys, Sign
from logboom.errors import SecretOutdated
from logboom.keys.key import KeyKind
from logboom.keys.secret_text import MasterSecret, Purpose

SUBKEY_BYTES = 32
NONCE_BYTES = 12  # random ones; an account's data key seals far fewer than the 2^32 values they allow

LABELS = {
    Purpose.PEPPER: b"logboom/lookup/v1",
    Purpose.KEK: b"logboom/data-keys/v1",
    Purpose.AUDIT: b"logboom/audit/v1",
}

# The check values of versions that were rotated in, by purpose and number.
Checks = Mapping[tuple[Purpose, int], bytes]


class SealError(Exception):
    """A stored value does not open in its place: the row was altered outside of this program."""


class WrappedKey(NamedTuple):
    """The data key of an account as it is stored, and which KEK wraps it."""

    wrapped: bytes
    kek_version: int


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


class Pepper:
    """One version of the pepper.

    It is HMAC-SHA256 from two states that have the pepper in them already, at less than half of its usual cost: every
    request looks a value up, and every trace id of every line (`scan.py`).
    """

    def __init__(self, secret: bytes) -> None:
        self._inner, self._outer = _hmac_states(secret, b"key\0")

    def digest(self, value: str) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(value.encode())
        outer.update(inner.digest())
        return outer.digest()

    def digest_all(self, values: Iterable[bytes]) -> list[bytes]:
        """The digests of *values*, in their order."""
        copy_inner, copy_outer, digests = self._inner.copy, self._outer.copy, []
        for value in values:
            inner = copy_inner()
            inner.update(value)
            outer = copy_outer()
            outer.update(inner.digest())
            digests.append(outer.digest())
        return digests


class Vault:
    """Digests, seals and opens. Pure computation; *random_bytes* is `secrets.token_bytes` or its like.

    It knows every version that the *secret* names and uses one of each; which one, the database says (`move_to`).
    *read_again* returns the secret as it is now, for a version that came after the start, or None. What is known is
    replaced as a whole, so any thread may compute while another moves on.
    """

    def __init__(
        self,
        secret: MasterSecret | bytes,
        *,
        random_bytes: Callable[[int], bytes],
        read_again: Callable[[], MasterSecret | None] = lambda: None,
    ) -> None:
        known = secret if isinstance(secret, MasterSecret) else MasterSecret(master=secret)
        self._master = known.master
        self._random_bytes, self._read_again = random_bytes, read_again
        self._audited = _audited_of(known)
        self.check_value = _subkey(known.master, b"logboom/check/v1")
        self._secrets = _secrets_of(known)
        self._rebuild()
        self.pepper_version, self.kek_version = min(self._peppers), min(self._wrappers)
        self._pepper = self._peppers[self.pepper_version]

    # -- versions ------------------------------------------------------------------------------------------------------

    @property
    def pepper_versions(self) -> tuple[int, ...]:
        """Every known one."""
        return tuple(self._peppers)

    def knows(self, purpose: Purpose, number: int) -> bool:
        return (purpose, number) in self._secrets

    def check_of(self, purpose: Purpose, number: int) -> bytes:
        """What tells this version from another secret with the same number."""
        return _subkey(self._secrets[purpose, number], f"logboom/check/v1/{purpose.value}/{number}".encode())

    def is_right(self, purpose: Purpose, number: int, checks: Checks) -> bool:
        """Whether a version is known and is the one that *checks* tell of, if they tell of it."""
        if not self.knows(purpose, number):
            return False
        expected = checks.get((purpose, number))
        return expected is None or hmac.compare_digest(self.check_of(purpose, number), expected)

    def move_to(self, pepper_version: int, kek_version: int, checks: Checks) -> bool:
        """Use these versions from now on. Returns False, and stays, when the secret lacks one even if read again."""
        audit_versions = [number for purpose, number in checks if purpose is Purpose.AUDIT]
        wanted = [(Purpose.PEPPER, pepper_version), (Purpose.KEK, kek_version)]
        wanted += [(Purpose.AUDIT, number) for number in sorted(audit_versions)[-1:]]
        if not all(self.is_right(*version, checks) for version in wanted):
            self.read_secret_again()
        if not all(self.is_right(*version, checks) for version in wanted):
            return False
        self.pepper_version, self.kek_version = pepper_version, kek_version
        self._pepper = self._peppers[pepper_version]
        return True

    def read_secret_again(self) -> None:
        """Learn what is new in it. What is known already stays known: requests may be at work with it."""
        secret = self._read_again()
        if secret is None or secret.master != self._master:
            return
        self._secrets = self._secrets | _secrets_of(secret)
        self._audited = self._audited | _audited_of(secret)
        self._rebuild()

    def _rebuild(self) -> None:
        numbered = sorted(self._secrets.items())
        self._peppers = {number: Pepper(known) for (of, number), known in numbered if of is Purpose.PEPPER}
        self._wrappers = {number: AESGCM(known) for (of, number), known in numbered if of is Purpose.KEK}

    # -- looking up ----------------------------------------------------------------------------------------------------

    def audit_keys(self) -> AuditKeys:
        """What signs the audit log and proves it, as far as the secret tells now."""
        alive = [secret for (purpose, _), secret in sorted(self._secrets.items()) if purpose is Purpose.AUDIT]
        return AuditKeys(alive=tuple(map(_signer, alive)), earlier=tuple(map(_signer, self._audited.values())))

    def sign_audit(self, row: bytes) -> bytes:
        """The signature that chains the rows of the audit log, as long as its key was never rotated."""
        return self.audit_keys().alive[0](row)

    def digest(self, value: str) -> bytes:
        """What *value* is looked up by: 32 bytes that say nothing without the pepper."""
        return self._pepper.digest(value)

    def digest_all(self, values: Iterable[bytes]) -> list[bytes]:
        """The digests of *values*, in their order."""
        return self._pepper.digest_all(values)

    def digest_all_under(self, version: int, values: Iterable[bytes]) -> list[bytes]:
        """The same under that version of the pepper. Raises SecretOutdated."""
        return self._known_pepper(version).digest_all(values)

    def digest_under(self, version: int, value: str) -> bytes:
        """The digest under that version of the pepper. Raises SecretOutdated."""
        return self._known_pepper(version).digest(value)

    def digests(self, value: str) -> list[bytes]:
        """The digests under every known pepper: where a value may stand that was stored before a rotation."""
        return [pepper.digest(value) for pepper in self._peppers.values()]

    def _known_pepper(self, version: int) -> Pepper:
        pepper = self._peppers.get(version)
        if pepper is None:
            raise SecretOutdated
        return pepper

    # -- sealing -------------------------------------------------------------------------------------------------------

    def mint_data_key(self, account_id: str, kek_version: int | None = None) -> WrappedKey:
        """A new data key for an account, wrapped. Raises SecretOutdated."""
        return self._wrap(self._random_bytes(SUBKEY_BYTES), account_id, kek_version or self.kek_version)

    def rewrap(self, data_key: WrappedKey, account_id: str) -> WrappedKey:
        """The same data key under the KEK that is used now. Raises SealError, SecretOutdated."""
        return self._wrap(self._unwrap(data_key, account_id), account_id, self.kek_version)

    def seal(self, value: str, *, data_key: WrappedKey, place: Place) -> bytes:
        """*value* as nonce and ciphertext, under the wrapped *data_key* of its account."""
        return self._seal(value.encode(), data_key, place.account_id, place.bound("reveal"))

    def open(self, sealed: bytes, *, data_key: WrappedKey, place: Place) -> str:
        """The value that was sealed in this *place*. Raises SealError, SecretOutdated."""
        return self._open(sealed, data_key, place.account_id, place.bound("reveal")).decode()

    def bind(self, digest: bytes, *, data_key: WrappedKey, place: Place) -> bytes:
        """What stands in for a value that is not kept: it proves that *digest* belongs in this *place*."""
        return self._seal(digest, data_key, place.account_id, place.bound("bind"))

    def check_bound(self, digest: bytes, sealed: bytes, *, data_key: WrappedKey, place: Place) -> None:
        """Raises SealError unless *sealed* is what `bind` made of *digest* for this *place*."""
        if self._open(sealed, data_key, place.account_id, place.bound("bind")) != digest:
            raise SealError

    def seal_answer(self, answer: bytes, *, data_key: WrappedKey, account_id: str, name_digest: bytes) -> bytes:
        """An *answer* that holds a key value, to be kept for its repetition under that name."""
        return self._seal(answer, data_key, account_id, _answer_place(account_id, name_digest))

    def open_answer(self, sealed: bytes, *, data_key: WrappedKey, account_id: str, name_digest: bytes) -> bytes:
        """Raises SealError, SecretOutdated."""
        return self._open(sealed, data_key, account_id, _answer_place(account_id, name_digest))

    def _seal(self, content: bytes, data_key: WrappedKey, account_id: str, bound: bytes) -> bytes:
        nonce = self._random_bytes(NONCE_BYTES)
        return nonce + AESGCM(self._unwrap(data_key, account_id)).encrypt(nonce, content, bound)

    def _open(self, sealed: bytes, data_key: WrappedKey, account_id: str, bound: bytes) -> bytes:
        return _decrypt(AESGCM(self._unwrap(data_key, account_id)), sealed, bound)

    def _wrap(self, plain: bytes, account_id: str, kek_version: int) -> WrappedKey:
        nonce = self._random_bytes(NONCE_BYTES)
        sealed = self._wrapper(kek_version).encrypt(nonce, plain, _data_key_place(account_id))
        return WrappedKey(nonce + sealed, kek_version)

    def _unwrap(self, data_key: WrappedKey, account_id: str) -> bytes:
        return _decrypt(self._wrapper(data_key.kek_version), data_key.wrapped, _data_key_place(account_id))

    def _wrapper(self, kek_version: int) -> AESGCM:
        wrapper = self._wrappers.get(kek_version)
        if wrapper is None:
            raise SecretOutdated
        return wrapper


def _secrets_of(secret: MasterSecret) -> dict[tuple[Purpose, int], bytes]:
    return {
        (purpose, version.number): version.secret or _subkey(secret.master, LABELS[purpose])
        for purpose in Purpose
        for version in secret.of(purpose)
    }


def _audited_of(secret: MasterSecret) -> dict[int, bytes]:
    derived = _subkey(secret.master, LABELS[Purpose.AUDIT])
    return {version.number: version.secret or derived for version in secret.audited}


def _signer(key: bytes) -> Sign:
    def sign(message: bytes) -> bytes:
        return hmac.digest(key, message, "sha256")

    return sign


def _subkey(secret: bytes, label: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=SUBKEY_BYTES, salt=None, info=label).derive(secret)


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
