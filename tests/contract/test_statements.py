"""Verifying a key asks the database nothing: the statements of a running server are counted by the thread they are for.

What keeps memory fresh, counts use and tidies up runs beside the requests, on threads of its own, and sends as many
statements an hour whether there are requests or none.
"""

import threading
import time
from collections import Counter

import pytest
from sqlalchemy import Engine, event

REQUESTS = 1_000
BESIDE = ("key-", "audit", "mill")
BESIDE_PER_S_MAX = 100  # the feed asks 20 times a second, with a few statements each time


@pytest.fixture
def statements():
    """How many statements each thread has sent, by every engine of this process."""
    counts: Counter[str] = Counter()

    def count(*_):
        counts[threading.current_thread().name] += 1

    event.listen(Engine, "before_cursor_execute", count)
    yield counts
    event.remove(Engine, "before_cursor_execute", count)


def test_a_thousand_requests_send_no_statement(tester, statements):
    assert tester.send({"lines": [{"line": "before"}]}).status_code == 200
    statements.clear()
    began = time.monotonic()
    answers = Counter(tester.send({"lines": []}).status_code for _ in range(REQUESTS))
    took_s = time.monotonic() - began
    assert answers == {200: REQUESTS}
    beside = sum(count for thread, count in statements.items() if thread.startswith(BESIDE))
    assert {thread: count for thread, count in statements.items() if not thread.startswith(BESIDE)} == {}
    assert beside <= BESIDE_PER_S_MAX * (took_s + 1)


def test_a_request_that_needs_the_database_is_counted(tester, statements):
    """The counter is not blind."""
    assert tester.get("/v1/config/keys").status_code == 200
    assert [thread for thread in statements if not thread.startswith(BESIDE)] != []
