"""Fixtures of the tests of the commands: a stand-in of the server, and bytes on stdin."""

import threading

import pytest
from cli_wire import OURS, Wire


@pytest.fixture
def wire(monkeypatch):
    with Wire() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("LOGBOOM_URL", server.url)
        monkeypatch.setenv("LOGBOOM_SERVICE_KEY", OURS)
        monkeypatch.setenv("LOGBOOM_INGESTION_KEY", OURS)
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def stdin(tmp_path, monkeypatch):
    """Puts bytes on stdin, as a file there."""
    opened = []

    def put(content):
        path = tmp_path / "stdin"
        path.write_bytes(content)
        file = path.open(encoding="utf-8")
        opened.append(file)
        monkeypatch.setattr("sys.stdin", file)

    yield put
    for file in opened:
        file.close()
