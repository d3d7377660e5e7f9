"""The chain as computation: a hash depends on the row before and on every signed column, and on nothing else."""

import hmac
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from logboom.audit.chain import SIGNED_COLUMNS, START, START_HASH, Chain, Head
from logboom.database.tables import audit_events

CHAIN = Chain(lambda message: hmac.digest(b"a" * 32, message, "sha256"))
NUMBERS = st.integers(0, 2**63 - 1)
ROWS = st.fixed_dictionaries(
    {name: NUMBERS if name in ("seq", "at_ms") else st.none() | st.text(max_size=5) for name in SIGNED_COLUMNS}
)


def test_every_column_but_the_hash_is_signed():
    assert {*SIGNED_COLUMNS, "hash"} == {column.name for column in audit_events.columns}


@given(first=ROWS, second=ROWS)
def test_two_rows_have_the_same_hash_exactly_when_they_are_the_same(first, second):
    link = partial(CHAIN.link, START_HASH)
    assert (link(first) == link(second)) == (first == second)
    assert link(first | {"hash": b"whatever"}) == link(dict(reversed(first.items())))


@given(row=ROWS, name=st.sampled_from(SIGNED_COLUMNS))
def test_a_hash_depends_on_every_column(row, name):
    assert CHAIN.link(START_HASH, row) != CHAIN.link(START_HASH, row | {name: "something else"})


@given(row=ROWS, previous=st.binary(min_size=32, max_size=32))
def test_a_hash_depends_on_the_row_before(row, previous):
    assert (CHAIN.link(START_HASH, row) == CHAIN.link(previous, row)) == (previous == START_HASH)


@given(row=ROWS)
def test_nobody_else_makes_the_same_hash(row):
    other = Chain(lambda message: hmac.digest(b"b" * 32, message, "sha256"))
    assert CHAIN.link(START_HASH, row) != other.link(START_HASH, row)


@given(seq=NUMBERS, digest=st.binary(min_size=32, max_size=32))
def test_a_head_is_signed_for_its_place_and_hash(seq, digest):
    head = Head(seq=seq, hash=digest)
    assert (CHAIN.sign_head(head) == CHAIN.sign_head(START)) == (head == START)
    assert CHAIN.sign_head(head) != CHAIN.sign_head(Head(seq=seq + 1, hash=digest))
