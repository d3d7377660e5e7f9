"""The gate admits and refuses from memory, on both databases: it asks nothing as long as nothing changes."""

import asyncio
import threading
import time
from collections import Counter

from keys_house import open_keys_house
from sqlalchemy import event
from starlette.requests import Request

from logboom.errors import KeyRefused
from logboom.keys.bounds import Bounds
from logboom.keys.change import SYSTEM
from logboom.keys.following import follow
from logboom.keys.gate import Gate
from logboom.keys.key import KeyKind
from logboom.keys.meter import Meter

REQUESTS = 1_000
BESIDE_PER_S_MAX = 100


def request_with(value):
    scope = {"type": "http", "method": "POST", "path": "/logs/ingest", "query_string": b"hostname=web-1"}
    return Request(scope | {"headers": [(b"apikey", value.encode())]})


async def pass_often(gate, admitted, deleted):
    """How often the gate let the live key in and refused the deleted one."""
    outcomes = Counter()
    for number in range(REQUESTS):
        try:
            await gate.ingestion_caller(request_with((admitted, deleted)[number % 2]))
            outcomes["admitted"] += 1
        except KeyRefused:
            outcomes["refused"] += 1
    return outcomes


def test_a_thousand_requests_send_no_statement(database_url):
    house = open_keys_house(database_url)
    account_id = house.accounts.create().id
    live, gone = (house.keys.create(account_id, KeyKind.INGESTION) for _ in range(2))
    house.keys.delete(account_id, gone.id, actor=SYSTEM)
    house.keys.load()
    following = follow(house.engine, house.keys, now_ms=house.clock, node_id="node")
    counts: Counter[str] = Counter()
    event.listen(house.engine, "before_cursor_execute", lambda *_: counts.update([threading.current_thread().name]))
    following.start()
    began = time.monotonic()
    bounds = Bounds(Meter(now_ms=house.clock, monotonic_s=time.monotonic))
    gate = Gate(house.keyring, following.feed, bounds, now_ms=house.clock)
    outcomes = asyncio.run(pass_often(gate, live.value, gone.value))
    took_s, sent = time.monotonic() - began, counts.copy()
    following.stop()
    house.engine.dispose()
    assert outcomes == {"admitted": REQUESTS // 2, "refused": REQUESTS // 2}
    assert {thread for thread in sent if not thread.startswith("key-")} == set()
    assert sent.total() <= BESIDE_PER_S_MAX * (took_s + 1)
