"""Turns the tree of a query into one SQL condition over the line store's columns.

Texts are compared by the rule of `pattern.py`. Where they are looked for depends on the name before the colon:

- no name: in the line or in its meta;
- a text column (`_line`, `meta`): by the rule;
- a keyword column (`host`, `level`, each of the `tags`): by the rule, but `==` and `===` compare the whole value;
- a numeric column (`_ts`, `_id`, `_mezmo_line_size`): a text that spells an integer equals it, any other never does;
- every other name is a path in the JSON of the line, `meta.`, `label.` or `annotation.`: by the rule in the leaf's text
  (an array is its JSON text, so any element can match), or equal to the leaf's number.

A comparison is of numbers only, and false for a line that lacks the field. Every value travels as a parameter.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from logboom.errors import QuerySyntaxError
from logboom.query import pattern
from logboom.query.lexer import find_number
from logboom.query.tree import (
    And,
    Clause,
    Comparison,
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

Parameter = str | int | float | tuple[str, ...]

EVERY_LINE: Final = "1"
NO_LINE: Final = "0"

TEXT_COLUMNS: Final = {"_line": "line", "meta": "meta", "label": "label", "annotation": "annotation"}
KEYWORD_COLUMNS: Final = {
    "host": "host",
    "_host": "host",
    "app": "app",
    "_app": "app",
    "level": "level",
    "_level": "level",
    "env": "env",
    "_env": "env",
    "file": "file",
    "_file": "file",
    "_account": "account_id",
    "_ingester": "ingester",
    "_ip": "ip",
    "_ipremote": "ip_remote",
    "_logtype": "logtype",
    "_mac": "mac",
    "_original_level": "original_level",
}
NUMERIC_COLUMNS: Final = {
    "_ts": "toUnixTimestamp64Milli(ts)",
    "_id": "line_id",
    "_lid": "line_id",
    "_mezmo_line_size": "line_bytes",
}
TAG_NAMES: Final = frozenset({"tag", "tags", "_tags"})
# Mezmo: these are stored with an underscore and searched with or without. product 2.6
UNDERSCORED: Final = re.compile(
    r"_(source|type|tag|auth|bytes|connect|method|namespace|path|pod|request|response|service|space|status|timestamp"
    r"|user|meta|label|annotation)(\..*)?",
    re.DOTALL,
)
SQL_CHARACTERS_MAX: Final = 240_000  # the engine reads 262,144 of a statement; the store adds some around this
UINT64_DIGITS: Final = re.compile(r"[0-9]{1,19}")  # any 19 digits fit; a 20th would not always
FLOAT64_DIGITS_MAX: Final = 15  # more significant digits than these do not survive in a 64-bit float
MANTISSA: Final = re.compile(r"[^eE]*")


@dataclass(frozen=True, kw_only=True)
class Predicate:
    """A condition on a line: SQL text with `{name:Type}` placeholders, and the value of each."""

    sql: str = EVERY_LINE
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


def compile_query(query: Query) -> Predicate:
    """Return the condition that is true for exactly the lines that *query* means.

    Raises QuerySyntaxError when it is too long for the engine.
    """
    compiler = Compiler()
    sql = compiler.compile(query)
    if len(sql) > SQL_CHARACTERS_MAX:
        raise QuerySyntaxError("This query is too large; search for fewer things at a time", 0)
    return Predicate(sql=sql, parameters=compiler.parameters)


class Compiler:
    """One compilation: the parameters gathered so far, and the SQL of each shape of the tree."""

    def __init__(self) -> None:
        self.parameters: dict[str, Parameter] = {}
        self.placeholders: dict[tuple[str, Parameter], str] = {}

    def compile(self, query: Query) -> str:
        match query:
            case MatchAll():
                return EVERY_LINE
            case And(operands):
                return join(" AND ", [self.compile(operand) for operand in operands])
            case Or(operands):
                return either([self.compile(operand) for operand in operands])
            case Not(operand):
                return f"NOT ({self.compile(operand)})"
            case _:
                return self.compile_clause(query)

    def compile_clause(self, clause: Clause) -> str:
        match clause:
            case Text(text, strength):
                return either([self.search_text(column, text, strength) for column in ("line", "meta")])
            case FieldText(name, text, strength):
                return self.compile_field(name, lambda spelling: self.search_field(spelling, text, strength))
            case FieldNumber(name, comparison, number):
                return self.compile_field(name, lambda spelling: self.compare_field(spelling, comparison, number))
            case FieldExists(name):
                return self.compile_field(name, self.field_exists)

    def compile_field(self, name: str, compile_spelling: Callable[[str], str]) -> str:
        """Compile for the name as given and, as a displayed name (`Namespace`) may be meant, in small letters."""
        spellings = dict.fromkeys(drop_underscore(spelling) for spelling in (name, name.lower()))
        return either([compile_spelling(spelling) for spelling in spellings])

    def search_field(self, name: str, text: str, strength: Strength) -> str:
        if name in TEXT_COLUMNS:
            return self.search_text(TEXT_COLUMNS[name], text, strength)
        if name in KEYWORD_COLUMNS:
            return self.search_keyword(KEYWORD_COLUMNS[name], text, strength)
        if name in TAG_NAMES:
            return f"arrayExists(tag -> {self.search_keyword('tag', text, strength)}, tags)"
        if name in NUMERIC_COLUMNS:
            return self.equals_integer(NUMERIC_COLUMNS[name], text)
        return self.search_parsed(name, text, strength)

    def search_parsed(self, name: str, text: str, strength: Strength) -> str:
        """Search what the mill has parsed, and for two names what stands in when it has found no such field."""
        found = self.search_leaf(name, text, strength)
        if name == "source":
            # Mezmo: `source` is the host in its own examples, and a JSON member in its customers' lines. product 1.6
            return either([self.search_keyword("host", text, strength), found])
        if name == "message":
            # Mezmo: the message is the line itself when parsing has found none in it. product 1.6
            unparsed = f"NOT {self.has_leaf('message')}"
            return either([found, join(" AND ", [unparsed, self.search_text("line", text, strength)])])
        return found

    def compare_field(self, name: str, comparison: Comparison, number: float) -> str:
        value = self.bind("Float64", number)
        if name in NUMERIC_COLUMNS:
            return f"{NUMERIC_COLUMNS[name]} {comparison.value} {value}"
        path = self.bind("String", name)
        # A missing key reads as 0, which some comparisons accept.
        return f"(mapContains(numbers, {path}) AND numbers[{path}] {comparison.value} {value})"

    def field_exists(self, name: str) -> str:
        if name in TEXT_COLUMNS or name in KEYWORD_COLUMNS:
            return f"{(TEXT_COLUMNS | KEYWORD_COLUMNS)[name]} != ''"
        if name in TAG_NAMES:
            return "notEmpty(tags)"
        if name in NUMERIC_COLUMNS or name == "message":
            return EVERY_LINE
        if name == "source":
            return either(["host != ''", self.has_path(name)])
        return self.has_path(name)

    def search_text(self, column: str, text: str, strength: Strength) -> str:
        """A LIKE that the n-gram index answers for most of the lines, then the exact expression for the rest."""
        if pattern.is_plain(text, cased=strength.cased, whole=strength.whole):
            return f"lower({column}) LIKE {self.bind('String', pattern.render_like(text.lower()))}"
        prefilter = pattern.find_prefilter(text)
        exact = self.matches(column, text, strength)
        if prefilter is None:
            return exact
        return f"(lower({column}) LIKE {self.bind('String', prefilter)} AND {exact})"

    def search_keyword(self, column: str, text: str, strength: Strength) -> str:
        if not strength.whole:
            return self.matches(column, text, strength)
        if strength.cased:
            return f"{column} = {self.bind('String', text)}"
        return f"match({column}, {self.bind('String', pattern.render_equality(text, cased=False))})"

    def search_leaf(self, path: str, text: str, strength: Strength) -> str:
        bound_path = self.bind("String", path)
        as_text = self.matches(f"fields[{bound_path}]", text, strength)
        number = find_number(text)
        # The mill keeps the text of numbers that a float would round, and that text is the truth about them.
        if number is None or count_significant_digits(text) > FLOAT64_DIGITS_MAX:
            return as_text
        value = self.bind("Float64", number)
        return either([as_text, f"(mapContains(numbers, {bound_path}) AND numbers[{bound_path}] = {value})"])

    def matches(self, column: str, text: str, strength: Strength) -> str:
        """The expression with Unicode's classes, which the engine compiles slowly, only for values that need it."""
        narrow, wide = (
            pattern.render_pattern(text, alphabet, cased=strength.cased, whole=strength.whole)
            for alphabet in (pattern.ASCII, pattern.UNICODE)
        )
        exact = f"match({column}, {self.bind('String', wide)})"
        if narrow == wide or not text.isascii():
            return exact
        return f"(match({column}, {self.bind('String', narrow)}) OR (NOT isValidASCII({column}) AND {exact}))"

    def equals_integer(self, column: str, text: str) -> str:
        return f"{column} = {self.bind('UInt64', int(text))}" if UINT64_DIGITS.fullmatch(text) else NO_LINE

    def has_leaf(self, path: str) -> str:
        bound_path = self.bind("String", path)
        return either([f"mapContains({leaves}, {bound_path})" for leaves in ("fields", "numbers")])

    def has_path(self, path: str) -> str:
        """Whether a leaf stands at *path* or under it."""
        below = self.bind("String", f"{path}.")
        leaf_below = [
            f"arrayExists(leaf -> startsWith(leaf, {below}), mapKeys({leaves}))" for leaves in ("fields", "numbers")
        ]
        return either([self.has_leaf(path), *leaf_below])

    def bind(self, kind: str, value: Parameter) -> str:
        """Return the placeholder of *value*; the same value is bound once."""
        known = self.placeholders.get((kind, value))
        if known is not None:
            return known
        name = f"q{len(self.parameters)}"
        self.parameters[name] = value
        return self.placeholders.setdefault((kind, value), f"{{{name}:{kind}}}")


def drop_underscore(name: str) -> str:
    """`_status` is `status`, `_meta.a` is `meta.a`; other names stay."""
    return name[1:] if UNDERSCORED.fullmatch(name) else name


def count_significant_digits(number: str) -> int:
    mantissa = MANTISSA.match(number)
    digits = mantissa[0].strip("-").replace(".", "") if mantissa else ""
    return len(digits.strip("0"))


def either(conditions: list[str]) -> str:
    return join(" OR ", conditions)


def join(operator: str, conditions: list[str]) -> str:
    return conditions[0] if len(conditions) == 1 else f"({operator.join(conditions)})"
