"""All 32,000 real lines of loghub come back byte for byte, once each, in time order, with host, app and level.

What is compared: a line is what stands between two line feeds of a file, so most keep the carriage return that ends
them; the files are UTF-8. Each line is sent with a timestamp of its own, a millisecond after the one before, and the
whole export is compared with the whole list: once sent by the real Python client, paced to its own buffer, and once by
curl.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from running_server import RunningServer, body_of
from surroundings import program

LINES = 32_000
LINES_PER_BODY = 1_000
LEVELS = ("INFO", "WARN", "ERROR", "DEBUG")
CLIENT_TIMEOUT_S = 300


@dataclass(frozen=True)
class Sent:
    """One line as it was sent, and as it must come back."""

    at_ms: int
    host: str
    app: str
    level: str
    text: str


def sent_lines(folder: Path) -> list[Sent]:
    """Every line of every file, with a millisecond of its own in the last hour."""
    start_ms = int(time.time() * 1000) - 3_600_000
    numbers = count()
    lines = []
    for path in sorted(folder.glob("*/*_2k.log")):
        texts = path.read_bytes().decode().split("\n")
        for text in texts[:-1] if texts[-1] == "" else texts:
            number = next(numbers)
            app = path.parent.name
            lines.append(Sent(start_ms + number, f"host-{app.lower()}", app, LEVELS[number % len(LEVELS)], text))
    return lines


def found_lines(server: RunningServer) -> list[Sent]:
    return [
        Sent(line["_ts"], line["_host"], line["_app"], str(line["level"]).upper(), line["_line"])
        for line in server.export_when(LINES)
    ]


def assert_same(found: list[Sent], sent: list[Sent]) -> None:
    """Compare piece by piece first, so that a failure shows one line and not 32,000."""
    assert len(found) == len(sent)
    assert next(((was, is_now) for was, is_now in zip(sent, found, strict=True) if was != is_now), None) is None


def send_with_python(server: RunningServer, lines: list[Sent]) -> None:
    order: dict[str, Any] = {
        "url": f"{server.url}/logs/ingest",
        "key": server.ingestion_key,
        "options": {"hostname": "unused", "index_meta": False},
        "lines": [
            [line.text, {"hostname": line.host, "app": line.app, "level": line.level, "timestamp": line.at_ms}]
            for line in lines
        ],
    }
    sender = [sys.executable, Path(__file__).with_name("python_sender.py")]
    done = subprocess.run(
        sender, input=json.dumps(order), capture_output=True, text=True, timeout=CLIENT_TIMEOUT_S, check=False
    )
    # The client reports what it dropped on its standard output, and says nothing when all went well.
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def curl_bodies(lines: list[Sent]) -> Iterator[tuple[str, bytes]]:
    """Host and body of each request: a request carries one hostname."""
    for app in sorted({line.app for line in lines}):
        of_app = [line for line in lines if line.app == app]
        for start in range(0, len(of_app), LINES_PER_BODY):
            part = of_app[start : start + LINES_PER_BODY]
            body = [{"line": line.text, "app": line.app, "level": line.level, "timestamp": line.at_ms} for line in part]
            yield part[0].host, body_of(body)


def send_with_curl(server: RunningServer, lines: list[Sent]) -> None:
    for host, body in curl_bodies(lines):
        address = f"{server.url}/logs/ingest?hostname={host}"
        command = [program("curl"), "-sS", "-u", f"{server.ingestion_key}:", "--data-binary", "@-"]
        command += ["-H", "Content-Type: application/json", address]
        done = subprocess.run(command, input=body, capture_output=True, timeout=CLIENT_TIMEOUT_S, check=True)
        assert json.loads(done.stdout)["status"] == "ok"


@pytest.mark.parametrize("send", [send_with_python, send_with_curl], ids=["Python client", "curl"])
def test_every_line_comes_back(server: RunningServer, loghub: Path, send) -> None:
    lines = sent_lines(loghub)
    assert len(lines) == LINES
    send(server, lines)
    assert_same(found_lines(server), lines)
