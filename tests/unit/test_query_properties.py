"""What holds for every text and every tree of the search language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logboom import limits
from logboom.errors import QuerySyntaxError
from logboom.query import compile_query, parse_query
from logboom.query.printer import print_query
from logboom.query.tree import And, Comparison, FieldExists, FieldNumber, FieldText, Not, Or, Strength, Text

# Whole pieces of the grammar in any order find more than single characters would.
PIECES = (
    "up",
    "a",
    " ",
    "\t",
    '"',
    "'",
    "\\",
    "(",
    ")",
    "[",
    "]",
    ",",
    ":",
    "-",
    "=",
    "==",
    ">=",
    "<",
    "*",
    "AND",
    "OR",
)
PIECES += ("NOT", "level", "level:", "user.id:", "404", "-1.5", "1e999", "é", "\ud800", "\0", "%", "_")
TEXTS = st.one_of(st.lists(st.sampled_from(PIECES), max_size=30).map("".join), st.text(max_size=60))

NAMES = st.from_regex(r"[A-Za-z_@$é][A-Za-z0-9_.@$/:é-]{0,8}", fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
STRENGTHS = st.sampled_from(Strength)
CLAUSES = st.one_of(
    st.builds(Text, VALUES, STRENGTHS),
    st.builds(FieldText, NAMES, VALUES, STRENGTHS),
    st.builds(FieldNumber, NAMES, st.sampled_from(Comparison), st.floats(allow_nan=False, allow_infinity=False)),
    st.builds(FieldExists, NAMES),
)
TREES = st.recursive(
    CLAUSES,
    lambda trees: st.one_of(
        st.builds(Not, trees),
        *(st.builds(shape, st.lists(trees, min_size=2, max_size=4).map(tuple)) for shape in (And, Or)),
    ),
    max_leaves=12,
)


def find_query(text):
    """The meaning of *text*, or None when it is refused as it should be."""
    try:
        return parse_query(text)
    except QuerySyntaxError as refusal:
        return None if refusal.message and 0 <= refusal.position <= len(text) else pytest.fail(str(refusal))


@given(TEXTS)
def test_any_text_is_read_or_refused_as_a_query(text):
    query = find_query(text)
    assert query is None or parse_query(print_query(query)) == query


@given(TREES)
def test_a_printed_tree_reads_back_as_itself(tree):
    assert parse_query(print_query(tree)) == tree


@given(TREES)
def test_values_travel_as_parameters(tree):
    predicate = compile_query(tree)
    rest = predicate.sql
    for name in predicate.parameters:
        for kind in ("String", "Float64", "UInt64"):
            rest = rest.replace(f"{{{name}:{kind}}}", "")
    assert not set(rest) & set('{}\\"%')
    assert rest.isascii()
    assert rest.count("(") == rest.count(")")


def test_a_query_too_large_for_the_engine_is_refused():
    query = parse_query(" ".join(f"Message:==1{number}" for number in range(limits.QUERY_CLAUSES_MAX)))
    with pytest.raises(QuerySyntaxError, match="fewer"):
        compile_query(query)
