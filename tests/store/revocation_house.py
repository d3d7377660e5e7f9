"""Servers in processes of their own that admit keys, and everything that can go wrong between them and a revocation.

A *node* has what a server has of keys: its own connections, memory and feed. It does nothing but ask, every few
milliseconds, whether the watched values are admitted, and remembers when it last said yes. Times are of the monotonic
clock, which all processes of a machine share.
"""

import asyncio
import contextlib
import multiprocessing
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from keys_house import MASTER_SECRET, KeysHouse
from sqlalchemy import event, text
from starlette.requests import Request

from logboom.database.engine import open_database, reading
from logboom.errors import KeyRefused, Unavailable
from logboom.keys.bounds import Bounds
from logboom.keys.following import follow
from logboom.keys.gate import Gate
from logboom.keys.key import Key, KeyKind
from logboom.keys.keyring import Keyring
from logboom.keys.keys import Keys
from logboom.keys.meter import Meter
from logboom.keys.repository import KeyRepository
from logboom.keys.vault import Vault

PATIENCE_S = 30
LOOK_INTERVAL_S = 0.002
KILL_LISTENERS = text("""
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE query LIKE 'LISTEN%' AND datname = current_database()
""")
NODES = 4
IMPORTS = ["pytest", "psycopg", "sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.dialects.sqlite.pysqlite"]
IMPORTS += ["logboom.keys.following", "logboom.keys.keys", "logboom.database.migrate"]


@dataclass
class Sightings:
    """What one node said of each watched key. *admitted_s* is when it began to look the last time it said yes."""

    admitted_s: dict[str, float] = field(default_factory=dict)
    refused_s: dict[str, float] = field(default_factory=dict)
    first_answers: dict[str, str] = field(default_factory=dict)
    unavailable: int = 0


def run_node(url: str, number: int, clock_ms: Any, inbox: Connection) -> None:
    """One server: *clock_ms* is how far its wall clock is off, and may change at any time."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def now_ms() -> int:
        return time.time_ns() // 1_000_000 + int(clock_ms.value)

    engine, own = open_database(url), open_database(url)
    vault = Vault(MASTER_SECRET, random_bytes=secrets.token_bytes)
    keyring = Keyring(vault)
    keys = Keys(
        KeyRepository(engine, vault),
        keyring,
        vault,
        now_ms=now_ms,
        random_hex=secrets.token_hex,
        following=KeyRepository(own, vault),
    )
    keys.load()
    following = follow(engine, keys, now_ms=now_ms, node_id=f"node{number}")
    following.start()
    bounds = Bounds(Meter(now_ms=now_ms, monotonic_s=time.monotonic))
    asyncio.run(_look(Gate(keyring, following.feed, bounds, now_ms=now_ms), inbox))
    following.stop()


async def _look(gate: Gate, inbox: Connection) -> None:
    values: dict[str, str] = {}
    seen = Sightings()
    while True:
        while inbox.poll():
            message, content = inbox.recv()
            if message == "stop":
                return
            if message == "watch":
                values, seen = content, Sightings()
            inbox.send(seen)
        for key_id, value in values.items():
            await _use(gate, seen, key_id, value)
        await asyncio.sleep(LOOK_INTERVAL_S)


async def _use(gate: Gate, seen: Sightings, key_id: str, value: str) -> None:
    began_s = time.monotonic()
    try:
        await gate.ingestion_caller(_request(value))
    except KeyRefused:
        seen.refused_s.setdefault(key_id, time.monotonic())
        seen.first_answers.setdefault(key_id, "refused")
    except Unavailable:
        seen.unavailable += 1
        seen.first_answers.setdefault(key_id, "unavailable")
    else:
        seen.admitted_s[key_id] = began_s
        seen.first_answers.setdefault(key_id, "admitted")


def _request(value: str) -> Request:
    headers = [(b"apikey", value.encode())]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers, "query_string": b""})


@dataclass
class Node:
    """A node from outside."""

    process: Any
    pipe: Connection
    clock_ms: Any

    def ask(self, message: str, content: object = None) -> Sightings:
        self.pipe.send((message, content))
        assert self.pipe.poll(PATIENCE_S), "the node does not answer"
        answer: Sightings = self.pipe.recv()
        return answer

    @property
    def pid(self) -> int:
        return int(self.process.pid)


@contextmanager
def running_nodes(url: str, count: int = NODES) -> Iterator[list[Node]]:
    """Nodes on one database, ended with the context."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTS)
    nodes: list[Node] = []
    for number in range(count):
        ours, theirs = context.Pipe()
        clock_ms = context.Value("q", 0, lock=False)
        process = context.Process(target=run_node, args=(url, number, clock_ms, theirs), daemon=True)
        process.start()
        nodes.append(Node(process, ours, clock_ms))
    try:
        yield nodes
    finally:
        for node in nodes:
            with contextlib.suppress(OSError):
                os.kill(node.pid, signal.SIGCONT)
                node.pipe.send(("stop", None))
            node.process.join(5)
            node.process.kill()


@dataclass(frozen=True)
class Revocation:
    """One key that was revoked: how long each node went on admitting it after the commit; 0 when it did not."""

    fault: str
    stale_s: tuple[float, ...]
    refused_s: tuple[float, ...]
    unavailable: int


def make_keys(house: KeysHouse, count: int) -> list[Key]:
    return [house.keys.create(house.accounts.create().id, KeyKind.INGESTION) for _ in range(count)]


def watch(nodes: list[Node], keys: list[Key]) -> None:
    """Let the nodes look at these keys, until each of them admits all."""
    values = {key.id: key.value for key in keys}
    for node in nodes:
        node.ask("watch", values)
    deadline = time.monotonic() + PATIENCE_S
    while any(len(node.ask("report").admitted_s) < len(keys) for node in nodes):
        assert time.monotonic() < deadline, "a node does not admit a new key"
        time.sleep(0.005)


def wait_until_refused(nodes: list[Node], keys: list[Key]) -> list[Sightings]:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        seen = [node.ask("report") for node in nodes]
        if all(len(each.refused_s) == len(keys) for each in seen):
            return seen
        assert time.monotonic() < deadline, "a node does not refuse a deleted key"
        time.sleep(0.01)


def revoke(house: KeysHouse, keys: list[Key]) -> dict[str, float]:
    """Delete the keys; when each deletion was acknowledged."""
    acknowledged_s = {}
    for key in keys:
        house.keys.delete(key.account_id, key.id)
        acknowledged_s[key.id] = time.monotonic()
    return acknowledged_s


def judge_revocations(fault: str, acknowledged_s: dict[str, float], seen: list[Sightings]) -> list[Revocation]:
    unavailable = sum(each.unavailable for each in seen)
    return [
        Revocation(
            fault=fault,
            stale_s=tuple(max(0.0, each.admitted_s[key_id] - at_s) for each in seen),
            refused_s=tuple(each.refused_s[key_id] - at_s for each in seen),
            unavailable=unavailable,
        )
        for key_id, at_s in acknowledged_s.items()
    ]


# -- what goes wrong: each is a context around the revocations, and heals at its end -----------------------------------


@contextmanager
def stopped(nodes: list[Node], pause_s: float) -> Iterator[None]:
    """Half of the nodes are paused before the revocation and go on a while after it."""
    paused = [node.pid for node in nodes[::2]]
    # With SQLite one of them may hold the lock of writers, and then the revocation itself waits until it goes on.
    going_on = threading.Timer(pause_s, lambda: [os.kill(pid, signal.SIGCONT) for pid in paused])
    for pid in paused:
        os.kill(pid, signal.SIGSTOP)
    going_on.start()
    yield
    going_on.join()


@contextmanager
def clocks_set(nodes: list[Node], pause_s: float) -> Iterator[None]:
    """The nodes' wall clocks jump, half of them an hour ahead and half an hour back, and jump back later."""
    for number, node in enumerate(nodes):
        node.clock_ms.value = 3_600_000 if number % 2 else -3_600_000
    try:
        yield
        time.sleep(pause_s / 2)
    finally:
        for node in nodes:
            node.clock_ms.value = 0


@contextmanager
def notifications_dropped(house: KeysHouse, pause_s: float) -> Iterator[None]:
    """The revoker's notifications do not leave it."""

    def drop(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        return ("SELECT 1", {}) if "pg_notify" in statement else (statement, parameters)

    event.listen(house.engine, "before_cursor_execute", drop, retval=True)
    try:
        yield
        time.sleep(pause_s)
    finally:
        event.remove(house.engine, "before_cursor_execute", drop)


@contextmanager
def listeners_killed(house: KeysHouse, pause_s: float) -> Iterator[None]:
    """The sessions that listen are ended just before."""
    with reading(house.engine) as connection:
        connection.execute(KILL_LISTENERS)
    yield
    time.sleep(pause_s / 4)


@contextmanager
def database_hangs(house: KeysHouse, cluster: Any, pause_s: float) -> Iterator[None]:
    """No notification leaves, and right after the revocation the whole database server stands still."""
    with notifications_dropped(house, 0):
        yield
    pids = _server_pids(cluster)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(pause_s)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def database_dies(house: KeysHouse, cluster: Any, pause_s: float) -> Iterator[None]:
    """No notification leaves, and right after the revocation the database server is killed; later it is started."""
    with notifications_dropped(house, 0):
        yield
    cluster.stop()
    time.sleep(pause_s)
    cluster.launch()


@contextmanager
def file_moved_away(house: KeysHouse, pause_s: float) -> Iterator[None]:
    """SQLite's file is not at its place for a while."""
    path = str(house.engine.url.database)
    yield
    os.rename(path, path + ".away")  # noqa: PTH104 -- a path of the database's
    time.sleep(pause_s)
    os.rename(path + ".away", path)  # noqa: PTH104


def _server_pids(cluster: Any) -> list[int]:
    """The postmaster and all of its children."""
    postmaster = int((cluster.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
    listed = subprocess.run(["pgrep", "-P", str(postmaster)], capture_output=True, text=True, check=False)
    return [postmaster, *map(int, listed.stdout.split())]
