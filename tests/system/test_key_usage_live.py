"""Real servers tell of each other's senders: within ten seconds, at a stop, and exactly. Evidence: keys.md 5.8."""

import secrets
import time

import pytest
from running_server import RunningServer, wait_until

ACCURACY_S = 10.0
BATCH = [{"line": "one"}, {"line": "two"}]


@pytest.fixture(params=["sqlite", "postgresql"])
def servers(tmp_path, request):
    url = f"sqlite:///{tmp_path / 'control.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_cluster").create_database()
    keys = {"ingestion_key": secrets.token_hex(16), "service_key": secrets.token_hex(16)}
    variables = {"LOGBOOM_DATABASE_URL": url, "LOGBOOM_MASTER_SECRET": secrets.token_hex(32)}
    made = [RunningServer(tmp_path / f"server{number}", variables=variables, **keys) for number in range(2)]
    for server in made:
        server.start()
    yield made
    for server in made:
        server.kill_9()


def sender_of(server):
    listed = server.request("GET", "/api/keys?type=ingestion", key=server.service_key).json()["keys"]
    return listed[0]


def usage_of(server, key_id):
    answer = server.request("GET", f"/api/keys/{key_id}/usage", key=server.service_key)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_each_server_knows_what_the_other_was_sent(servers):
    one, other = servers
    key_id = sender_of(one)["id"]
    assert one.send(BATCH, hostname="web-1").status_code == 200
    began_s = time.monotonic()
    wait_until(lambda: sender_of(other)["last_used_ms"] is not None, what="the first use", timeout_s=ACCURACY_S)
    assert time.monotonic() - began_s < 3  # a new user is told of within a second, and this machine is shared
    for _ in range(5):
        assert one.send(BATCH, hostname="web-1").status_code == 200
        assert other.send(BATCH, hostname="web-2").status_code == 200
    wait_until(lambda: usage_of(other, key_id)["total"]["requests"] == 11, what="all uses", timeout_s=ACCURACY_S + 2)
    usage = usage_of(other, key_id)
    assert (usage["total"]["lines"], {user["host"] for user in usage["users"]}) == (22, {"web-1", "web-2"})


def test_a_server_that_stops_tells_all_that_it_knows(servers):
    one, other = servers
    key_id = sender_of(one)["id"]
    for _ in range(20):
        assert one.send(BATCH).status_code == 200
    assert one.stop() == 0
    assert usage_of(other, key_id)["total"] == {
        "requests": 20,
        "refusals": 0,
        "lines": 40,
        "bytes": 20 * len(b'{"lines":[{"line":"one"},{"line":"two"}]}'),
    }
