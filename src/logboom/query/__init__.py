"""The search language: text becomes a tree, the tree becomes one SQL predicate.

That predicate is the only evaluator of a query, so that search, export and everything built on them cannot disagree.
Everything here is pure: no I/O, no clock, no engine.
"""

from logboom.query.compile import Parameter, Predicate, compile_query
from logboom.query.parser import parse_query
from logboom.query.tree import MatchAll, Query

__all__ = ["MatchAll", "Parameter", "Predicate", "Query", "compile_query", "parse_query"]
