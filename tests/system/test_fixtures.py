"""Every recorded request that was answered 200 is accepted here, and its lines are found.

Recordings for addresses that this release does not serve are named in a table with the reason: none is forgotten.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from recording import Exchange, exchanges, send_raw
from running_server import RunningServer

PLACEHOLDER_KEY = "0123456789abcdef0123456789abcdef"  # the key in every recording
PATHS = ("/logs/ingest", "/logs/agent", "//logs/ingest")
LINE_BYTES_KEPT_MIN = 16_000  # a longer line is cut near 16 KiB and may carry a mark at its end

LEFT_OUT = {
    "/": "mezmo-cloudwatch configured without a path: no sender reaches an ingest address that way",
    "/other": "the target of the capture server's own redirects",
    "/v1/logs": "OpenTelemetry is another dialect, for a later release",
    "/otel/ingest/rest": "the OpenTelemetry exporter's dialect, for a later release",
    "/loki/api/v1/push": "Loki's dialect, for a later release",
    "/heroku/logplex": "Heroku's dialect, for a later release",
    "/vercel": "Vercel's dialect, for a later release",
    "/akamai/ingest/" + PLACEHOLDER_KEY: "Akamai's dialect, for a later release",
}


@pytest.fixture
def placeholder_server(new_server: Callable[..., RunningServer]) -> RunningServer:
    """A server whose ingestion key is the recordings' placeholder."""
    server = new_server(ingestion_key=PLACEHOLDER_KEY)
    server.start()
    return server


def answered_200(recordings: Path) -> list[Exchange]:
    return [exchange for exchange in exchanges(recordings) if exchange.status == 200]


def replayable(recordings: Path) -> list[Exchange]:
    return [found for found in answered_200(recordings) if found.path in PATHS and found.is_complete and found.has_key]


def replay(server: RunningServer, exchange: Exchange) -> tuple[int, Any]:
    address = urlsplit(server.url)
    status, body = send_raw(server.url, exchange.wire((address.hostname or "", address.port or 0)))
    return status, json.loads(body)


def test_each_recording_is_replayed_or_has_a_reason(recordings: Path) -> None:
    paths = {exchange.path for exchange in answered_200(recordings)}
    assert paths - set(PATHS) <= set(LEFT_OUT)


def test_recorded_requests_are_accepted_and_found(placeholder_server: RunningServer, recordings: Path) -> None:
    sent = replayable(recordings)
    assert len(sent) > 100
    refused = {}
    for exchange in sent:
        status, answer = replay(placeholder_server, exchange)
        if (status, answer.get("status")) != (200, "ok"):
            refused[exchange.name] = (status, answer)
    assert refused == {}

    texts = [comparable(text) for exchange in sent for text in exchange.texts()]
    found = placeholder_server.export_when(len(texts))
    assert Counter(comparable(line["_line"]) for line in found) == Counter(texts)


def comparable(text: str) -> str:
    """A line as both sides can know it: the beginning that no limit cuts, and JSON without regard to blanks."""
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = text
    if isinstance(parsed, dict) and "@version" in parsed:
        parsed = text = parsed[
            "message"
        ]  # Logstash's bare event is found by its message, with the event around it or without
    normal = json.dumps(parsed, sort_keys=True) if isinstance(parsed, dict) else text
    return normal.encode()[:LINE_BYTES_KEPT_MIN].decode(errors="ignore")


def test_metadata_of_recorded_requests(placeholder_server: RunningServer, recordings: Path) -> None:
    names = ("fluentbit-logdna-basic", "agent-v2-rust-synthetic-basic", "logdna-go-defaults")
    chosen = [exchange for exchange in replayable(recordings) if exchange.name in names]
    assert {exchange.name for exchange in chosen} == set(names)
    for exchange in chosen:
        assert replay(placeholder_server, exchange)[0] == 200
    found = placeholder_server.export_when(sum(len(exchange.texts()) for exchange in chosen))
    hosts = {line["_host"] for line in found}
    assert {"rec-host", "node-1"} <= hosts
    assert {line.get("_app") for line in found} >= {"cart"}


def test_vectors_start_up_check_is_refused_kindly(placeholder_server: RunningServer, recordings: Path) -> None:
    checks = [
        found for found in answered_200(recordings) if found.path in PATHS and not found.has_key and not found.body
    ]
    assert [found.name for found in checks] == ["vector-mezmo-synthetic-basic"]
    # Vector's check fails on 403 and 5xx only, so credentials that are missing are answered 401.
    assert replay(placeholder_server, checks[0]) == (
        401,
        {"error": "Missing Credentials", "code": "NotAuthorized", "status": "error"},
    )


def test_a_raw_blank_in_the_request_line(placeholder_server: RunningServer, recordings: Path) -> None:
    chosen = [found for found in replayable(recordings) if found.name == "fluentbit-logdna-hostname-space"]
    assert len(chosen) == 1
    assert replay(placeholder_server, chosen[0])[0] == 200
    assert [line["_line"] for line in placeholder_server.export_when(1)] == chosen[0].texts()
