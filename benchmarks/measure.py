"""The measurements: ingest with the yardstick beside it, queries against known answers, durability under `kill -9`."""

import http.client
import json
import mmap
import os
import platform
import secrets
import signal
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from adapters import KINDS, Adapter, Connection, Manifest, truth
from machine import MemoryWatch, Server, cpu_s, disk_bytes, machine_busy_s

QUERYABLE_TIMEOUT_S = 120
QUERY_TIMEOUT_S = 60
MINUTE_MS = 60_000


@dataclass(frozen=True)
class Batch:
    """One request: its target, its place among the encoded bodies, and how many lines it holds."""

    target: str
    offset: int
    size: int
    lines: int


@dataclass(frozen=True)
class Bodies:
    """A corpus as ready request bodies in a mapped file, so that sending them costs next to no processor time."""

    batches: Sequence[Batch]
    encoded: memoryview

    @property
    def lines(self) -> int:
        return sum(batch.lines for batch in self.batches)

    def body(self, batch: Batch) -> memoryview:
        return self.encoded[batch.offset : batch.offset + batch.size]


@dataclass
class Pushed:
    """What a push measured."""

    wall_s: float = 0
    loader_cpu_s: float = 0
    acknowledged: int = 0
    latencies_s: list[float] = field(default_factory=list)


def encode_bodies(adapter: Adapter, rows: Iterator[dict[str, Any]], *, batch_lines: int, path: Path) -> Bodies:
    """Encode *rows* in batches of one group each into the file *path*."""
    batches: list[Batch] = []
    waiting: dict[object, list[dict[str, Any]]] = {}
    with path.open("wb") as out:

        def emit(group: object) -> None:
            of_group = waiting.pop(group)
            target, body = adapter.encode(of_group)
            batches.append(Batch(target, out.tell(), len(body), len(of_group)))
            out.write(body)

        for row in rows:
            group = row[adapter.group_by] if adapter.group_by else None
            waiting.setdefault(group, []).append(row)
            if len(waiting[group]) == batch_lines:
                emit(group)
        for group in list(waiting):
            emit(group)
    with path.open("rb") as encoded:
        return Bodies(batches, memoryview(mmap.mmap(encoded.fileno(), 0, prot=mmap.PROT_READ)))


def read_rows(corpus: Path) -> Iterator[dict[str, Any]]:
    with corpus.open("rb") as rows:
        yield from map(orjson.loads, rows)


def push(server: Server, adapter: Adapter, bodies: Bodies, *, connections: int) -> Pushed:
    """Send every body once. Any answer but 200 ends the benchmark."""
    waiting = iter(bodies.batches)
    lock = threading.Lock()
    pushed = Pushed()
    failures: list[Exception] = []

    def send_all() -> None:
        connection = Connection(server.url)
        while not failures:
            with lock:
                batch = next(waiting, None)
            if batch is None:
                return
            began = time.perf_counter()
            try:
                connection.request("POST", batch.target, bodies.body(batch), adapter.push_headers)
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                failures.append(error)
                return
            with lock:
                pushed.latencies_s.append(time.perf_counter() - began)
                pushed.acknowledged += batch.lines

    began, cpu_began = time.perf_counter(), time.process_time()
    senders = [threading.Thread(target=send_all) for _ in range(connections)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    if failures:
        raise SystemExit(f"ingest failed after {pushed.acknowledged} lines: {failures[0]}")
    pushed.wall_s, pushed.loader_cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    return pushed


def yardstick_cpu_s(bodies: Bodies) -> float:
    """Processor seconds that `orjson.loads` needs for a million lines of the same bodies: the best of three passes."""
    passes = []
    for _ in range(3):
        began = time.process_time()
        for batch in bodies.batches:
            orjson.loads(bodies.body(batch))
        passes.append(time.process_time() - began)
    return per_million(min(passes), bodies.lines)


def ingest(server: Server, adapter: Adapter, bodies: Bodies, manifest: Manifest, *, connections: int) -> dict[str, Any]:
    """Push the corpus, wait until its last minute can be searched and the server has gone quiet."""
    yardstick = yardstick_cpu_s(bodies)  # first, which also brings the bodies into memory
    cpu_began, busy_began = cpu_s(server.pid), machine_busy_s()
    with MemoryWatch(server.pid) as memory:
        pushed = push(server, adapter, bodies, connections=connections)
        cpu_acked, busy_acked = cpu_s(server.pid), machine_busy_s()
        queryable_s = pushed.wall_s + wait_until_queryable(server, adapter, manifest)
        server.settle()
    cpu_settled = cpu_s(server.pid)
    lines = bodies.lines
    others = busy_acked - busy_began - (cpu_acked - cpu_began) - pushed.loader_cpu_s
    settled = per_million(cpu_settled - cpu_began, lines)
    sizes = disk_bytes(server.folder)
    return {
        "lines": lines,
        "connections": connections,
        "acked_s": round(pushed.wall_s, 2),
        "queryable_s": round(queryable_s, 2),
        "lines_per_s": round(lines / queryable_s),
        "yardstick_cpu_s_per_m": round(yardstick, 3),
        "server_cpu_s_per_m_acked": round(per_million(cpu_acked - cpu_began, lines), 2),
        "server_cpu_s_per_m": round(settled, 2),
        "server_yardsticks": round(settled / yardstick, 2),
        "loader_cpu_s_per_m": round(per_million(pushed.loader_cpu_s, lines), 2),
        "other_cores": round(max(0.0, others / pushed.wall_s), 2),
        "ack_ms_p50": milliseconds(percentile(pushed.latencies_s, 0.5)),
        "ack_ms_p99": milliseconds(percentile(pushed.latencies_s, 0.99)),
        "peak_memory_mb": round(memory.peak_mb),
        "line_bytes": round(manifest["line_bytes"] / lines, 1),
        "disk_bytes_per_line": round(sum(sizes.values()) / lines, 1),
        "disk_mb": {name: round(size / 1e6, 1) for name, size in sorted(sizes.items())},
    }


def wait_until_queryable(server: Server, adapter: Adapter, manifest: Manifest) -> float:
    """Seconds until a count over the whole corpus is complete."""
    began = time.perf_counter()
    connection = Connection(server.url)
    while time.perf_counter() - began < QUERYABLE_TIMEOUT_S:
        found = adapter.count(connection, query="", from_ms=manifest["start_ms"], to_ms=manifest["end_ms"] - 1)
        if found >= manifest["lines"]:
            return time.perf_counter() - began
        time.sleep(0.02)
    raise SystemExit(f"{found} of {manifest['lines']} lines can be searched after {QUERYABLE_TIMEOUT_S} s")


def run_queries(server: Server, adapter: Adapter, manifest: Manifest, *, repetitions: int) -> dict[str, dict[str, Any]]:
    """Each standard question, warm, on a fresh connection each time, compared with the known answer."""
    return {kind: run_query(server, adapter, manifest, kind, repetitions=repetitions) for kind in KINDS}


def run_query(server: Server, adapter: Adapter, manifest: Manifest, kind: str, *, repetitions: int) -> dict[str, Any]:
    walls, first_bytes, wrong = [], [], []
    cpu_began, began = cpu_s(server.pid), time.monotonic()
    try:
        for repetition in range(-1, repetitions):  # the first is for warming up
            connection = Connection(server.url)
            asked = time.perf_counter()
            bodies = adapter.ask(kind, manifest, repetition, connection)
            wall_s = time.perf_counter() - asked
            connection.close()
            found, right = adapter.answer(kind, bodies), truth(kind, manifest)
            wrong += [found] if found != right else []
            if repetition >= 0:
                walls.append(wall_s)
                first_bytes.append(connection.first_byte_s or 0)
            if walls and time.monotonic() - began > QUERY_TIMEOUT_S:
                break
    except NotImplementedError as error:
        return {"absent": str(error)}
    return {
        "runs": len(walls),
        "median_ms": milliseconds(statistics.median(walls)),
        "max_ms": milliseconds(max(walls)),
        "first_byte_ms": milliseconds(statistics.median(first_bytes)),
        "cpu_ms": milliseconds((cpu_s(server.pid) - cpu_began) / (len(walls) + 1)),
        "right": not wrong,
    } | ({"found": wrong[0], "expected": truth(kind, manifest)} if wrong else {})


def durability(server: Server, adapter: Adapter, corpus: Path, *, lines: int, scratch: Path) -> dict[str, Any]:
    """`kill -9` right after the last 200; how many acknowledged lines are there after the restart?"""
    mark = "durability" + secrets.token_hex(4)
    now_ms = time.time_ns() // 1_000_000
    bodies = encode_bodies(adapter, marked_rows(corpus, mark, now_ms, lines), batch_lines=1000, path=scratch / mark)
    server.start()
    pushed = push(server, adapter, bodies, connections=4)
    server.end(signal.SIGKILL)
    restart_s = server.start()
    found = -1
    deadline = time.monotonic() + QUERYABLE_TIMEOUT_S
    while found < pushed.acknowledged and time.monotonic() < deadline:
        found = adapter.count(Connection(server.url), query=mark, from_ms=now_ms - lines, to_ms=now_ms + MINUTE_MS)
        time.sleep(0.05)
    server.end()
    return {
        "acked": pushed.acknowledged,
        "found": found,
        "lost": pushed.acknowledged - found,
        "restart_s": round(restart_s, 2),
    }


def marked_rows(corpus: Path, mark: str, now_ms: int, lines: int) -> Iterator[dict[str, Any]]:
    """The first *lines* of the corpus, each with the mark and a millisecond of its own just before now."""
    for number, row in zip(range(lines), read_rows(corpus), strict=False):
        yield row | {"line": f"{mark} {row['line']}", "timestamp": now_ms - lines + number}


def load_manifest(corpus: Path) -> Manifest:
    return dict(json.loads(Path(f"{corpus}.manifest.json").read_text()))


def machine_name() -> dict[str, object]:
    """What a reader of the history must know of the machine, and nothing that tells one from another of its kind."""
    return {"platform": platform.platform(), "python": platform.python_version(), "cpus": os.cpu_count()}


def per_million(seconds: float, lines: int) -> float:
    return seconds / lines * 1e6


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)
