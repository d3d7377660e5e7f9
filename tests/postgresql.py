"""A PostgreSQL server of our own, for as long as tests or a benchmark need one."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg

DEBIAN_POSTGRESQL = "/usr/lib/postgresql"


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL server of the tests, reached by a Unix socket in *folder*, so that no port can be taken."""

    binaries: Path
    folder: Path

    def start(self) -> None:
        self._run("initdb", "-D", self.folder / "data", "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8")
        self.launch()

    def launch(self) -> None:
        """Start it again, as it is."""
        settings = f"-c listen_addresses='' -c fsync=off -c max_connections=100 -k {self.folder}"
        self._run("pg_ctl", "-D", self.folder / "data", "-l", self.folder / "log", "-w", "-o", settings, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "-w", "stop")

    def create_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{uuid4().hex}"
        with psycopg.connect(f"host={self.folder} user=postgres dbname=postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def _run(self, program: str, *arguments: str | Path) -> None:
        user = _unprivileged_user()
        become = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        command = [self.binaries / program, *arguments]
        subprocess.run(
            command, check=True, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **become
        )


@contextmanager
def running_cluster(binaries: Path) -> Iterator[Cluster]:
    """A server in a folder of its own, stopped and removed at the end."""
    # Not below pytest's own folder: that one is closed to the user that the server runs as.
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        if user := _unprivileged_user():
            os.chown(folder, user.pw_uid, user.pw_gid)
        cluster = Cluster(binaries, Path(folder))
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()


def find_postgresql() -> Path | None:
    """The folder of initdb and pg_ctl, where there is one."""
    on_path = shutil.which("initdb")
    places = [Path(on_path).resolve().parent] if on_path else []
    places += sorted(Path(DEBIAN_POSTGRESQL).glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()), None)


def _unprivileged_user() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root; Debian's package makes a user for it, and `nobody` is everywhere."""
    if os.geteuid() != 0:
        return None
    by_name = {user.pw_name: user for user in pwd.getpwall()}
    return by_name.get("postgres") or by_name["nobody"]
