"""One server in this process for all contract tests; every test gets an account of its own."""

import base64
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.testclient import TestClient

from logboom.keys.key import KeyKind
from logboom.server import Parts, make_server, open_parts
from logboom.settings import Settings

STORED_WITHIN_S = 20
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Tester:
    """An account with its two keys, and the server it lives on."""

    client: TestClient
    parts: Parts
    account_id: str
    ingestion_key: str
    service_key: str

    def send(self, body: Any, *, query: str = "hostname=web-1", **headers: str):
        """Post a batch; *body* is JSON or bytes."""
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return self.client.post(f"/logs/ingest?{query}", headers={"apikey": self.ingestion_key, **headers}, **content)

    def get(self, path: str, **params: Any):
        return self.client.get(path, params=params, headers={"servicekey": self.service_key})

    def lines(self, count: int, **params: Any) -> list[dict[str, Any]]:
        """The stored lines, oldest first, once there are *count* of them in the account."""
        deadline = time.monotonic() + STORED_WITHIN_S
        while (found := self.get("/api/search/count").json()["count"]) != count:
            assert time.monotonic() < deadline, f"{found} of {count} lines stored"
            time.sleep(0.01)
        return self.get("/v2/export", **{"prefer": "head", **params}).json()["lines"]

    def send_line(self, **line: Any) -> dict[str, Any]:
        """Send one line and return it as exported."""
        assert self.send({"lines": [line]}).status_code == 200
        return self.lines(1)[0]


@pytest.fixture(scope="session")
def parts_and_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Parts, TestClient]]:
    parts = open_parts(Settings(data_dir=tmp_path_factory.mktemp("server"), mill_interval_ms=10))
    with TestClient(make_server(parts), raise_server_exceptions=False) as client:
        yield parts, client


@pytest.fixture
def make_tester(parts_and_client: tuple[Parts, TestClient]) -> Callable[[], Tester]:
    """Makes fresh accounts on the one server."""
    parts, client = parts_and_client

    def make() -> Tester:
        account_id = parts.accounts.create().id
        ingestion = parts.keys.create(account_id, KeyKind.INGESTION)
        service = parts.keys.create(account_id, KeyKind.SERVICE)
        return Tester(client, parts, account_id, ingestion.value, service.value)

    return make


@pytest.fixture
def tester(make_tester: Callable[[], Tester]) -> Tester:
    return make_tester()


def basic(user: str, password: str = "") -> dict[str, str]:
    """An Authorization header of HTTP Basic."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
