"""What every address has in common: errors in the wire's shape, health, metrics, and nothing of a key in the logs."""

import time

import pytest


@pytest.mark.parametrize("path", ["/", "/nope", "/v1/config/keys/a/b", "/v3/export", "/logs"])
def test_an_unknown_address_answers_in_the_wires_shape(tester, path):
    answer = tester.client.get(path)
    assert (answer.status_code, answer.json()) == (404, {"error": "Not found", "code": "NotFound", "status": "error"})


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/logs/ingest"), ("PATCH", "/v1/config/keys"), ("POST", "/v2/export")]
)
def test_a_wrong_method_answers_in_the_wires_shape(tester, method, path):
    answer = tester.client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (405, "MethodNotAllowed")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/healthz/", "http://testserver//readyz"])
def test_the_server_is_well(tester, path):
    deadline = time.monotonic() + 20
    while (answer := tester.client.get(path)).status_code == 504 and time.monotonic() < deadline:
        time.sleep(0.01)  # it is starting
    assert answer.json() == {"status": "ok"}


def test_a_head_request_is_answered_like_a_get(tester):
    assert tester.client.head("/healthz").status_code == 200


def test_metrics_count_lines_and_requests(tester):
    tester.send({"lines": [{"line": "x"}]})
    tester.lines(1)
    text = tester.client.get("/metrics").text
    figures = {row.split(" ")[0]: float(row.split(" ")[1]) for row in text.splitlines() if not row.startswith("#")}
    assert figures["logboom_accepted_lines_total"] >= figures["logboom_stored_lines_total"] > 0
    assert figures["logboom_spool_lines"] == 0
    assert 'logboom_requests_total{method="POST",route="/logs/ingest",status="200"}' in text


def test_neither_logs_nor_metrics_hold_a_key(tester, capfd):
    canary = "canary" + "0" * 26
    for path in (
        f"/logs/ingest?apikey={canary}",
        f"/{canary}",
        f"/v1/export?servicekey={canary}",
        f"/v1/config/keys/{canary}",
    ):
        tester.client.get(path, headers={"apikey": canary, "servicekey": canary})
        tester.client.post(path, headers={"apikey": canary}, json={"apikey": canary, "lines": []})
    output = capfd.readouterr()
    assert canary not in output.out + output.err + tester.client.get("/metrics").text
