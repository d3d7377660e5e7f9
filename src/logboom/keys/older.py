"""What a request hands over when its key is stored under an older pepper: digests, never the value."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Older:
    """The digest that is stored, and the one that shall be, with the version of its pepper."""

    key_id: str
    digest: bytes
    newer: bytes
    newer_version: int
