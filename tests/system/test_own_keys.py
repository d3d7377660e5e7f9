"""Our own values in lines of a real server: on no disk, in no output, in no answer; and real lines stay as they are."""

import base64
import json
import time
from pathlib import Path

import pytest
from running_server import RunningServer, wait_until

from leak_corpus import Door, bodies, cost_us, count_false, plant, read_lines

PLANTED = 8_000
TIMES = 3
# Parsing the same lines costs about as much as looking through them when each has a trace id.
COST_IN_PARSING_MAX = 2.0


@pytest.fixture(scope="module")
def lines(loghub: Path) -> list[str]:
    return read_lines(loghub)


def test_every_planted_value_is_found_and_nothing_else_is_altered(lines: list[str]) -> None:
    recall = plant(Door(100), lines, PLANTED, seed=time.time_ns())
    assert (recall.planted - recall.found, recall.altered) == ({}, 0)
    assert recall.planted.total() == PLANTED


def test_no_real_line_is_redacted(lines: list[str]) -> None:
    assert count_false(lines, times=TIMES, keys=100) == 0


@pytest.mark.parametrize("has_trace_id", [False, True], ids=["plain", "trace id"])
def test_looking_through_lines_costs_no_more_than_parsing_them(lines: list[str], *, has_trace_id: bool) -> None:
    some = lines[:8_000]
    sent = bodies(some, has_trace_id=has_trace_id)

    def parse_all_us() -> float:
        began = time.thread_time_ns()
        for body in sent:
            json.loads(body)
        return (time.thread_time_ns() - began) / len(some) / 1000

    door = Door(1_000)
    assert min(cost_us(door, sent, len(some), rounds=1) / parse_all_us() for _ in range(9)) < COST_IN_PARSING_MAX


def written_forms(value: str) -> list[str]:
    return [
        value,
        value.upper(),
        base64.b64encode(f"{value}:".encode()).decode(),
        "".join(f"%{ord(character):02x}" for character in value),
    ]


def test_a_value_in_lines_reaches_no_disk_and_no_output(server: RunningServer) -> None:
    keys = (server.ingestion_key, server.service_key)
    texts = [
        f"apikey={keys[0]}",
        f"auth={keys[1].upper()}",
        "Authorization: Basic " + base64.b64encode(f"{keys[0]}:".encode()).decode(),
        "q=" + "".join(f"%{ord(character):02x}" for character in keys[1]),
        json.dumps({"headers": {"servicekey": keys[1]}}),
    ]
    answer = server.send([{"line": text, "app": "leaky"} for text in texts], hostname=f"host-{keys[0]}")
    assert answer.status_code == 200
    found = server.export_when(len(texts))
    assert [line["_line"].count("[redacted key ") for line in found] == [1] * len(texts)
    wait_until(lambda: len(leaked(server)) == 2, what="both keys to be told of")
    server.stop()
    files = [path for path in server.folder.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"control.db", "spool.db", "output.txt"}
    forms = [form.encode() for key in keys for form in written_forms(key)]
    assert [path.name for path in files if any(form in path.read_bytes() for form in forms)] == []
    assert "key.leaked" in server.output()


def leaked(server: RunningServer) -> set[str]:
    answer = server.request("GET", "/api/audit?action=key.leaked", key=server.service_key)
    assert answer.status_code == 200, answer.text
    return {event["subject"]["id"] for event in answer.json()["events"]}
