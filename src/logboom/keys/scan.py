"""Finds our own key values in text, however they are written there. Pure, and fast enough for every line that arrives.

A text is looked through as a whole, in a few passes of C: no Python runs for a line in which nothing looks like a key.
What looks like one is looked up by its digest, so nothing but a real value is ever found.

Found are values of 32 hex digits (in any case of letters) and native ones: bare, beside any punctuation, within URLs,
headers, JSON and JSON within JSON; as user or password of `Basic` credentials, where values of any shape are found;
and with some or all characters percent-encoded or written as Unicode escapes of JSON. Not found are values of other
shapes elsewhere, and those that are cut, spread over several lines, encrypted, or encoded in any other way.
"""

import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from logboom.keys.formats import NATIVE_CHARACTERS, is_broken
from logboom.keys.key import Caller
from logboom.limits import KEY_VALUE_CHARACTERS_MAX, KEY_VALUE_CHARACTERS_MIN

# Every hex digit becomes an `h`, everything else a dot: 32 digits become a text that can be searched for.
HEX_MASK: Final = bytes(ord("h") if chr(byte) in "0123456789abcdefABCDEF" else ord(".") for byte in range(256))
HEX_RUN: Final = b"h" * 32
HEX_DIGITS: Final = len(HEX_RUN)
NO_DIGIT: Final = ord(".")
# Escapes before a value end in hex digits themselves: %3D, \b, \u0022, %25253D. With those the run is longer, and the
# value is the end of it. A SHA-1 has more.
HEX_RUN_MAX: Final = HEX_DIGITS + 6

HEX_WRITTEN: Final = re.compile(rb"(?<![0-9A-Fa-f])[0-9A-Fa-f]{0,6}?([0-9A-Fa-f]{32})(?![0-9A-Fa-f])")

NATIVE: Final = re.compile(rb"lb[is]_[0-9A-Za-z]{8}_[0-9A-Za-z]{36}")
# `asic` and not `Basic`: the scheme may begin with either, and a pattern that begins with a choice is ten times slower.
# Some writers of JSON put a backslash before a slash.
BASIC: Final = re.compile(
    rb"asic(?:%20|%2520|\\{1,16}u0020|\\{1,16}t|[ \t+=:,\"'\\]){1,12}"
    rb"((?:[0-9A-Za-z+/=_-]|%(?:25)?(?:2[BbFf]|3[Dd])|\\{1,16}/){22,1024})"
)
ENCODED_SIGN: Final = re.compile(rb"%(?:25)?(2[BbFf]|3[Dd])")

# A letter, digit or underscore that is written as an escape, which nobody needs to and hardly anybody does.
WORD_CHARACTER: Final = rb"(3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff])"
PERCENT_ESCAPE: Final = re.compile(rb"%(?:25){0,8}" + WORD_CHARACTER)
JSON_ESCAPE: Final = re.compile(rb"\\u00" + WORD_CHARACTER)
# JSON within JSON doubles the backslashes. Bounds keep a text of nothing else from being looked through for ever.
ANY_ESCAPE: Final = re.compile(rb"(?:%(?:25){0,8}|\\{1,16}u00)" + WORD_CHARACTER)
# Before the first escape of a value, between two and behind the last are at most so many characters.
NEAR: Final = NATIVE_CHARACTERS
# A text full of escapes is looked at in parts of this size; parts overlap by more than a value can fill.
PART_BYTES: Final = 64 * 1024
OVERLAP_BYTES: Final = 16 * NATIVE_CHARACTERS

FindHolders = Callable[[Collection[bytes]], Mapping[bytes, Caller]]


@dataclass(frozen=True, slots=True)
class Sighting:
    """A value of somebody's key, as it stands in a text from *start* to *end*."""

    start: int
    end: int
    caller: Caller


class Scanner:
    """Finds values. *find_holders* tells whose the values among some texts are (`Keyring.find_holders`)."""

    def __init__(self, find_holders: FindHolders) -> None:
        self._find_holders = find_holders

    def find(self, text: bytes) -> list[Sighting]:
        """Every value of a key in *text*, in order; none overlaps another."""
        values = _candidates(text)
        known = self._find_holders(values) if values else {}
        found = list(_locate(text, known)) if known else []
        if BASIC.search(text):
            found += self._find_in_credentials(text)
        if _has_escaped_words(text):
            found += self._find_escaped(text)
        return _without_overlaps(found) if found else found

    def _find_in_credentials(self, text: bytes) -> Iterator[Sighting]:
        for written in BASIC.finditer(text):
            decoded = _decode(written[1])
            known = self._find_holders({*_candidates(decoded), *_whole_values(decoded)})
            for caller in [*known.values()][:1]:
                yield Sighting(*written.span(1), caller)

    def _find_escaped(self, text: bytes) -> Iterator[Sighting]:
        for start, end in _parts_with_escapes(text):
            part = Unescaped(text, start, end)
            known = self._find_holders(_candidates(part.text))
            for seen in _locate(part.text, known) if known else ():
                yield Sighting(part.place(seen.start), part.place(seen.end), seen.caller)


def _has_escaped_words(text: bytes) -> bool:
    # Looking for one character costs a tenth of a pattern, and many texts do not have it.
    has_percent = b"%" in text and PERCENT_ESCAPE.search(text) is not None
    return has_percent or (b"\\" in text and JSON_ESCAPE.search(text) is not None)


def _candidates(text: bytes) -> set[bytes]:
    """What looks like a value in *text*, as it is written and in lower case."""
    values = set(_hex_values(text))
    digits = b"".join(values)
    if digits.lower() != digits:
        values.update([*map(bytes.lower, values)])
    values.update(value for value in NATIVE.findall(text) if not is_broken(value.decode()))
    return values


def _hex_values(text: bytes) -> list[bytes]:
    # The loop below runs for every trace id of every line. It is written for speed: it has no function call of its own.
    mask = (text + b".").translate(HEX_MASK)
    values: list[bytes] = []
    find, add = mask.find, values.append
    start = find(HEX_RUN)
    while start >= 0:
        end = start + HEX_DIGITS
        if mask[end] != NO_DIGIT:
            end = find(b".", end)
            if end - start > HEX_RUN_MAX:
                start = find(HEX_RUN, end)
                continue
        add(text[end - HEX_DIGITS : end])
        start = find(HEX_RUN, end)
    return values


def _locate(text: bytes, known: Mapping[bytes, Caller]) -> Iterator[Sighting]:
    """Where the *known* values stand in *text*."""
    for written in HEX_WRITTEN.finditer(text):
        if caller := known.get(written[1]) or known.get(written[1].lower()):
            yield Sighting(*written.span(1), caller)
    for native in NATIVE.finditer(text):
        if caller := known.get(native[0]):
            yield Sighting(*native.span(), caller)


def _decode(written: bytes) -> bytes:
    """What `Basic` credentials say; nothing when they are none."""
    plain = ENCODED_SIGN.sub(lambda sign: binascii.unhexlify(sign[1]), written.replace(b"\\", b""))
    plain = plain.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except ValueError:
        return b""


def _whole_values(decoded: bytes) -> Iterator[bytes]:
    """User, password, and both as one, whatever shape they have."""
    user, _, password = decoded.partition(b":")
    for value in (user, password, decoded):
        if KEY_VALUE_CHARACTERS_MIN <= len(value) <= KEY_VALUE_CHARACTERS_MAX and value.isascii():
            yield value


def _parts_with_escapes(text: bytes) -> Iterator[tuple[int, int]]:
    """The parts of *text* in which a value could have escapes, each from start to end."""
    start = end = 0
    for escape in ANY_ESCAPE.finditer(text):
        if escape.start() - NEAR > end:
            if end:
                yield start, end
            start = max(escape.start() - NEAR, 0)
        elif escape.start() - start > PART_BYTES:
            yield start, end
            start = escape.start() - OVERLAP_BYTES
        end = escape.end() + NEAR
    if end:
        yield start, end


class Unescaped:
    """A part of a text with its escapes resolved, and where each of its characters stands in the whole text."""

    def __init__(self, text: bytes, start: int, end: int) -> None:
        pieces: list[bytes] = []
        self._places: list[int] = []  # where the pieces begin in the resolved text
        self._written: list[int] = []  # and where in the text as it is written
        length = 0
        for at, piece, resolved in _pieces(text, start, min(end, len(text))):
            pieces.append(resolved)
            self._places.append(length)
            self._written.append(at)
            length += len(resolved)
            self._end = at + len(piece)
        self.text = b"".join(pieces)

    def place(self, index: int) -> int:
        """Where the character at *index* of the resolved text begins in the text as it is written."""
        if index >= len(self.text):
            return self._end
        at = bisect_right(self._places, index) - 1
        return self._written[at] + index - self._places[at]


def _pieces(text: bytes, start: int, end: int) -> Iterator[tuple[int, bytes, bytes]]:
    """Place, spelling and meaning of what is between two escapes, and of each escape, in turn; none is empty."""
    at = start
    for escape in ANY_ESCAPE.finditer(text, start, end):
        if at < escape.start():
            yield at, text[at : escape.start()], text[at : escape.start()]
        yield escape.start(), escape[0], binascii.unhexlify(escape[1])
        at = escape.end()
    if at < end:
        yield at, text[at:end], text[at:end]


def _without_overlaps(found: Iterable[Sighting]) -> list[Sighting]:
    """In order; of two that overlap the first and longest."""
    kept: list[Sighting] = []
    for seen in sorted(found, key=lambda seen: (seen.start, -seen.end)):
        if not kept or seen.start >= kept[-1].end:
            kept.append(seen)
    return kept
