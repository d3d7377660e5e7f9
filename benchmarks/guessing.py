"""What it does to others when somebody guesses keys as fast as a process can: a valid client sends lines meanwhile.

A client with a valid key sends one line after the other on one connection, alone and then beside a process that sends
bad keys on four connections, in turns. Its slowest hundredth must stay below twice what it is alone. After that a
million bad values are tried against the keyring itself. `make prove-guessing` runs it, on SQLite and on PostgreSQL.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import secrets
import socket
import sys
import tempfile
import threading
import time
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path

from machine import Server, resident_mb
from measure import machine_name, percentile

import dudect
from postgresql import find_postgresql, running_cluster

LOGBOOM = Path(sys.executable).parent / "logboom"
TURNS = 4
REQUESTS_A_TURN = 1_500
GUESSES_MAX = 2_000_000  # of one connection, in one turn
CONNECTIONS = 4
BAD_VALUES = 1_000_000
KNOWN_VALUES = 300_000
GROWN_MB_MAX = 8
SLOWER_MAX = 2.0
GUESSES_PER_S_MIN = 100  # fewer are no attack
PATH = "/logs/ingest?hostname=guessing"
BODY = json.dumps({"lines": [{"line": "a line of somebody with a valid key", "app": "valid"}]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=REQUESTS_A_TURN, help="of the valid client in each turn")
    requests = parser.parse_args().requests
    print(machine_name())
    is_well = try_keyring()
    with tempfile.TemporaryDirectory(prefix="logboom-bench-") as folder:
        is_well &= try_server("SQLite", Path(folder) / "sqlite", {}, requests)
        if binaries := find_postgresql():
            with running_cluster(binaries) as cluster:
                variables = {"LOGBOOM_DATABASE_URL": cluster.create_database()}
                is_well &= try_server("PostgreSQL", Path(folder) / "postgresql", variables, requests)
    if not is_well:
        raise SystemExit("guessing does harm")


def try_keyring() -> bool:
    """Try a million bad values against a keyring that knows many. Returns whether none opened and nothing grew."""
    keyring = dudect.keyring_of([secrets.token_hex(16) for _ in range(KNOWN_VALUES)])
    bad = (secrets.token_hex(16) for _ in range(BAD_VALUES))
    before_mb, began = resident_mb(os.getpid()), time.perf_counter()
    admitted = sum(keyring.authenticate(value, 0) is not None for value in bad)
    took_us = (time.perf_counter() - began) / BAD_VALUES * 1e6
    grown_mb = resident_mb(os.getpid()) - before_mb
    print(f"  {BAD_VALUES:,} bad values against {KNOWN_VALUES:,}: {admitted} admitted, {took_us:.2f} us each", end="")
    print(f" (making them included), memory grew by {grown_mb:.1f} MB")
    return admitted == 0 and grown_mb < GROWN_MB_MAX


def try_server(name: str, folder: Path, variables: dict[str, str], requests: int) -> bool:
    """Returns whether the valid client was slowed down by less than a factor of two."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    key = secrets.token_hex(16)
    server = make_server(folder, port, key, variables)
    server.start()
    try:
        send_valid(port, key, requests // 4)  # so that the first turn is not the one that pays for the start
        alone_ms, beside_ms, guesses = take_turns(port, key, requests)
    finally:
        server.end()
    alone, beside = (percentile(took_ms, 0.99) for took_ms in (alone_ms, beside_ms))
    medians = f"median {percentile(alone_ms, 0.5):.2f} ms alone, {percentile(beside_ms, 0.5):.2f} ms beside"
    print(f"  {name}: {guesses:,.0f} guesses a second; {medians}; 99 % {alone:.2f} ms alone, {beside:.2f} ms beside")
    return beside < SLOWER_MAX * alone and guesses > GUESSES_PER_S_MIN


def take_turns(port: int, key: str, requests: int) -> tuple[list[float], list[float], float]:
    """The times of the valid client alone and beside the guesser in ms, and how many guesses a second there were."""
    alone_ms: list[float] = []
    beside_ms: list[float] = []
    guesses, guessing_s = 0, 0.0
    for _ in range(TURNS):
        alone_ms += send_valid(port, key, requests)
        ended, count = multiprocessing.Event(), multiprocessing.Value("q", 0)
        guesser = multiprocessing.Process(target=guess, args=(port, ended, count))
        guesser.start()
        while count.value < CONNECTIONS:
            time.sleep(0.01)
        began = time.perf_counter()
        beside_ms += send_valid(port, key, requests)
        guessing_s += time.perf_counter() - began
        ended.set()
        guesser.join()
        guesses += count.value
    return alone_ms, beside_ms, guesses / guessing_s


def send_valid(port: int, key: str, requests: int) -> list[float]:
    """How long each request of a valid client takes, in ms."""
    connection, took_ms = http.client.HTTPConnection("127.0.0.1", port), []
    for _ in range(requests):
        began = time.perf_counter()
        connection.request("POST", PATH, BODY, {"apikey": key, "content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        took_ms.append((time.perf_counter() - began) * 1000)
        if answer.status != http.client.OK:
            raise SystemExit(f"a valid key was answered {answer.status}")
    connection.close()
    return took_ms


def guess(port: int, ended: Event, count: Synchronized) -> None:
    """One process: send another bad key as soon as the one before is refused, on a few connections."""
    threads = [threading.Thread(target=guess_on_one, args=(port, ended, count)) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def guess_on_one(port: int, ended: Event, count: Synchronized) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\napikey: "
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(GUESSES_MAX):
            if ended.is_set():
                return
            connection.sendall(f"{head}{secrets.token_hex(16)}\r\n\r\n".encode())
            answer = b""
            while not answer.endswith(b"}"):  # the end of what a refusal says
                answer += connection.recv(65_536)
            if not answer.startswith(b"HTTP/1.1 403"):
                return  # the figure tells: too few guesses
            with count.get_lock():
                count.value += 1


def make_server(folder: Path, port: int, key: str, variables: dict[str, str]) -> Server:
    own = {
        "LOGBOOM_LISTEN": f"127.0.0.1:{port}",
        "LOGBOOM_DATA_DIR": str(folder),
        "LOGBOOM_BOOTSTRAP_OWNER_EMAIL": "owner@example.com",
        "LOGBOOM_BOOTSTRAP_OWNER_PASSWORD": secrets.token_hex(16),
        "LOGBOOM_BOOTSTRAP_INGESTION_KEY": key,
    }
    command = [str(LOGBOOM), "serve"]
    return Server(command=command, variables=own | variables, url=f"http://127.0.0.1:{port}", folder=folder)


if __name__ == "__main__":
    main()
