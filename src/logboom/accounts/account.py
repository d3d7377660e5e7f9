"""What an account is."""

from dataclasses import dataclass

ACCOUNT_ID_BYTES = 5  # 10 lowercase hex digits, the shape of Mezmo's account ids (mezmo-api 3)


@dataclass(frozen=True, kw_only=True)
class Account:
    """Owner of members, keys and lines."""

    id: str
    created_ms: int
