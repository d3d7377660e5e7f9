"""Fixtures of the system tests: real server processes, each on its own port and data folder."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_server import RunningServer
from surroundings import IS_CI, missing, program, shared_folder

NODE_CLIENT = "@logdna/logger@2.6.13"
INSTALL_TIMEOUT_S = 300


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A fresh server for one test."""
    running = RunningServer(tmp_path / "server")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def module_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that the tests of one module share; each test marks its own lines."""
    running = RunningServer(tmp_path_factory.mktemp("server"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Callable[..., RunningServer]]:
    """Makes servers that the test starts itself; all of them are ended with the test."""
    made: list[RunningServer] = []

    def make(folder: str = "server", **options: object) -> RunningServer:
        made.append(RunningServer(tmp_path / folder, **options))
        return made[-1]

    yield make
    for running in made:
        running.kill_9()


@pytest.fixture(scope="session")
def loghub() -> Path:
    """Real log lines, in one folder for each system that wrote them."""
    return shared_folder("data/loghub")


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Recorded requests of real clients, one JSON file for each client and case."""
    return shared_folder("fixtures")


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the Node client in it, kept between runs in the user's cache folder."""
    npm = program("npm")
    program("node")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "logboom-tests" / "node"
    folder = cache if not IS_CI else tmp_path_factory.mktemp("node")
    if not (folder / "node_modules" / "@logdna" / "logger").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        install = [npm, "install", "--no-audit", "--no-fund", "--prefix", folder, NODE_CLIENT]
        done = subprocess.run(install, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
        if done.returncode != 0:
            missing(f"the npm package {NODE_CLIENT}")
    return folder
