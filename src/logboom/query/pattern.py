r"""The one rule of text matching, written as a regular expression (RE2) and a cheap test before it.

A text matches where it occurs literally, compared without case (`=`, `===`: with case), starting where a token starts;
with `==` and `===` it must also end where a token ends. Letters and digits are Unicode's (\p{L}, \p{Nd}). Tokens start

- at the start of the text and after anything that is neither letter nor digit,
- where digits change to letters or letters to digits: `abc123` is `abc`, `123`,
- at the humps of camel case: `SyntaxError` is `Syntax`, `Error`, and `HTTPServer` is `HTTP`, `Server`,

and end where the next one starts or such a character follows. A side on which the text itself has a symbol needs no
boundary: `%VARIABLE%` and `"+"` are found anywhere. A phrase follows the same rule from its first to its last letter.

Without case means: each character, its upper and its lower form, where those are single characters.

RE2 cannot look around, so every kind of boundary is an alternative that consumes the neighbouring characters. A hump
also says which case the characters of the text itself must have; such demands are `Demands`: position -> Case.

The engine compiles an expression anew for each block of lines, and Unicode's classes make that ten times slower. So
there are two alphabets: on a value of ASCII alone both give the same answer, and the small one gives it sooner.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import product
from typing import Final

DEMANDED_CHARACTERS: Final = 3
PREFILTER_CHARACTERS_MIN: Final = 3  # a shorter text is in nearly every line, so looking for it first gains nothing
# Only printable ASCII: the engine's lower() and its index know no other letters, and LIKE has no trouble with these.
PLAIN_RUN: Final = re.compile(r"[ -~]+")
LIKE_SPECIAL: Final = re.compile(r"[\\%_]")


class Case(Enum):
    UPPER = "Lu"
    LOWER = "Ll"


Demands = Mapping[int, Case]


@dataclass(frozen=True)
class Alphabet:
    """How the kinds of neighbours of a text are written."""

    upper: str
    lower: str
    not_letter: str
    not_digit: str


UNICODE: Final = Alphabet(r"\p{Lu}", r"\p{Ll}", r"[^\p{L}]", r"[^\p{Nd}]")
# Every neighbour that these accept is accepted above as well, and within ASCII the reverse holds.
ASCII: Final = Alphabet("[A-Z]", "[a-z]", r"[^A-Za-z\x80-\x{10ffff}]", r"[^0-9\x80-\x{10ffff}]")


@dataclass(frozen=True)
class Edge:
    """One way in which a token may start before, or end after, a text: what stands there, and what it demands."""

    neighbour: str
    demands: Demands = field(default_factory=dict)


ANYWHERE: Final = (Edge(""),)


def render_pattern(text: str, alphabet: Alphabet, *, cased: bool, whole: bool) -> str:
    """Return the expression that finds *text* between token boundaries: at its start, and if *whole* at its end."""
    starts = _list_starts(text, alphabet)
    ends = _list_ends(text, alphabet) if whole else ANYWHERE
    # The demands touch the first two characters and the last; in a longer text what lies between is written once.
    if len(text) == 1:
        return _render_choices(text, starts, ends, cased=cased, beyond=alphabet.lower)
    if len(text) <= DEMANDED_CHARACTERS:
        return _render_choices(text, starts, ends, cased=cased)
    head = _render_choices(text[:2], starts, ANYWHERE, cased=cased)
    last = len(text) - 1
    ends = tuple(Edge(end.neighbour, {at - last: case for at, case in end.demands.items()}) for end in ends)
    tail = _render_choices(text[-1], ANYWHERE, ends, cased=cased)
    return head + "".join(_render_character(character, cased=cased) for character in text[2:-1]) + tail


def render_equality(text: str, *, cased: bool) -> str:
    """Return the expression that finds values which are *text* from end to end."""
    return "^" + "".join(_render_character(character, cased=cased) for character in text) + "$"


def find_prefilter(text: str) -> str | None:
    """The LIKE pattern that the lower-case form of every match has, if *text* has a part worth looking for."""
    longest = max(PLAIN_RUN.findall(text), key=len, default="")
    if len(longest) < PREFILTER_CHARACTERS_MIN:
        return None
    return render_like(longest.lower())


def render_like(text: str) -> str:
    escaped = LIKE_SPECIAL.sub(r"\\\g<0>", text)
    return f"%{escaped}%"


def is_plain(text: str, *, cased: bool, whole: bool) -> bool:
    """Whether the lower-case LIKE says all there is to say: no case, no boundary on either side, ASCII throughout."""
    free = not _is_alphanumeric(text[0]) and not (whole and _is_alphanumeric(text[-1]))
    return free and not cased and PLAIN_RUN.fullmatch(text) is not None


def _list_starts(text: str, alphabet: Alphabet) -> tuple[Edge, ...]:
    if not _is_alphanumeric(text[0]):
        return ANYWHERE
    if text[0].isdecimal():
        return (Edge(f"(?:^|{alphabet.not_digit})"),)
    return (
        Edge(f"(?:^|{alphabet.not_letter})"),
        Edge(alphabet.lower, {0: Case.UPPER}),
        Edge(alphabet.upper, {0: Case.UPPER, 1: Case.LOWER}),
    )


def _list_ends(text: str, alphabet: Alphabet) -> tuple[Edge, ...]:
    last = len(text) - 1
    if not _is_alphanumeric(text[last]):
        return ANYWHERE
    if text[last].isdecimal():
        return (Edge(f"(?:$|{alphabet.not_digit})"),)
    return (
        Edge(f"(?:$|{alphabet.not_letter})"),
        Edge(alphabet.upper, {last: Case.LOWER}),
        Edge(alphabet.upper + alphabet.lower, {last: Case.UPPER}),
    )


def _render_choices(
    text: str, starts: tuple[Edge, ...], ends: tuple[Edge, ...], *, cased: bool, beyond: str = ""
) -> str:
    choices = [_render_choice(text, start, end, cased=cased, beyond=beyond) for start, end in product(starts, ends)]
    possible = [choice for choice in choices if choice is not None]
    return possible[0] if len(possible) == 1 else f"(?:{'|'.join(possible)})"


def _render_choice(text: str, start: Edge, end: Edge, *, cased: bool, beyond: str) -> str | None:
    """Write *text* between two edges; None when its characters cannot have the case that the edges demand.

    A demand on the character after *text* is written as *beyond*: a single capital starts a token where a small
    letter follows, and never ends one there.
    """
    reaches_beyond = len(text) in start.demands
    if reaches_beyond and end.neighbour:
        return None
    if any(start.demands.get(at, case) != case for at, case in end.demands.items()):
        return None
    demands = {**start.demands, **end.demands}
    characters = [_render_demanded(text[at], demands.get(at), cased=cased) for at in range(len(text))]
    if None in characters:
        return None
    return start.neighbour + "".join(filter(None, characters)) + end.neighbour + (beyond if reaches_beyond else "")


def _render_demanded(character: str, case: Case | None, *, cased: bool) -> str | None:
    if case is None:
        return _render_character(character, cased=cased)
    forms = [form for form in _list_forms(character, cased=cased) if unicodedata.category(form) == case.value]
    return _render_class(forms) if forms else None


def _render_character(character: str, *, cased: bool) -> str:
    return _render_class(_list_forms(character, cased=cased))


def _list_forms(character: str, *, cased: bool) -> list[str]:
    if cased:
        return [character]
    forms = {character, character.lower(), character.upper()}
    return sorted(form for form in forms if len(form) == 1)


def _render_class(forms: list[str]) -> str:
    escaped = [_escape(form) for form in forms]
    return escaped[0] if len(escaped) == 1 else f"[{''.join(escaped)}]"


def _escape(character: str) -> str:
    """Letters and digits stand for themselves; everything else is written as its code point."""
    if _is_alphanumeric(character):
        return character
    return rf"\x{{{ord(character):x}}}"


def _is_alphanumeric(character: str) -> bool:
    return character.isdecimal() or unicodedata.category(character).startswith("L")
