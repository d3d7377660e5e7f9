"""What a key is, and the rules of what people write on it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from logboom.errors import Detail, ValidationFailed
from logboom.keys.narrowing import Narrowing
from logboom.keys.scopes import FULL, Scopes
from logboom.keys.terms import Limits, Network, Terms
from logboom.limits import (
    INGESTION_KEYS_MAX,
    KEY_LABEL_CHARACTERS_MAX,
    KEY_LABELS_MAX,
    KEY_NAME_CHARACTERS_MAX,
    KEY_NAME_UTF16_MAX,
    KEY_NOTE_CHARACTERS_MAX,
    KEY_OWNER_CHARACTERS_MAX,
    SERVICE_KEYS_MAX,
)

KEY_ID_BYTES = 12  # 24 lowercase hex digits, the shape of Mezmo's key ids (mezmo-api 4.1)
NAME_SUFFIX_BYTES = 3
FIRST_GENERATION = 1

# The texts that people write on a key, with the characters each may have.
TEXTS = {"name": KEY_NAME_CHARACTERS_MAX, "note": KEY_NOTE_CHARACTERS_MAX, "owner": KEY_OWNER_CHARACTERS_MAX}

KEY_ID = re.compile(r"[0-9a-f]{24}")


class KeyKind(StrEnum):
    """What a key opens: sending lines, or everything else."""

    INGESTION = "ingestion"
    SERVICE = "service"

    @property
    def keys_max(self) -> int:
        """How many active keys of this kind an account may have. Mezmo's own limits (mezmo-api 4.3)."""
        return INGESTION_KEYS_MAX if self is KeyKind.INGESTION else SERVICE_KEYS_MAX


class KeyState(StrEnum):
    """Where a key stands in its life. Expiry is no state: it follows from the clock."""

    ACTIVE = "active"
    HELD = "held"  # senders are told to keep their lines; ends by itself
    DISABLED = "disabled"  # refused until somebody enables it
    DELETED = "deleted"  # refused for ever; the row stays as a tombstone


class KeyFormat(StrEnum):
    """The shape of the values that are minted for a key; `formats.py` knows them."""

    CLASSIC = "classic"
    NATIVE = "native"


class Reveal(StrEnum):
    """Who may read the value again after it was created, from the most open mode to the strictest."""

    ALWAYS = "always"  # any service key; Mezmo's API needs it
    STEP_UP = "step_up"  # only who has just proved again who they are
    NEVER = "never"  # nobody: the value is not kept


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key as its account sees it.

    *value* is in the clear and therefore lives for one request only; it is None unless it may be shown, and the repr
    keeps it to itself. *mask* tells values apart without giving them away. *retiring_until_ms* is when the value before
    this *generation* ends, while both open the door. *revision* numbers the change that made the key what it is.
    *expiry_warned_days* is the nearest warning of its expiry that was given. *last_used_ms* is when a value of it was
    last presented, whether or not it opened the door.
    """

    id: str
    account_id: str
    kind: KeyKind
    name: str
    value: str | None = field(default=None, repr=False)
    mask: str | None = None
    created_ms: int
    created_by: str | None = None
    state: KeyState = KeyState.ACTIVE
    note: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    held_until_ms: int | None = None
    not_before_ms: int | None = None
    expires_at_ms: int | None = None
    deleted_ms: int | None = None
    format: KeyFormat = KeyFormat.CLASSIC
    reveal: Reveal = Reveal.ALWAYS
    scopes: Scopes = FULL
    narrowing: Narrowing | None = None
    network: Network | None = None
    limits: Limits | None = None
    is_imported: bool = False
    generation: int = FIRST_GENERATION
    retiring_until_ms: int | None = None
    expiry_warned_days: int | None = None
    # These two tell of a moment, not of the key.
    revision: int = field(default=0, compare=False)
    last_used_ms: int | None = field(default=None, compare=False)

    def at(self, now_ms: int) -> "Key":
        """The key at that moment: a hold and an overlap that have ended are over, whether or not a row says so."""
        key = self
        if key.state is KeyState.HELD and (key.held_until_ms or 0) <= now_ms:
            key = replace(key, state=KeyState.ACTIVE, held_until_ms=None)
        if key.retiring_until_ms is not None and key.retiring_until_ms <= now_ms:
            key = replace(key, retiring_until_ms=None)
        return key

    def without_value(self) -> "Key":
        """What may be logged, stored and handed around."""
        return replace(self, value=None)


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """What is asked for when a key is created; a blank name asks for a generated one, None for the policy's wish."""

    kind: KeyKind
    name: str = ""
    note: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    not_before_ms: int | None = None
    expires_at_ms: int | None = None
    format: KeyFormat | None = None
    reveal: Reveal | None = None
    scopes: Scopes = FULL
    narrowing: Narrowing | None = None
    network: Network | None = None
    limits: Limits | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who is asking: the account, the key that opened the door, and by which of its values. Safe to log."""

    account_id: str
    key_id: str
    kind: KeyKind
    generation: int = FIRST_GENERATION
    scopes: Scopes = FULL
    terms: Terms | None = None


def mint_name(kind: KeyKind, random_hex: Callable[[int], str]) -> str:
    # Mezmo: a key created without a name gets a generated one; its pattern is unknown. mezmo-api 24 Q4
    return f"{kind.value}-{random_hex(NAME_SUFFIX_BYTES)}"


def name_rules_broken(name: str) -> tuple[Detail, ...]:
    """The rules of the compatible API that *name* breaks, in Joi's words; none when it is fine."""
    # Mezmo: names have at most 30 characters, counted in UTF-16 units as Joi counts. mezmo-api 24 Q5, Q6
    if len(name.encode("utf-16-le", "surrogatepass")) // 2 > KEY_NAME_UTF16_MAX:
        message = f'"name" length must be less than or equal to {KEY_NAME_UTF16_MAX} characters long'
        return (Detail(message=message, key="name"),)
    return text_rules_broken(name, "name", KEY_NAME_CHARACTERS_MAX)


def text_rules_broken(text: str, member: str, characters_max: int) -> tuple[Detail, ...]:
    """The rules that the *text* of a *member* breaks, in Joi's words."""
    if len(text) > characters_max:
        message = f'"{member}" length must be less than or equal to {characters_max} characters long'
    elif any("\ud800" <= character <= "\udfff" or character == "\0" for character in text):
        message = f'"{member}" must not contain NULs or unpaired surrogates'
    else:
        return ()
    return (Detail(message=message, key=member),)


def label_rules_broken(labels: Mapping[str, str]) -> tuple[Detail, ...]:
    """The rules that *labels* break: few of them, named, and short."""
    if len(labels) > KEY_LABELS_MAX:
        message = f'"labels" must have less than or equal to {KEY_LABELS_MAX} keys'
        return (Detail(message=message, key="labels"),)
    if "" in labels:
        return (Detail(message='"labels" must not have a label without a name', key="labels"),)
    texts = (text for label in labels.items() for text in label)
    broken = [detail for text in texts for detail in text_rules_broken(text, "labels", KEY_LABEL_CHARACTERS_MAX)]
    return tuple(broken[:1])


def check_texts(members: Mapping[str, Any]) -> None:
    """Raises ValidationFailed with all rules that name, note, owner and labels break; others are not looked at."""
    broken = [
        detail
        for member, limit in TEXTS.items()
        for detail in text_rules_broken(members.get(member, ""), member, limit)
    ]
    broken += label_rules_broken(members.get("labels", {}))
    if broken:
        raise ValidationFailed(*broken)


def is_key_id(text: str) -> bool:
    return KEY_ID.fullmatch(text) is not None
