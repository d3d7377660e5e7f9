"""The drill of docs/guide/secrets.md: everything is destroyed but a backup and the secret, and every key comes back."""

import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from custody import create_key, operate, send
from running_server import LOGBOOM, START_TIMEOUT_S, RunningServer
from sqlalchemy import make_url

NewServer = Callable[..., RunningServer]


class SqliteBackup:
    """`control.db` of a stopped server, copied."""

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}

    def take(self, server: RunningServer, vault: Path) -> None:
        server.stop()
        shutil.copy(server.data_dir / "control.db", vault / "control.db")

    def restore(self, vault: Path, server: RunningServer) -> None:
        shutil.copy(vault / "control.db", server.data_dir / "control.db")
        with sqlite3.connect(server.data_dir / "control.db") as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()


class PostgresBackup:
    """A dump of the running server's database, restored into an empty one."""

    def __init__(self, cluster, url: str) -> None:
        self._cluster, self._url = cluster, url
        self.variables = {"LOGBOOM_DATABASE_URL": url}

    def take(self, server: RunningServer, vault: Path) -> None:
        dump = self._run("pg_dump", self._url)
        (vault / "dump.sql").write_bytes(dump)
        server.stop()

    def restore(self, vault: Path, server: RunningServer) -> None:
        url = self._cluster.create_database()
        self._run("psql", url, "-q", "-v", "ON_ERROR_STOP=1", "-f", str(vault / "dump.sql"))
        server.variables["LOGBOOM_DATABASE_URL"] = url

    def _run(self, program: str, url: str, *arguments: str) -> bytes:
        where = ["-h", str(self._cluster.folder), "-U", "postgres", "-d", make_url(url).database or ""]
        command = [self._cluster.binaries / program, *where, *arguments]
        return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.fixture(params=["sqlite", "postgresql"])
def backup(request: pytest.FixtureRequest):
    if request.param == "sqlite":
        return SqliteBackup()
    return PostgresBackup(request.getfixturevalue("postgresql_cluster"), request.getfixturevalue("postgresql_url"))


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    """Where the backups are kept. In life the secret is kept elsewhere."""
    made = tmp_path / "vault"
    made.mkdir()
    return made


def start_in_vain(server: RunningServer) -> str:
    """What a server says that must not start."""
    done = subprocess.run(
        [LOGBOOM, "serve"],
        env=server.environment(),
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
        check=False,
    )
    said = " ".join((done.stdout + done.stderr).split())
    assert (done.returncode, "Traceback" in said) == (1, False), said
    return said


def test_everything_is_lost_and_comes_back(new_server: NewServer, backup, vault: Path) -> None:
    lost = new_server("lost", variables=backup.variables)
    lost.start()
    made = [create_key(lost)["value"], create_key(lost, reveal="never")["value"]]
    operate(lost, "rotate-kek")
    values = listed(lost)
    shutil.copy(lost.data_dir / "master.secret", vault / "master.secret")
    backup.take(lost, vault)
    shutil.rmtree(lost.data_dir)

    restored = new_server("restored", variables={}, ingestion_key=lost.ingestion_key, service_key=lost.service_key)
    restored.data_dir.mkdir(mode=0o700, parents=True)
    backup.restore(vault, restored)
    missing = start_in_vain(restored)
    assert "the master secret that protects them is missing. Put it back" in missing
    shutil.copy(vault / "master.secret", restored.data_dir / "master.secret")
    shown = operate(restored, "show")
    assert "missing" not in shown
    restored.start()
    assert "First start" not in restored.output()
    assert [send(restored, value) for value in (lost.ingestion_key, *made)] == [200, 200, 200]
    assert listed(restored) == values
    assert restored.request("GET", "/api/audit/verify", key=lost.service_key).json()["ok"]
    operate(restored, "rotate-pepper")
    assert send(restored, create_key(restored)["value"]) == 200


def test_what_a_server_says_to_another_secret(new_server: NewServer, backup, vault: Path) -> None:
    server = new_server("server", variables=backup.variables)
    server.start()
    file = server.data_dir / "master.secret"
    first = file.read_text()
    operate(server, "rotate-pepper")
    operate(server, "finish")
    rotated = file.read_text()
    backup.take(server, vault)
    for text, said in (
        ("0" * 64, "is not the one that this database was made with"),
        (first, "lacks version 2 of the pepper"),
        (first + f"pepper:2:{'0' * 64}", "is not the one that this database was given"),
        (first[:-5], "cannot be read"),
    ):
        file.write_text(text)
        assert said in start_in_vain(server)
    file.write_text(rotated)
    file.chmod(0o644)
    assert "can be read by others" in start_in_vain(server)
    file.chmod(0o600)
    server.start()
    assert send(server, server.ingestion_key) == 200


def listed(server: RunningServer) -> list[tuple[str, str]]:
    """Ids and values, as Terraform would read them."""
    answer = server.request("GET", "/v1/config/keys", key=server.service_key)
    return sorted((key["id"], key["key"]) for key in answer.json())
