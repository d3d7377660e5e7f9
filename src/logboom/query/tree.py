"""What a query says, after reading and before compiling.

Lists (`level:[warn,error]`) and value groups (`status:(>=400 <500)`) are spellings, not meanings: they arrive here as
`Or`, `And` and `Not` over clauses of the same field, so that whoever walks the tree meets seven shapes and no more.
"""

from dataclasses import dataclass
from enum import Enum


class Strength(Enum):
    """How a text must meet the tokens it is compared with; the value is its spelling."""

    PREFIX = ""
    CASED_PREFIX = "="
    TERM = "=="
    CASED_TERM = "==="

    @property
    def cased(self) -> bool:
        return self in (Strength.CASED_PREFIX, Strength.CASED_TERM)

    @property
    def whole(self) -> bool:
        """Whether the text must also end where a token ends."""
        return self in (Strength.TERM, Strength.CASED_TERM)


class Comparison(Enum):
    """How a number is compared; the value is its spelling in queries and in SQL."""

    AT_LEAST = ">="
    AT_MOST = "<="
    ABOVE = ">"
    BELOW = "<"


@dataclass(frozen=True)
class MatchAll:
    """The empty query."""


@dataclass(frozen=True)
class Text:
    """`word`, `"a phrase"`, `==word`: a text anywhere in the line or in its meta."""

    text: str
    strength: Strength = Strength.PREFIX


@dataclass(frozen=True)
class FieldText:
    """`field:text`, also where the text spells a number: `status:404`."""

    field: str
    text: str
    strength: Strength = Strength.PREFIX


@dataclass(frozen=True)
class FieldNumber:
    """`field:>=400`."""

    field: str
    comparison: Comparison
    number: float


@dataclass(frozen=True)
class FieldExists:
    """`field:*`."""

    field: str


@dataclass(frozen=True)
class Not:
    operand: "Query"


@dataclass(frozen=True)
class And:
    operands: tuple["Query", ...]


@dataclass(frozen=True)
class Or:
    operands: tuple["Query", ...]


Clause = Text | FieldText | FieldNumber | FieldExists
Query = MatchAll | Clause | Not | And | Or
