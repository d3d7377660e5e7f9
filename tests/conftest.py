"""Fixtures for every folder: the databases that the control plane may live in, each fresh and real."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from postgresql import Cluster, find_postgresql, running_cluster


@pytest.fixture(scope="session")
def postgresql_cluster() -> Iterator[Cluster]:
    binaries = find_postgresql()
    if binaries is None:
        reason = "PostgreSQL's initdb is neither on PATH nor in Debian's place for it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with running_cluster(binaries) as cluster:
        yield cluster


@pytest.fixture
def postgresql_url(postgresql_cluster: Cluster) -> str:
    """A fresh database on a real PostgreSQL server."""
    return postgresql_cluster.create_database()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'control.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database; a test that asks for it runs on both kinds."""
    return request.getfixturevalue(f"{request.param}_url")
