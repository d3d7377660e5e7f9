r"""The chain: every row is signed together with the signature of the row before it.

    hash(n) = HMAC-SHA256(audit key, "row\0" + hash(n-1) + canonical(row n))

Whoever can write to the database, but does not know the audit key, can make no row that fits: an altered, removed,
inserted or moved row breaks the chain at its place. A chain that is cut off at its end is still a chain, so its *head*,
the newest row's number and hash, is signed as well and kept beside it.

The audit key can be rotated. Rows that an earlier key has signed stay as they are: the first row of the newer key holds
them fast, so that not even who knows the earlier key can alter them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

# HMAC-SHA256 under an audit key.
Sign = Callable[[bytes], bytes]

# A row by the names of its columns: a dict, or what the database gives.
Columns = Mapping[Any, Any]

HASH_BYTES: Final = 32

# What stands for the row before the first one.
START_HASH: Final = bytes(HASH_BYTES)

# What the next row is chained to when the head is not genuine. No row has this hash, so the damage stays visible for
# ever, and still everything that happens after it is kept: to refuse changes then would mean to refuse the revocation
# of keys to somebody under attack.
BROKEN_HASH: Final = b"\xff" * HASH_BYTES

# The order of what is signed. Columns that are added later go to the end.
SIGNED_COLUMNS: Final = (
    "seq",
    "account_id",
    "action",
    "actor_kind",
    "actor_id",
    "actor_name",
    "door",
    "address",
    "user_agent",
    "request_id",
    "subject_kind",
    "subject_id",
    "before",
    "after",
    "at_ms",
)


@dataclass(frozen=True, kw_only=True)
class Head:
    """The newest row of a chain, or of what is proven of it."""

    seq: int
    hash: bytes


START: Final = Head(seq=0, hash=START_HASH)


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What is proven: *rows* of them, the last of which is *head*; the first is from *since_ms*.

    *first_bad_seq* is the first number at which there is no genuine row although there was one; None when all is well.
    """

    rows: int
    head: Head
    since_ms: int | None
    first_bad_seq: int | None

    @property
    def ok(self) -> bool:
        return self.first_bad_seq is None


@dataclass(frozen=True, kw_only=True)
class AuditKeys:
    """The audit keys, oldest first: *earlier* ones only prove, the head must be signed by one that is *alive*.

    There are two alive while a key is being rotated.
    """

    alive: Sequence[Sign]
    earlier: Sequence[Sign] = ()


def one_key(sign: Sign) -> Callable[[], AuditKeys]:
    """The keys of an installation that has never rotated them."""
    return lambda: AuditKeys(alive=(sign,))


class Chain:
    """Signs rows and heads under one audit key."""

    def __init__(self, sign: Sign) -> None:
        self._sign = sign

    def link(self, previous: bytes, columns: Columns) -> bytes:
        """The hash of the row with these *columns*, as they are stored, behind the row with the hash *previous*."""
        return self._sign(b"row\0" + previous + msgspec.json.encode([columns[name] for name in SIGNED_COLUMNS]))

    def sign_head(self, head: Head) -> bytes:
        return self._sign(b"head\0" + head.seq.to_bytes(8, "big") + head.hash)
