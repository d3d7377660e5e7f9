"""Reads the smallest pieces of a query: words, phrases, lists, operators, numbers.

What a character means depends on where it stands (`:` ends a field's name but is plain inside its value, `-` negates
only at the start of a clause), so there is no flat stream of tokens: the parser knows where it stands and asks the
scanner for the piece that can come there.
"""

import math
import re
from typing import Final, NoReturn

from logboom.errors import QuerySyntaxError
from logboom.query.tree import Comparison, Strength

BLANKS: Final = re.compile(r"\s*")
# A word ends at a blank, a parenthesis or a double quote. An apostrophe within it is a letter, as in `don't`.
FIRST: Final = r"""[^\s()"']"""
VALUE: Final = re.compile(rf"""{FIRST}[^\s()"]*""")
# Before a field's colon a word ends as well, unless a backslash says that the colon is meant.
WORD: Final = re.compile(r"""(?!')(?:\\:|[^\s()":])+""")
KEYWORD: Final = re.compile(r"""(AND|OR|NOT)(?=[\s()"]|$)""")
STRENGTH: Final = re.compile(r"={1,3}")
COMPARISON: Final = re.compile(r"[<>]=?")
NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
LIST: Final = re.compile(r"\[([^\]]*)\]")
PHRASE: Final = re.compile(r""""((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'""", re.DOTALL)
ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


class Scanner:
    """A position in the text of a query, and the readers that move it.

    A `take_` or `find_` reader leaves the position alone when its piece is not there.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def fail(self, message: str, position: int | None = None) -> NoReturn:
        where = self.position if position is None else position
        raise QuerySyntaxError(f"{message} (at character {where + 1})", where)

    @property
    def next_character(self) -> str:
        """The character at the position, `""` at the end."""
        return self.text[self.position : self.position + 1]

    @property
    def at_gap(self) -> bool:
        """Whether nothing readable stands here: the end, a blank, or a closing parenthesis."""
        return self.next_character in {"", ")"} or self.next_character.isspace()

    def skip_blanks(self) -> None:
        self._match(BLANKS)

    def take(self, symbol: str) -> bool:
        if not self.text.startswith(symbol, self.position):
            return False
        self.position += len(symbol)
        return True

    def find_keyword(self) -> str | None:
        """AND, OR or NOT when it stands here as a whole unquoted word; the position stays."""
        found = KEYWORD.match(self.text, self.position)
        return found[1] if found else None

    def take_keyword(self, keyword: str) -> bool:
        return self.find_keyword() == keyword and self.take(keyword)

    def take_strength(self) -> Strength:
        found = self._match(STRENGTH)
        return Strength(found[0] if found else "")

    def take_comparison(self) -> Comparison | None:
        found = self._match(COMPARISON)
        return Comparison(found[0]) if found else None

    def take_word(self) -> str:
        """A word of a text clause or the name of a field; `""` when a colon, quote or parenthesis stands here."""
        found = self._match(WORD)
        return found[0].replace("\\:", ":") if found else ""

    def take_value(self) -> str:
        """A bare value of a field, in which colons are plain; `""` when a quote or parenthesis stands here."""
        found = self._match(VALUE)
        return found[0] if found else ""

    def read_number(self) -> float:
        """The whole word here as a finite number."""
        start = self.position
        word = self.take_value()
        number = find_number(word)
        if number is None:
            self.fail("A comparison needs a number, as in status:>=400", start)
        return number

    def read_phrase(self) -> str:
        """The text between the quotes that open here, without its escapes."""
        start = self.position
        found = self._match(PHRASE)
        if not found:
            self.fail("A quote is opened here and never closed", start)
        text = ESCAPE.sub(r"\1", found[1] if found[1] is not None else found[2])
        if not text:
            self.fail("There is nothing between the quotes", start)
        return text

    def read_list(self) -> tuple[str, ...]:
        """The items of the list that opens here; blanks are part of them."""
        start = self.position
        found = self._match(LIST)
        if not found:
            self.fail("A list is opened here and never closed; add ], or put the text in quotes", start)
        items = tuple(found[1].split(","))
        if not all(items):
            self.fail("An item of this list is empty; lists look like level:[warn,error]", start)
        return items

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.position)
        if found:
            self.position = found.end()
        return found


def find_number(text: str) -> float | None:
    """The number that *text* spells, if any; None also for one beyond the 64-bit floats that the engine keeps."""
    number = float(text) if NUMBER.fullmatch(text) else math.inf
    return number if math.isfinite(number) else None
