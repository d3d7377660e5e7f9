"""The shapes of key values: what is minted, what may be brought along, and what cannot be a key at all.

*Classic* values are 32 hex digits, which every client of Mezmo carries. *Native* values say what they are: a prefix, a
public id that may be shown, the secret part, and a checksum, so that a typing error and a scanner's false find are
refused without a look-up.
"""

import math
import re
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Final

from logboom.errors import Detail, ValidationFailed
from logboom.keys.key import KeyFormat, KeyKind
from logboom.limits import IMPORTED_BITS_MIN, KEY_VALUE_CHARACTERS_MAX, KEY_VALUE_CHARACTERS_MIN

CLASSIC_BYTES: Final = 16  # 32 lowercase hex digits, which every client of Mezmo carries (mezmo-api 2.1)
CLASSIC_CHARACTERS_SHOWN: Final = 4  # the 112 bits that stay hidden are as many as a look-up secret needs

DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PREFIXES: Final = {KeyKind.INGESTION: "lbi_", KeyKind.SERVICE: "lbs_"}
PUBLIC_CHARACTERS: Final = 8
SECRET_CHARACTERS: Final = 30  # 178 bits
CHECKSUM_CHARACTERS: Final = 6  # 62^6 is just above 2^32
NATIVE_CHARACTERS: Final = 4 + PUBLIC_CHARACTERS + 1 + SECRET_CHARACTERS + CHECKSUM_CHARACTERS
MASK_CHARACTERS: Final = 4 + PUBLIC_CHARACTERS
# Drawing so many more random bits than are used leaves no digit more likely than another, to any measurable degree.
SPARE_BYTES: Final = 8

KEY_VALUE: Final = re.compile(rf"[0-9A-Za-z_]{{{KEY_VALUE_CHARACTERS_MIN},{KEY_VALUE_CHARACTERS_MAX}}}")
CLASSIC_SHAPE: Final = re.compile(r"[0-9A-Fa-f]{32}")
NATIVE_SHAPE: Final = re.compile(r"lb[is]_[0-9A-Za-z]{8}_[0-9A-Za-z]{36}")
# YAML reads these as numbers, and an agent configured with one would send something else.
YAML_NUMBER: Final = re.compile(r"[0-9]+(e[0-9]+)?")
# One of 10^8 random values has so few different hex digits; what a person made up has.
CLASSIC_DIFFERENT_MIN: Final = 7


def mint_value(kind: KeyKind, shape: KeyFormat, random_hex: Callable[[int], str]) -> str:
    """A new value for a key of this *kind*. *random_hex* is `secrets.token_hex` or its like."""
    return _mint_native(kind, random_hex) if shape is KeyFormat.NATIVE else _mint_classic(random_hex)


def _mint_classic(random_hex: Callable[[int], str]) -> str:
    value = random_hex(CLASSIC_BYTES)
    while YAML_NUMBER.fullmatch(value):
        value = random_hex(CLASSIC_BYTES)
    return value


def _mint_native(kind: KeyKind, random_hex: Callable[[int], str]) -> str:
    digits = _random_digits(PUBLIC_CHARACTERS + SECRET_CHARACTERS, random_hex)
    body = f"{PREFIXES[kind]}{digits[:PUBLIC_CHARACTERS]}_{digits[PUBLIC_CHARACTERS:]}"
    return body + checksum(body)


def checksum(body: str) -> str:
    """CRC32 as six base62 digits. It finds mistakes; it protects nothing."""
    return _spell(zlib.crc32(body.encode()), CHECKSUM_CHARACTERS)


def is_broken(value: str) -> bool:
    """Whether *value* has the native shape but not its checksum: mistyped or cut, and nobody's."""
    if not value.startswith(("lbi_", "lbs_")) or not NATIVE_SHAPE.fullmatch(value):
        return False
    return checksum(value[:-CHECKSUM_CHARACTERS]) != value[-CHECKSUM_CHARACTERS:]


def mask(value: str) -> str:
    """What may be shown of *value* to tell it from others; it leaves as much to guess as before, or nothing shown."""
    if NATIVE_SHAPE.fullmatch(value):
        return value[:MASK_CHARACTERS] + "…"
    return f"…{value[-CLASSIC_CHARACTERS_SHOWN:]}" if len(value) >= 2 * CLASSIC_BYTES else "…"


def check_value(value: str) -> str:
    """*value* itself, when it may be preset as a key's value. Raises ValidationFailed, which does not repeat it."""
    if KEY_VALUE.fullmatch(value) and not is_broken(value):
        return value
    rule = f"{KEY_VALUE_CHARACTERS_MIN} to {KEY_VALUE_CHARACTERS_MAX} characters of 0-9, A-Z, a-z and _"
    raise ValidationFailed(Detail(message=f'"key" must have {rule}', key="key"))


def is_importable(value: str, kind: KeyKind) -> bool:
    """Whether a *value* from elsewhere is as hard to guess as one of ours, as far as its looks can tell."""
    if not KEY_VALUE.fullmatch(value) or is_broken(value):
        return False
    if NATIVE_SHAPE.fullmatch(value):
        return value.startswith(PREFIXES[kind])
    if CLASSIC_SHAPE.fullmatch(value):
        return len(set(value)) >= CLASSIC_DIFFERENT_MIN
    return estimated_bits(value) >= IMPORTED_BITS_MIN


def estimated_bits(text: str) -> float:
    """How many bits *text* has when each character is drawn as often as it stands in it (Shannon)."""
    counts = Counter(text).values()
    return -sum(count * math.log2(count / len(text)) for count in counts)


def _random_digits(digits: int, random_hex: Callable[[int], str]) -> str:
    span = len(DIGITS) ** digits
    size = (span.bit_length() + 7) // 8 + SPARE_BYTES
    return _spell(int(random_hex(size), 16) % span, digits)


def _spell(number: int, digits: int) -> str:
    text = ""
    for _ in range(digits):
        number, digit = divmod(number, len(DIGITS))
        text = DIGITS[digit] + text
    return text
