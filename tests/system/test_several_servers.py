"""Several real servers on one database, each with its own line store: one account, one set of keys, one limit."""

import secrets
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from running_server import RunningServer

SERVERS = 3
BATCH = [{"line": "hello", "app": "several"}]
PATIENCE_S = 10


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def servers(tmp_path_factory, request):
    """Servers that were started at the same moment on an empty database."""
    folder = tmp_path_factory.mktemp("several")
    url = f"sqlite:///{folder / 'control.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_cluster").create_database()
    keys = {"ingestion_key": secrets.token_hex(16), "service_key": secrets.token_hex(16)}
    variables = {"LOGBOOM_DATABASE_URL": url, "LOGBOOM_MASTER_SECRET": secrets.token_hex(32)}
    made = [RunningServer(folder / f"server{number}", variables=variables, **keys) for number in range(SERVERS)]
    with ThreadPoolExecutor(SERVERS) as pool:
        list(pool.map(RunningServer.start, made))
    yield made
    for server in made:
        server.kill_9()


def create(server, kind="ingestion"):
    answer = server.request("POST", "/api/keys", key=server.service_key, json={"type": kind})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_servers_that_start_together_are_one_installation(servers):
    assert [server.send(BATCH).status_code for server in servers] == [200] * SERVERS
    listed = [server.request("GET", "/api/keys", key=server.service_key).json()["keys"] for server in servers]
    for key in (key for keys in listed for key in keys):
        del key["last_used_ms"]  # others hear of it some seconds later
    assert [len(keys) for keys in listed] == [2] * SERVERS
    # When they were last used is told within ten seconds, by each server when it comes to it.
    told = [[{**key, "last_used_ms": None} for key in keys] for keys in listed]
    assert told[0] == told[1] == told[2]


def test_what_one_server_does_holds_at_once_on_all(servers):
    for _ in range(10):
        made = create(servers[0])
        assert [server.send(BATCH, key=made["value"]).status_code for server in servers] == [200] * SERVERS
        path = f"/api/keys/{made['id']}"
        gone = servers[1].request("DELETE", path + "?wait=1", key=servers[1].service_key).json()
        assert (gone["seen"]["all"], len(gone["seen"]["servers"]), gone["seen"]["missing"]) == (True, SERVERS, [])
        assert [server.send(BATCH, key=made["value"]).status_code for server in servers] == [403] * SERVERS


def test_a_server_that_was_killed_is_not_waited_for_long(servers):
    made = create(servers[0])
    servers[2].process.send_signal(19)  # SIGSTOP: it lives and says nothing
    try:
        path = f"/api/keys/{made['id']}/disable?wait=1"
        seen = servers[0].request("POST", path, key=servers[0].service_key).json()["seen"]
    finally:
        servers[2].process.send_signal(18)
    assert (seen["all"], len(seen["servers"]), len(seen["missing"])) == (False, SERVERS - 1, 1)
    assert seen["waited_ms"] < PATIENCE_S * 1000
    assert servers[2].send(BATCH, key=made["value"]).status_code == 403


def test_the_limit_is_one_for_all(servers):
    def create_one(number):
        server = servers[number % SERVERS]
        return server.request("POST", "/api/keys", key=server.service_key, json={"type": "ingestion"}).status_code

    listed = servers[0].request("GET", "/api/keys?type=ingestion", key=servers[0].service_key).json()["keys"]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(create_one, range(36)))
    free = 10 - len(listed)
    assert (answers.count(200), answers.count(400)) == (free, 36 - free)


def read_slowly(server, value, after_first_chunk):
    """How many bytes of an export come, and whether it ended as a whole one ends."""
    received = 0
    with httpx2.Client(base_url=server.url, headers={"servicekey": value}, timeout=30) as client:
        try:
            with client.stream("GET", "/v1/export", params=server.bounds("app:stream")) as answer:
                for chunk in answer.iter_raw(65_536):
                    if not received:
                        after_first_chunk()
                    received += len(chunk)
        except httpx2.TransportError:
            return received, False
    return received, True


def test_a_stream_ends_when_its_key_does(servers):
    """An export is read slowly; the key that opened it is deleted on another server meanwhile."""
    reading, other = servers[0], servers[1]
    line = "x" * 8_000
    for _ in range(10):
        assert reading.send([{"line": line, "app": "stream"} for _ in range(500)]).status_code == 200
    reading.wait_for_count(5_000, "app:stream")
    reader = create(other, "service")

    def delete():
        gone = other.request("DELETE", f"/api/keys/{reader['id']}?wait=1", key=other.service_key)
        assert gone.json()["seen"]["all"]

    assert read_slowly(reading, reading.service_key, lambda: None)[1]
    received, is_whole = read_slowly(reading, reader["value"], delete)
    assert not is_whole
    assert 0 < received < 5_000 * len(line)
