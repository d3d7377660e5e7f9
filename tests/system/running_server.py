"""A real `logboom serve` process on a free port, as the system tests drive it.

The tests know the server only by what a stranger has: its command, its variables, its addresses and its signals.
"""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

LOGBOOM = Path(sys.executable).parent / "logboom"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
FIND_TIMEOUT_S = 60.0
PAGE_LINES = 10_000
DAY_MS = 24 * 3_600_000
POLL_INTERVAL_S = 0.02

Lines = Sequence[Mapping[str, Any]]


def free_port() -> int:
    """A loopback port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(holds: Callable[[], bool], *, what: str, timeout_s: float = FIND_TIMEOUT_S) -> None:
    """Poll *holds* until it is true. Fails with *what* was waited for when the deadline passes."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s:g} s for {what}")
        time.sleep(POLL_INTERVAL_S)


@dataclass
class RunningServer:
    """One server process and its data folder, which outlives the process."""

    folder: Path
    ingestion_key: str = field(default_factory=lambda: secrets.token_hex(16))
    service_key: str = field(default_factory=lambda: secrets.token_hex(16))
    variables: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def output_path(self) -> Path:
        """Where everything goes that the process prints, over all its starts."""
        return self.folder / "output.txt"

    def environment(self) -> dict[str, str]:
        """The process's variables: the caller's without any of ours, then the presets."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LOGBOOM_")}
        return inherited | {
            "LOGBOOM_LISTEN": f"127.0.0.1:{self.port}",
            "LOGBOOM_DATA_DIR": str(self.data_dir),
            "LOGBOOM_BOOTSTRAP_OWNER_EMAIL": "owner@example.com",
            "LOGBOOM_BOOTSTRAP_OWNER_PASSWORD": "correct horse battery staple",
            "LOGBOOM_BOOTSTRAP_INGESTION_KEY": self.ingestion_key,
            "LOGBOOM_BOOTSTRAP_SERVICE_KEY": self.service_key,
            **self.variables,
        }

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process without waiting for it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.output_path.open("ab") as output:
            self.process = subprocess.Popen([LOGBOOM, "serve"], env=self.environment(), stdout=output, stderr=output)
        return self.process

    def start(self) -> None:
        """Start the process and wait until it is ready."""
        process = self.launch()

        def is_ready() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"the server ended while starting:\n{self.output()}")
            try:
                return httpx2.get(f"{self.url}/readyz", timeout=5).status_code == httpx2.codes.OK
            except httpx2.TransportError:
                return False

        wait_until(is_ready, what="the server to be ready", timeout_s=START_TIMEOUT_S)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        return self.end(signal.SIGTERM)

    def kill_9(self) -> None:
        """SIGKILL: no chance to tidy up."""
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(number)
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        finally:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self) -> None:
        """Stop gracefully, then start on the same folder and port."""
        self.stop()
        self.start()

    def output(self) -> str:
        """All that the process has printed so far."""
        return self.output_path.read_text(errors="replace") if self.output_path.exists() else ""

    # -- what clients do ----------------------------------------------------------------------------------------------

    def request(self, method: str, path: str, *, key: str = "", **options: Any) -> httpx2.Response:
        """One request. *key* goes into the header that the path's family of keys travels in."""
        header = "apikey" if path.lstrip("/").startswith("logs/") else "servicekey"
        headers = ({header: key} if key else {}) | dict(options.pop("headers", {}))
        return httpx2.request(method, self.url + path, headers=headers, timeout=60, **options)

    def send(self, lines: Lines, *, hostname: str = "test-host", key: str = "") -> httpx2.Response:
        """One batch in Mezmo's documented form."""
        path = f"/logs/ingest?hostname={hostname}"
        return self.request("POST", path, key=key or self.ingestion_key, json={"lines": lines})

    def count(self, query: str = "") -> int:
        """How many lines match, whatever their time."""
        answer = self.request("GET", "/api/search/count", key=self.service_key, params=self.bounds(query))
        assert answer.status_code == httpx2.codes.OK, answer.text
        return int(answer.json()["count"])

    def wait_for_count(self, count: int, query: str = "") -> None:
        """Wait until exactly or more than *count* lines match; the caller compares what they are."""
        wait_until(
            lambda: self.count(query) >= count, what=f"{count} lines of {query!r}, there are {self.count(query)}"
        )

    def export(self, query: str = "", **parameters: str) -> list[dict[str, Any]]:
        """Every matching line, oldest first, by the pages of /v2/export."""
        return [line for page in self.export_pages(query, **parameters) for line in page]

    def export_pages(self, query: str = "", **parameters: str) -> Iterator[list[dict[str, Any]]]:
        wanted = {**self.bounds(query), "size": str(PAGE_LINES), "prefer": "head", **parameters}
        while True:
            answer = self.request("GET", "/v2/export", key=self.service_key, params=wanted)
            assert answer.status_code == httpx2.codes.OK, answer.text
            page = answer.json()
            yield page["lines"]
            if not page.get("pagination_id"):
                return
            wanted["pagination_id"] = page["pagination_id"]

    def export_when(self, count: int, query: str = "", **parameters: str) -> list[dict[str, Any]]:
        """Every matching line, once there are *count* of them."""
        self.wait_for_count(count, query)
        return self.export(query, **parameters)

    @staticmethod
    def bounds(query: str) -> dict[str, str]:
        """Parameters for *query* over all time that a test can have written lines in."""
        until_ms = int(time.time() * 1000) + 2 * DAY_MS
        return {"from": "1000000000000", "to": str(until_ms)} | ({"query": query} if query else {})


def body_of(lines: Lines) -> bytes:
    """The documented request body."""
    return json.dumps({"lines": lines}).encode()
