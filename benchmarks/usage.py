"""What counting the use of keys costs: seconds for a request, and writes to the database.

    python benchmarks/usage.py

Prints the cost of the counters alone, of what is read off a request too, and of a bare dict look-up to compare with;
then how many transactions and rows 10,000 requests of a fleet come to.
"""

import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request

from logboom.accounts.repository import AccountRepository
from logboom.database.engine import open_database
from logboom.database.migrate import migrate
from logboom.keys.credentials import Carrier, ingestion_values
from logboom.keys.key import Caller, KeyKind
from logboom.keys.usage import HOUR_MS, Counters, Counts
from logboom.keys.usage_flush import UsageFlush
from logboom.keys.usage_repository import UsageRepository
from logboom.keys.use import SENDER_HOST, UseListener

ROUNDS = 15
REQUESTS = 20_000
FLEET = 500
HEADERS = [
    (b"host", b"logs.example.com"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"content-type", b"application/json"),
    (b"content-length", b"1234"),
    (b"apikey", b"0123456789abcdef0123456789abcdef"),
    (b"user-agent", b"logdna-agent/3.11.2 (Debian GNU/Linux/12)"),
]


def main() -> None:
    print(f"{platform.python_implementation()} {platform.python_version()}, best and median of {ROUNDS} rounds")
    caller = Caller(account_id="a" * 10, key_id="b" * 24, kind=KeyKind.INGESTION)
    requests = [_request(number) for number in range(FLEET)]
    for request in requests:
        ingestion_values(request)  # as the gate has done before
    uses = [(*caller_of(caller, request), now_ms() // HOUR_MS * HOUR_MS) for request in requests]
    plain = dict.fromkeys(uses, 0)
    counters = Counters()
    listener = UseListener(counters, now_ms=now_ms)

    def look_up(number: int) -> None:
        plain[uses[number % FLEET]] += 1

    def count(number: int) -> None:
        counters.opened(uses[number % FLEET], 1)

    def admit(number: int) -> None:
        listener.admitted(requests[number % FLEET], caller, Carrier.HEADER)

    def nothing(number: int) -> None:
        uses[number % FLEET]

    loop_us = _cost_us(nothing)[0]
    for name, work in (("dict look-up", look_up), ("counters", count), ("listener: request to counters", admit)):
        best, median = _cost_us(work)
        print(f"{name:32} {best - loop_us:6.3f} us  (median {median - loop_us:.3f})")
    _measure_writes()


def caller_of(caller: Caller, request: Request) -> tuple[object, ...]:
    host = request.query_params["hostname"]
    return (caller.key_id, 1, "10.0.0.1", "logdna-agent/3.11.2", host, "header", "logs")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def _request(number: int) -> Request:
    scope = {"type": "http", "method": "POST", "path": "/logs/ingest", "route_name": "/logs/ingest"}
    scope |= {"query_string": b"hostname=web-%d&now=1700000000" % number, "client": (f"10.0.{number % 200}.7", 4711)}
    return Request(scope | {"headers": HEADERS, SENDER_HOST: f"web-{number}"})


def _cost_us(work: Callable[[int], None]) -> tuple[float, float]:
    costs = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for number in range(REQUESTS):
            work(number)
        costs.append((time.perf_counter() - began) / REQUESTS * 1e6)
    return min(costs), statistics.median(costs)


class CountedRepository(UsageRepository):
    """Counts what it is asked to write."""

    transactions = 0
    rows = 0

    def add(self, counts: Counts) -> None:
        self.transactions += 1
        self.rows += len(counts.hours) + len(counts.users)
        began = time.perf_counter()
        super().add(counts)
        self.seconds = time.perf_counter() - began


def _measure_writes() -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{Path(folder) / 'control.db'}")
        migrate(database)
        AccountRepository(database, now_ms=now_ms, random_hex=lambda size: "ab" * size).create()
        repository = CountedRepository(database)
        flush = UsageFlush(repository, random=lambda: 0.5)
        listener = UseListener(flush.counters, now_ms=now_ms)
        caller = Caller(account_id="a" * 10, key_id="b" * 24, kind=KeyKind.INGESTION)
        for number in range(10_000):
            listener.admitted(_request(number % FLEET), caller, Carrier.HEADER)
        flush.flush()
        print(f"10,000 requests of {FLEET} hosts within one interval: {repository.transactions} transaction,", end=" ")
        print(f"{repository.rows} rows, {repository.seconds * 1000:.0f} ms in a thread of its own")


if __name__ == "__main__":
    main()
