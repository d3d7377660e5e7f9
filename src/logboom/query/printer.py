"""Writes a tree as the text that reads back as the same tree.

It shows a person what was understood (that OR binds tighter than AND surprises many), and the tests what was not.
"""

import re
from typing import Final

from logboom.query.tree import And, Clause, FieldExists, FieldNumber, FieldText, MatchAll, Not, Or, Query, Text

NEEDS_ESCAPE: Final = re.compile(r'["\\]')


def print_query(query: Query) -> str:
    """Return *query* fully quoted and parenthesised."""
    match query:
        case MatchAll():
            return ""
        case And(operands):
            return " AND ".join(_print_operand(operand) for operand in operands)
        case Or(operands):
            return " OR ".join(_print_operand(operand) for operand in operands)
        case Not(operand):
            return f"-{_print_operand(operand)}"
        case _:
            return _print_clause(query)


def _print_operand(query: Query) -> str:
    return f"({print_query(query)})" if isinstance(query, And | Or | Not) else print_query(query)


def _print_clause(clause: Clause) -> str:
    match clause:
        case Text(text, strength):
            return f"{strength.value}{_quote(text)}"
        case FieldText(field, text, strength):
            return f"{_print_name(field)}:{strength.value}{_quote(text)}"
        case FieldNumber(field, comparison, number):
            return f"{_print_name(field)}:{comparison.value}{number!r}"
        case FieldExists(field):
            return f"{_print_name(field)}:*"


def _print_name(field: str) -> str:
    return field.replace(":", "\\:")


def _quote(text: str) -> str:
    escaped = NEEDS_ESCAPE.sub(r"\\\g<0>", text)
    return f'"{escaped}"'
