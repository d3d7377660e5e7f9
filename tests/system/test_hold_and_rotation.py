"""A key is held for minutes and then rotated, while unmodified clients send with it all the time: no line is lost.

Nothing in the clients is patched. Python's `logdna` gives up a batch at its third attempt, 16 s after its first. It
cannot wait for the end of a hold of minutes unless it is told to, and `retry_interval_secs` and `max_retry_attempts`
are its options for that. Node's `@logdna/logger` keeps its lines as long as it takes.
"""

import re
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_server import RunningServer, wait_until
from steady_senders import SteadySender, node_sender, python_sender
from surroundings import program

HOLD_S = 180.0
LINES_A_PHASE = 100
# Its attempts are 0, 3.5, 10, 22.5, 47, 95.5 and 192 s after the first.
PYTHON_PATIENCE = {"retry_interval_secs": 3, "max_retry_attempts": 8}
RETRY_TIMEOUT_S = 60.0

StartBoth = Callable[[str], list[SteadySender]]


@pytest.fixture
def start_both(server: RunningServer, node_folder: Path) -> Iterator[StartBoth]:
    """Starts both clients with a value of the key."""
    started: list[SteadySender] = []

    def start(value: str) -> list[SteadySender]:
        def order(**options: object) -> dict[str, object]:
            mark = "mark" + secrets.token_hex(8)
            options = {"hostname": "steady", "app": "steady", **options}
            return {"url": f"{server.url}/logs/ingest", "key": value, "mark": mark, "options": options}

        both = [python_sender(order(**PYTHON_PATIENCE)), node_sender(order(), program("node"), node_folder)]
        for sender in both:
            sender.start()
            started.append(sender)
        return both

    yield start
    for sender in started:
        sender.kill()


def ask(server: RunningServer, method: str, path: str, **options: object) -> dict[str, object]:
    answer = server.request(method, path, key=server.service_key, **options)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def figures(server: RunningServer) -> str:
    return server.request("GET", "/metrics").text


def accepted_lines(server: RunningServer) -> str:
    found = re.search(r"^logboom_accepted_lines_total .+$", figures(server), re.MULTILINE)
    assert found
    return found[0]


def refusals(server: RunningServer) -> dict[str, int]:
    """How often senders were answered with each status that is none of success."""
    rows = [
        row for row in server.request("GET", "/metrics").text.splitlines() if row.startswith("logboom_requests_total")
    ]
    counts = {row.partition('status="')[2][:3]: float(row.split()[-1]) for row in rows if "/logs/ingest" in row}
    return {status: int(count) for status, count in counts.items() if status != "200"}


def wait_for_lines(server: RunningServer, senders: list[SteadySender], *, timeout_s: float = RETRY_TIMEOUT_S) -> None:
    """Wait until each sender's newest lines arrive, a hundred of them more than there are now."""
    wanted = {sender.mark: server.count(sender.mark) + LINES_A_PHASE for sender in senders}
    for mark, count in wanted.items():
        wait_until(lambda: server.count(mark) >= count, what=f"{count} lines of {mark}", timeout_s=timeout_s)  # noqa: B023


def hold(server: RunningServer, key_id: str, senders: list[SteadySender]) -> None:
    """Hold the key for a while and release it. While it is held, no line is taken and nobody is told 4xx."""
    ask(server, "POST", f"/api/keys/{key_id}/hold", json={"for": "15m"})
    began = time.monotonic()
    wait_until(lambda: refusals(server).get("504", 0) >= len(senders), what="the clients to be told to wait")
    accepted = accepted_lines(server)
    wait_until(lambda: time.monotonic() - began >= HOLD_S, what="the hold to last", timeout_s=HOLD_S + 1)
    assert accepted_lines(server) == accepted
    assert list(refusals(server)) == ["504"]
    ask(server, "POST", f"/api/keys/{key_id}/release")


def lost_and_doubled(server: RunningServer, sender: SteadySender) -> tuple[int, int]:
    """How many of its lines are missing, and how many are there more than once, after it has sent them all."""
    sent = sender.stop()
    server.wait_for_count(sent, sender.mark)
    numbers = [int(str(line["_line"]).split()[1]) for line in server.export(sender.mark)]
    return len(set(range(sent)) - set(numbers)), len(numbers) - len(set(numbers))


def test_clients_lose_no_line_by_a_hold_nor_by_a_rotation(server: RunningServer, start_both: StartBoth) -> None:
    key = ask(server, "POST", "/api/keys", json={"type": "ingestion", "name": "steady"})
    key_id, first_value = str(key["id"]), str(key["value"])
    senders = start_both(first_value)
    wait_for_lines(server, senders)
    assert refusals(server) == {}
    hold(server, key_id, senders)
    wait_for_lines(server, senders)
    told_to_wait = refusals(server)

    rotated = ask(server, "POST", f"/api/keys/{key_id}/rotate", json={"overlap": "24h"})
    wait_for_lines(server, senders)
    successors = start_both(str(rotated["value"]))
    wait_for_lines(server, successors)
    results = [lost_and_doubled(server, sender) for sender in (*senders, *successors)]
    assert refusals(server) == told_to_wait
    print("lines lost and lines sent twice, by client:", results)  # noqa: T201 -- a client may send twice, if it must
    assert [lost for lost, _ in results] == [0] * len(results)

    ask(server, "POST", f"/api/keys/{key_id}/end-overlap")
    assert server.send([{"line": "late"}], key=first_value).status_code == 403
