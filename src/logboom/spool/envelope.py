"""What the door knows about a batch, kept beside its untouched body until the mill turns both into lines."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """The facts of one request. Texts are valid UTF-8 within their limits; '' stands for absent.

    *cut* names the ones that were longer than their limit: `host`, `app`, `tags`.
    """

    account_id: str
    key_id: str
    received_ms: int
    lines_count: int
    hostname: str = ""
    ip: str = ""
    ip_remote: str = ""
    mac: str = ""
    tags: tuple[str, ...] = ()
    app: str = ""
    cut: tuple[str, ...] = ()
    user_agent: str = ""


@dataclass(frozen=True, kw_only=True)
class SpooledBatch:
    """One acknowledged batch. *seq* grows without gaps of meaning: it numbers the batch for ever (`_bid`, `_id`)."""

    seq: int
    envelope: Envelope
    body: bytes
