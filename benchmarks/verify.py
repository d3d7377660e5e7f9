"""What it costs to verify a key when there are 300,000 of them, all read from a real SQLite database.

Three figures, each with the median and the slowest hundredth: the look-up in memory alone; the look-up with the proof
that memory is fresh, which is what a request cannot do without; and all that the gate does with a request, the search
for its key and the counting of its use included. The clock's own cost of some 50 ns is in all of them.
`make prove-verify` runs it.
"""

import argparse
import asyncio
import gc
import os
import random
import secrets
import tempfile
import time
from collections import Counter
from pathlib import Path

from keys_house import MASTER_SECRET, KeysHouse, open_keys_house
from machine import resident_mb
from many_keys import fill
from measure import machine_name, percentile
from sqlalchemy import Engine, event
from starlette.requests import Request

from logboom.keys.bounds import Bounds
from logboom.keys.feed import Feed
from logboom.keys.following import follow
from logboom.keys.gate import Gate
from logboom.keys.key import Caller, KeyKind
from logboom.keys.meter import Meter
from logboom.keys.use import watch_use
from logboom.keys.vault import Vault

P50_US_MAX, P99_US_MAX = 5.0, 30.0
HEADERS = [
    (b"host", b"logs.example.com"),
    (b"content-type", b"application/json"),
    (b"content-length", b"1234"),
    (b"user-agent", b"logdna-agent/3.11.2 (Debian GNU/Linux/12)"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=300_000)
    parser.add_argument("--samples", type=int, default=200_000, help="of each figure")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="logboom-bench-") as folder:
        house = open_keys_house(f"sqlite:///{Path(folder) / 'control.db'}")
        values = fill_and_load(house, arguments.keys)
        asyncio.run(measure_all(house, values, arguments.samples))


def fill_and_load(house: KeysHouse, count: int) -> list[str]:
    """Put the keys into the database, load them as a server does at its start, and tell what that takes."""
    found = fill(house, Vault(MASTER_SECRET, random_bytes=secrets.token_bytes), count)
    before_mb, began = resident_mb(os.getpid()), time.perf_counter()
    altered = house.keys.load()
    took_s = time.perf_counter() - began
    gc.collect()
    grown = (resident_mb(os.getpid()) - before_mb) * 1024 * 1024
    print(f"{machine_name()}")
    print(f"  {len(house.keyring):,} values known, {len(altered)} altered; loaded in {took_s:.1f} s")
    print(f"  {grown / len(house.keyring):,.0f} bytes of resident memory each")
    return found[KeyKind.INGESTION]


async def measure_all(house: KeysHouse, values: list[str], samples: int) -> None:
    following = follow(house.engine, house.keys, now_ms=house.clock, node_id="bench")
    following.start()
    await following.feed.ensure()
    meter = Meter(now_ms=house.clock, monotonic_s=time.monotonic)
    use = watch_use(house.engine, meter, now_ms=house.clock, random=random.random, keep=str, on_written=lambda _: None)
    gate = Gate(house.keyring, following.feed, Bounds(meter), now_ms=house.clock, on_admitted=use.listener.admitted)
    asked = random.choices(values, k=samples)
    statements = count_statements(house.engine)
    gc.collect()
    gc.freeze()  # as uvicorn's own objects would be: what was loaded is not looked at again and again
    tell("look-up in memory", look_up(house, asked))
    fresh_us = tell("look-up, memory proven fresh", await look_up_fresh(house, following.feed, asked))
    tell("the gate, from request to caller", await pass_gate(gate, asked))
    by_requests = sum(count for thread, count in statements.items() if not thread.startswith("key-"))
    background = {thread: count for thread, count in statements.items() if thread.startswith("key-")}
    print(f"  statements to the database by {3 * samples:,} requests: {by_requests}; by what runs beside: {background}")
    following.stop()
    if by_requests or fresh_us[0] > P50_US_MAX or fresh_us[1] > P99_US_MAX:
        raise SystemExit(f"more than {P50_US_MAX} us in the median, {P99_US_MAX} us in 99 %, or 0 statements")


def count_statements(engine: Engine) -> Counter[str]:
    """Counts statements by the thread that sends them: requests are answered on the main one."""
    import threading

    counts: Counter[str] = Counter()

    def count(*_: object) -> None:
        counts[threading.current_thread().name] += 1

    event.listen(engine, "before_cursor_execute", count)
    return counts


def look_up(house: KeysHouse, asked: list[str]) -> list[int]:
    clock, authenticate, now_ms, took = time.perf_counter_ns, house.keyring.authenticate, house.clock(), []
    for value in asked:
        began = clock()
        found = authenticate(value, now_ms)
        took.append(clock() - began)
        assert_admitted(found)
    return took


async def look_up_fresh(house: KeysHouse, feed: Feed, asked: list[str]) -> list[int]:
    clock, authenticate, now_ms, took = time.perf_counter_ns, house.keyring.authenticate, house.clock(), []
    for value in asked:
        began = clock()
        await feed.ensure()
        found = authenticate(value, now_ms)
        took.append(clock() - began)
        assert_admitted(found)
    return took


async def pass_gate(gate: Gate, asked: list[str]) -> list[int]:
    clock, took = time.perf_counter_ns, []
    for number, value in enumerate(asked):
        request = make_request(number, value)
        began = clock()
        found = await gate.ingestion_caller(request)
        took.append(clock() - began)
        assert_admitted(found)
    return took


def make_request(number: int, value: str) -> Request:
    scope = {"type": "http", "method": "POST", "path": "/logs/ingest", "route_name": "/logs/ingest"}
    scope |= {"query_string": b"hostname=web-%d&now=1700000000" % (number % 500), "client": ("10.0.0.7", 4711)}
    return Request(scope | {"headers": [*HEADERS, (b"apikey", value.encode())]})


def assert_admitted(found: object) -> None:
    if not isinstance(found, Caller):
        raise SystemExit(f"a valid key was not admitted: {found}")


def tell(name: str, took_ns: list[int]) -> tuple[float, float]:
    """Print and return the median and the 99th percentile in microseconds."""
    p50_us, p99_us = (percentile(took_ns, share) / 1000 for share in (0.5, 0.99))
    print(f"  {name:36} p50 {p50_us:6.2f} us   p99 {p99_us:6.2f} us")
    return p50_us, p99_us


if __name__ == "__main__":
    main()
