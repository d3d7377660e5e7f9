"""What the tests of secrets share: the operator's commands, senders that never stop, and many keys at once."""

import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from running_server import LOGBOOM, RunningServer

from logboom.accounts.repository import AccountRepository
from logboom.database.engine import open_database
from logboom.keys.change import SYSTEM
from logboom.keys.key import KeyKind, NewKey, Reveal
from logboom.keys.keyring import Keyring
from logboom.keys.keys import Keys
from logboom.keys.master_secret import open_vault
from logboom.keys.repository import KeyRepository
from logboom.settings import Settings

COMMAND_TIMEOUT_S = 120
BODY = b'{"lines":[{"line":"steady"}]}'


def operate(server: RunningServer, *arguments: str, code: int = 0) -> str:
    """Run `logboom secrets` at the server's machine; what it printed."""
    done = subprocess.run(
        [LOGBOOM, "secrets", *arguments],
        env=server.environment(),
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "Traceback" not in said
    return said


def kill_after(server: RunningServer, rows: int, *arguments: str) -> bool:
    """Run a command and kill it -9 when it has said that many rows. Whether it was killed before its end."""
    command = subprocess.Popen(
        [LOGBOOM, "secrets", *arguments], env=server.environment(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    assert command.stderr is not None
    with command.stderr as said:
        for _ in range(rows):
            if not said.readline():
                break
        command.kill()
    return command.wait(COMMAND_TIMEOUT_S) < 0


class Senders:
    """One thread for each server and key, which sends again and again and notes what it is answered."""

    def __init__(self, servers: list[RunningServer], keys: list[str]) -> None:
        self._stopping = threading.Event()
        self.answers: list[int] = []
        self._threads = [threading.Thread(target=self._send, args=(server, key)) for server in servers for key in keys]

    @contextmanager
    def at_work(self) -> Iterator["Senders"]:
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stopping.set()
            for thread in self._threads:
                thread.join()

    def _send(self, server: RunningServer, key: str) -> None:
        with httpx2.Client(base_url=server.url, headers={"apikey": key}, timeout=60) as client:
            while not self._stopping.is_set():
                answer = client.post("/logs/ingest?hostname=steady", content=BODY)
                self.answers.append(answer.status_code)
                self._stopping.wait(0.005)


def create_key(server: RunningServer, kind: str = "ingestion", **members: str) -> dict[str, str]:
    answer = server.request("POST", "/api/keys", key=server.service_key, json={"type": kind, **members})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def send(server: RunningServer, value: str) -> int:
    return server.send([{"line": "one"}], key=value).status_code


def create_many(server: RunningServer, accounts: int, each: int = 10) -> list[str]:
    """That many accounts with ingestion keys each, made beside the server; their values."""
    settings = Settings(data_dir=server.data_dir, database_url=server.variables.get("LOGBOOM_DATABASE_URL", ""))
    engine = open_database(settings.control_plane_url)
    vault = open_vault(engine, folder=server.data_dir, given="", random_bytes=secrets.token_bytes)
    keys = Keys(KeyRepository(engine, vault), Keyring(vault), vault, now_ms=now_ms, random_hex=secrets.token_hex)
    repository = AccountRepository(engine, now_ms=now_ms, random_hex=secrets.token_hex)
    new = NewKey(kind=KeyKind.INGESTION, reveal=Reveal.ALWAYS)
    made = [
        keys.create_key(account_id, new, actor=SYSTEM).value or ""
        for account_id in [repository.create().id for _ in range(accounts)]
        for _ in range(each)
    ]
    engine.dispose()
    return made


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def secret_texts(file: Path) -> list[str]:
    """Every secret that the file holds."""
    master, *lines = file.read_text().split()
    return [master, *(line.split(":")[2] for line in lines if ":derived" not in line)]
