"""What a key is, and the rules of its value and its name."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from logboom.errors import Detail, ValidationFailed
from logboom.limits import (
    INGESTION_KEYS_MAX,
    KEY_NAME_UTF16_MAX,
    KEY_VALUE_CHARACTERS_MAX,
    KEY_VALUE_CHARACTERS_MIN,
    SERVICE_KEYS_MAX,
)

KEY_ID_BYTES = 12  # 24 lowercase hex digits, the shape of Mezmo's key ids (mezmo-api 4.1)
KEY_VALUE_BYTES = 16  # 32 lowercase hex digits, which every client of Mezmo carries (mezmo-api 2.1)
NAME_SUFFIX_BYTES = 3

KEY_ID = re.compile(r"[0-9a-f]{24}")
KEY_VALUE = re.compile(rf"[0-9A-Za-z_]{{{KEY_VALUE_CHARACTERS_MIN},{KEY_VALUE_CHARACTERS_MAX}}}")
# YAML reads these as numbers, and an agent configured with one would send something else.
YAML_NUMBER = re.compile(r"[0-9]+(e[0-9]+)?")


class KeyKind(StrEnum):
    """What a key opens: sending lines, or everything else."""

    INGESTION = "ingestion"
    SERVICE = "service"

    @property
    def keys_max(self) -> int:
        """How many active keys of this kind an account may have. Mezmo's own limits (mezmo-api 4.3)."""
        return INGESTION_KEYS_MAX if self is KeyKind.INGESTION else SERVICE_KEYS_MAX


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key with its value in the clear. It lives for one request only, and its repr keeps the value to itself."""

    id: str
    account_id: str
    kind: KeyKind
    name: str
    value: str = field(repr=False)
    created_ms: int


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who is asking: the account, and the key that opened the door. Safe to log."""

    account_id: str
    key_id: str
    kind: KeyKind


def mint_value(random_hex: Callable[[int], str]) -> str:
    """A new value: 128 random bits as 32 lowercase hex digits, never one that YAML takes for a number."""
    value = random_hex(KEY_VALUE_BYTES)
    while YAML_NUMBER.fullmatch(value):
        value = random_hex(KEY_VALUE_BYTES)
    return value


def mint_name(kind: KeyKind, random_hex: Callable[[int], str]) -> str:
    # Mezmo: a key created without a name gets a generated one; its pattern is unknown. mezmo-api 24 Q4
    return f"{kind.value}-{random_hex(NAME_SUFFIX_BYTES)}"


def check_value(value: str) -> str:
    """*value* itself, when it may be preset as a key's value. Raises ValidationFailed, which does not repeat it."""
    if KEY_VALUE.fullmatch(value):
        return value
    rule = f"{KEY_VALUE_CHARACTERS_MIN} to {KEY_VALUE_CHARACTERS_MAX} characters of 0-9, A-Z, a-z and _"
    raise ValidationFailed(Detail(message=f'"key" must have {rule}', key="key"))


def name_rules_broken(name: str) -> tuple[Detail, ...]:
    """The rules that *name* breaks, in Joi's words; none when it is fine."""
    # Mezmo: names have at most 30 characters, counted in UTF-16 units as Joi counts. mezmo-api 24 Q5, Q6
    if len(name.encode("utf-16-le", "surrogatepass")) // 2 > KEY_NAME_UTF16_MAX:
        message = f'"name" length must be less than or equal to {KEY_NAME_UTF16_MAX} characters long'
    elif any("\ud800" <= character <= "\udfff" or character == "\0" for character in name):
        message = '"name" must not contain NULs or unpaired surrogates'
    else:
        return ()
    return (Detail(message=message, key="name"),)


def is_key_id(text: str) -> bool:
    return KEY_ID.fullmatch(text) is not None
