"""Reads the text of a query into a tree, or says where it cannot and what would mend it.

    query    = [ all ]                                    empty: every line
    all      = any { [ "AND" ] any }
    any      = negated { "OR" negated }                   OR binds tighter than AND
    negated  = "NOT" negated | [ "-" ] ( "(" all ")" | clause )
    clause   = [ strength ] ( phrase | word ) | field ":" value

A field's value may itself be such an expression in parentheses, `status:(>=400 <500 -404)`, so the rules above take
the reader of their smallest part as an argument: text and field clauses outside, bare values of one field inside.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from logboom import limits
from logboom.errors import QuerySyntaxError
from logboom.query.lexer import Scanner
from logboom.query.tree import (
    And,
    Clause,
    FieldExists,
    FieldNumber,
    FieldText,
    MatchAll,
    Not,
    Or,
    Query,
    Strength,
    Text,
)

SURROGATE: Final = re.compile("[\ud800-\udfff]")
NAME: Final = re.compile(r"[^-\[\]'][^\[\]']*")


def parse_query(text: str) -> Query:
    """Return the meaning of *text*; an empty one matches every line. Raises QuerySyntaxError."""
    if len(text) > limits.QUERY_CHARACTERS_MAX:
        message = f"A query has at most {limits.QUERY_CHARACTERS_MAX} characters"
        raise QuerySyntaxError(message, limits.QUERY_CHARACTERS_MAX)
    if half := SURROGATE.search(text):
        raise QuerySyntaxError("The query holds half a character (a lone surrogate)", half.start())
    return Parser(text).parse()


class Parser:
    """One reading of one text."""

    def __init__(self, text: str) -> None:
        self.scanner = Scanner(text)
        self.depth = 0
        self.clauses = 0

    def parse(self) -> Query:
        self.scanner.skip_blanks()
        if not self.scanner.next_character:
            return MatchAll()
        query = self.parse_all(self.parse_clause)
        if self.scanner.next_character:
            self.scanner.fail("A parenthesis is closed that was never opened; put it in quotes to search for it")
        return query

    def parse_all(self, parse_part: Callable[[], Query]) -> Query:
        operands = [self.parse_any(parse_part)]
        while self.scanner.next_character not in {"", ")"}:
            self.scanner.take_keyword("AND")
            operands.append(self.parse_any(parse_part))
        return operands[0] if len(operands) == 1 else And(tuple(operands))

    def parse_any(self, parse_part: Callable[[], Query]) -> Query:
        operands = [self.parse_negated(parse_part)]
        while self.scanner.take_keyword("OR"):
            operands.append(self.parse_negated(parse_part))
        return operands[0] if len(operands) == 1 else Or(tuple(operands))

    def parse_negated(self, parse_part: Callable[[], Query]) -> Query:
        """Read one operand and the blanks after it, so that whoever called stands at the next piece."""
        self.scanner.skip_blanks()
        # Mezmo: NOT is described once, in the 2.5 guide; later pages list only "-". product 1.3
        if self.scanner.take_keyword("NOT"):
            with self.nested():
                return Not(self.parse_negated(parse_part))
        negative = self.scanner.take("-")
        if negative and self.scanner.at_gap:
            self.scanner.fail("A minus must touch what it negates; put it in quotes to search for it")
        operand = self.parse_group(parse_part) if self.scanner.next_character == "(" else parse_part()
        self.scanner.skip_blanks()
        return Not(operand) if negative else operand

    def parse_group(self, parse_part: Callable[[], Query]) -> Query:
        start = self.scanner.position
        self.scanner.take("(")
        with self.nested():
            query = self.parse_all(parse_part)
        if not self.scanner.take(")"):
            self.scanner.fail("A parenthesis is opened here and never closed; put it in quotes to search for it", start)
        return query

    def parse_clause(self) -> Query:
        start = self.scanner.position
        self.expect_operand()
        strength = self.scanner.take_strength()
        if self.scanner.next_character in {'"', "'"}:
            return self.count(Text(self.scanner.read_phrase(), strength))
        word = self.scanner.take_word()
        if self.scanner.take(":"):
            return self.parse_field(word, strength, start)
        word = trim_stars(word, strength)
        if not word:
            self.scanner.fail(f"Nothing follows {strength.value}; put it in quotes to search for it", start)
        # Mezmo: searches of a single character are not supported. product 1.2
        if len(word) == 1:
            self.scanner.fail(f'One character is too short to search for; put it in quotes: "{word}"', start)
        return self.count(Text(word, strength))

    def parse_field(self, name: str, strength: Strength, start: int) -> Query:
        """Read what follows the colon."""
        if not NAME.fullmatch(name):
            self.scanner.fail(
                "A field's name must stand before the colon; put the text in quotes to search for it", start
            )
        if strength is not Strength.PREFIX:
            self.scanner.fail(f"{strength.value} belongs after the colon: {name}:{strength.value}...", start)
        if self.scanner.at_gap:
            # Mezmo: a blank after the colon makes it silently a different query. product 1.4
            self.scanner.fail(
                f'A value must follow the colon directly: {name}:value. Put "{name}:" in quotes to search for it'
            )
        parse_part = partial(self.parse_value, name, grouped=True)
        if self.scanner.next_character == "(":
            return self.parse_group(parse_part)
        if self.scanner.text.startswith("-(", self.scanner.position):
            self.scanner.take("-")
            return Not(self.parse_group(parse_part))
        return self.parse_value(name, grouped=False)

    def parse_value(self, name: str, *, grouped: bool) -> Query:
        """Read one value of the field *name*; blanks may follow its operator only inside a group."""
        start = self.scanner.position
        if grouped:
            self.expect_operand()
        comparison = self.scanner.take_comparison()
        strength = Strength.PREFIX if comparison else self.scanner.take_strength()
        if grouped and (comparison or strength is not Strength.PREFIX):
            self.scanner.skip_blanks()
        if comparison:
            return self.count(FieldNumber(name, comparison, self.scanner.read_number()))
        if self.scanner.next_character == "[":
            return self.parse_list(name, strength)
        if self.scanner.next_character in {'"', "'"}:
            return self.count(FieldText(name, self.scanner.read_phrase(), strength))
        value = self.scanner.take_value()
        if not value:
            self.scanner.fail("A value is missing here; put it in quotes to search for symbols", start)
        if value == "*" and strength is Strength.PREFIX:
            return self.count(FieldExists(name))
        return self.count(FieldText(name, trim_stars(value, strength), strength))

    def parse_list(self, name: str, strength: Strength) -> Query:
        clauses = tuple(self.count(FieldText(name, item, strength)) for item in self.scanner.read_list())
        return clauses[0] if len(clauses) == 1 else Or(clauses)

    def expect_operand(self) -> None:
        """Fail at a place where a clause must begin and none can."""
        keyword = self.scanner.find_keyword()
        if keyword:
            self.scanner.fail(
                f'{keyword} needs something on both sides; put it in quotes to search for it: "{keyword}"'
            )
        if self.scanner.at_gap:
            self.scanner.fail("Something to search for is missing here")

    @contextmanager
    def nested(self) -> Iterator[None]:
        self.depth += 1
        if self.depth > limits.QUERY_DEPTH_MAX:
            self.scanner.fail(f"A query has at most {limits.QUERY_DEPTH_MAX} groups inside each other")
        yield
        self.depth -= 1

    def count(self, clause: Clause) -> Clause:
        self.clauses += 1
        if self.clauses > limits.QUERY_CLAUSES_MAX:
            self.scanner.fail(f"A query has at most {limits.QUERY_CLAUSES_MAX} clauses")
        return clause


def trim_stars(word: str, strength: Strength) -> str:
    """Leave out the stars that say "and so on", as every prefix match does anyway; a word of stars stays."""
    return word if strength.whole else word.rstrip("*") or word
