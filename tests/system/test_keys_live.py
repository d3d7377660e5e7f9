"""Keys on a running server.

What is deleted is refused by the next request, what is created works at once, and no value of a key leaks.
"""

import secrets
import subprocess
import threading
from pathlib import Path

import httpx2
import pytest
from running_server import LOGBOOM, START_TIMEOUT_S, RunningServer, body_of

BATCH = [{"line": "hello", "app": "keys"}]
EXPORT = "/v2/export?from=1000000000000&to=9000000000000"


def create_key(server: RunningServer, kind: str) -> dict[str, str]:
    answer = server.request("POST", f"/v1/config/keys?type={kind}", key=server.service_key, json={"name": "extra"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def use_key(server: RunningServer, kind: str, value: str) -> int:
    """The status of one request with the key."""
    if kind == "ingestion":
        return server.send(BATCH, key=value).status_code
    return server.request("GET", EXPORT, key=value).status_code


@pytest.mark.parametrize(("kind", "refusal"), [("ingestion", 403), ("service", 401)])
def test_the_next_request_knows(module_server: RunningServer, kind: str, refusal: int) -> None:
    made = create_key(module_server, kind)
    assert use_key(module_server, kind, made["key"]) == 200
    gone = module_server.request("DELETE", f"/v1/config/keys/{made['id']}", key=module_server.service_key)
    assert (gone.status_code, gone.json()["deleted"]) == (200, True)
    assert use_key(module_server, kind, made["key"]) == refusal


def test_a_deleted_key_stays_deleted_over_a_restart(server: RunningServer) -> None:
    made = create_key(server, "ingestion")
    kept = create_key(server, "ingestion")
    server.request("DELETE", f"/v1/config/keys/{made['id']}", key=server.service_key)
    server.kill_9()
    server.start()
    assert (use_key(server, "ingestion", made["key"]), use_key(server, "ingestion", kept["key"])) == (403, 200)


def start_in_vain(variables: dict[str, str]) -> tuple[int, str]:
    """Start a server that must not start. Returns its exit code and what it said."""
    done = subprocess.run(
        [LOGBOOM, "serve"], env=variables, capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_a_second_server_on_the_same_folder(server: RunningServer, tmp_path: Path) -> None:
    second = RunningServer(tmp_path / "second", variables={"LOGBOOM_DATA_DIR": str(server.data_dir)})
    code, said = start_in_vain(second.environment())
    assert code == 1
    assert "Another Logboom server uses the data folder" in " ".join(said.split())
    assert "Traceback" not in said
    assert server.send(BATCH).status_code == 200


def test_a_wrong_master_secret(server: RunningServer) -> None:
    server.stop()
    code, said = start_in_vain(server.environment() | {"LOGBOOM_MASTER_SECRET": secrets.token_hex(32)})
    assert code == 1
    assert "master secret is not the one" in " ".join(said.split())
    assert "Traceback" not in said
    server.start()
    assert server.send(BATCH).status_code == 200


def test_a_taken_port(server: RunningServer, tmp_path: Path) -> None:
    second = RunningServer(tmp_path / "second", port=server.port)
    code, said = start_in_vain(second.environment())
    assert code == 1
    assert f"cannot listen on 127.0.0.1:{server.port}" in " ".join(said.split())


def test_graceful_stop_answers_requests_in_flight(server: RunningServer) -> None:
    bodies = [body_of([{"line": f"flight{number}x{line}"} for line in range(2_000)]) for number in range(6)]
    answers: list[int] = []
    all_sending = threading.Barrier(len(bodies) + 1)

    def send(body: bytes) -> None:
        with httpx2.Client(base_url=server.url, headers={"apikey": server.ingestion_key}, timeout=60) as client:
            client.get("/healthz")  # the connection stands before the server is told to stop
            request = client.build_request("POST", "/logs/ingest?hostname=flight", content=halves(body, all_sending))
            answers.append(client.send(request).status_code)

    threads = [threading.Thread(target=send, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    all_sending.wait()
    exit_code = server.stop()
    for thread in threads:
        thread.join()
    assert (exit_code, answers) == (0, [200] * len(bodies))
    server.start()
    server.wait_for_count(12_000, "host:flight")
    assert server.count("host:flight") == 12_000


def halves(body: bytes, all_sending: threading.Barrier):
    """The body in two pieces, the second once every sender has sent its first."""
    yield body[: len(body) // 2]
    all_sending.wait()
    yield body[len(body) // 2 :]
