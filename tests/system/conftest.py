"""Fixtures of the system tests: real server processes, each on its own port and data folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_server import RunningServer
from surroundings import shared_folder


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
