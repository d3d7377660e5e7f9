"""Unmodified clients find their lines again: PyPI `logdna`, npm `@logdna/logger`, and curl.

The ways to point each client at another server are those of its own documentation; nothing in it is patched.
"""

import base64
import json
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from running_server import RunningServer
from surroundings import program

CLIENT_TIMEOUT_S = 120

NODE_SENDER = """
const {createLogger} = require('@logdna/logger')
const order = JSON.parse(require('fs').readFileSync(0))
const logger = createLogger(order.key, {url: order.url, hostname: 'node-host', tags: 'web,blue', ...order.options})
logger.on('error', (error) => { console.error(error); process.exit(1) })
logger.on('cleared', () => process.exit(0))
for (const [text, options] of order.lines) {
  order.agent ? logger.agentLog({line: text, ...options}) : logger.log(text, options)
}
"""


def run_client(command: list[str | Path], order: dict[str, object], *, folder: Path | None = None) -> str:
    """Run a sender, its order on standard input. Returns what it printed."""
    done = subprocess.run(
        command,
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=CLIENT_TIMEOUT_S,
        check=False,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def only_line(server: RunningServer, mark: str) -> dict[str, object]:
    """The one line that holds *mark*."""
    lines = server.export_when(1, mark)
    assert len(lines) == 1, lines
    return lines[0]


@pytest.fixture
def mark() -> str:
    """A word that no other test's lines have."""
    return "mark" + secrets.token_hex(8)


PYTHON_OPTIONS = [
    pytest.param({"index_meta": True}, id="meta as an object"),
    pytest.param({}, id="meta as text"),
]


@pytest.mark.parametrize("options", PYTHON_OPTIONS)
def test_python_client(module_server: RunningServer, mark: str, options: dict[str, object]) -> None:
    line = [f"Order {mark} is late", {"app": "cart", "level": "FATAL", "env": "staging"}]
    order = {
        "url": f"{module_server.url}/logs/ingest",
        "key": module_server.ingestion_key,
        "options": {"hostname": "python-host", "tags": ["web", "blue"], **options},
        "lines": [line],
    }
    run_client([sys.executable, Path(__file__).with_name("python_sender.py")], order)
    found = only_line(module_server, mark)
    assert (found["_line"], found["_host"], found["_app"], found["_env"]) == (line[0], "python-host", "cart", "staging")
    assert (str(found["level"]).upper(), found["_tag"]) == ("FATAL", ["web", "blue"])
    assert module_server.count(f"{mark} meta.name:sender") == 1


NODE_CASES = [
    pytest.param({"options": {}}, id="meta as text"),
    pytest.param({"options": {"indexMeta": True}}, id="meta as an object"),
    pytest.param({"options": {"payloadStructure": "agent"}, "agent": True}, id="agent form"),
    pytest.param({"options": {"payloadStructure": "agent", "compress": True}, "agent": True}, id="agent form, gzip"),
]


@pytest.mark.parametrize("case", NODE_CASES)
def test_node_client(module_server: RunningServer, node_folder: Path, mark: str, case: dict[str, object]) -> None:
    is_agent = bool(case.get("agent"))
    options = {"f": "/var/log/cart.log"} if is_agent else {"app": "cart", "level": "WARN", "meta": {"order": {"id": 7}}}
    path = "/logs/agent" if is_agent else "/logs/ingest"
    order = {
        "url": module_server.url + path,
        "key": module_server.ingestion_key,
        "lines": [[f"Order {mark} is late", options]],
    }
    run_client([program("node"), "-e", NODE_SENDER], order | case, folder=node_folder)
    found = only_line(module_server, mark)
    assert (found["_line"], found["_host"], found["_tag"]) == (f"Order {mark} is late", "node-host", ["web", "blue"])
    if is_agent:
        assert found["_file"] == "/var/log/cart.log"
    else:
        assert (found["_app"], str(found["level"]).upper()) == ("cart", "WARN")
        assert module_server.count(f"{mark} meta.order.id:7") == 1


def basic(user: str, password: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


CURL_CARRIERS = [
    pytest.param(lambda key: ["-u", f"{key}:"], id="basic, key as user"),
    pytest.param(lambda key: ["-u", f"username:{key}"], id="basic, key as password"),
    pytest.param(lambda key: ["-H", f"apikey: {key}"], id="header"),
    pytest.param(lambda key: ["-H", f"apiKey: {key}"], id="header in the Node client's case"),
    pytest.param(lambda key: ["-H", basic(key, "")], id="basic written out"),
    pytest.param(lambda key: ["--url-query", f"apikey={key}"], id="query"),
]


@pytest.mark.parametrize("carrier", CURL_CARRIERS)
def test_curl(module_server: RunningServer, mark: str, carrier: Callable[[str], list[str]]) -> None:
    body = {"lines": [{"line": f"Order {mark} is late", "app": "cart", "level": "error", "meta": {"order": {"id": 7}}}]}
    address = f"{module_server.url}/logs/ingest?hostname=curl-host&tags=web,blue"
    command = [program("curl"), "-sS", "--fail-with-body", *carrier(module_server.ingestion_key)]
    answer = run_client([*command, "-H", "Content-Type: application/json", "-d", "@-", address], body)
    assert json.loads(answer)["status"] == "ok"
    found = only_line(module_server, mark)
    assert (found["_line"], found["_host"], found["_app"]) == (f"Order {mark} is late", "curl-host", "cart")
    assert (str(found["level"]).upper(), found["_tag"]) == ("ERROR", ["web", "blue"])
    assert module_server.count(f"{mark} meta.order.id:7") == 1
