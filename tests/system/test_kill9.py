"""A 200 means durable: `kill -9` at any moment of the load loses no acknowledged line and doubles none.

Twenty times over, four senders load the server, it is killed, and started again on the same folder. A line whose answer
never came may be there or not, but never twice: nobody sends it again.
"""

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from running_server import RunningServer, body_of, wait_until

KILLS = 20
SENDERS = 4
LINES_PER_BATCH = 50
BATCHES_PER_SENDER_MAX = 40  # bounds the load of one round, whatever the machine's speed
LIFE_BEFORE_KILL_S = (0.05, 0.8)


@dataclass
class Sender:
    """One connection that sends numbered batches until the server dies, and remembers which were acknowledged."""

    name: str
    port: int
    key: str
    sent: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            for number in range(BATCHES_PER_SENDER_MAX):
                self.send_batch(connection, number)
        except (OSError, http.client.HTTPException):
            pass  # the server was killed, as intended
        finally:
            connection.close()

    def send_batch(self, connection: http.client.HTTPConnection, number: int) -> None:
        texts = [f"{self.name}x{number * LINES_PER_BATCH + position}" for position in range(LINES_PER_BATCH)]
        self.sent += texts
        body = body_of([{"line": text, "app": "kill"} for text in texts])
        headers = {"apikey": self.key, "Content-Type": "application/json"}
        connection.request("POST", f"/logs/ingest?hostname={self.name}", body, headers)
        answer = connection.getresponse()
        if answer.status == http.client.OK and json.loads(answer.read())["status"] == "ok":
            self.acknowledged += texts


def load_and_kill(server: RunningServer, round_number: int, chance: random.Random) -> list[Sender]:
    """Four senders, a kill in the middle of what they do, and the record of what they were told."""
    senders = [Sender(f"r{round_number}s{number}", server.port, server.ingestion_key) for number in range(SENDERS)]
    threads = [threading.Thread(target=sender.run) for sender in senders]
    for thread in threads:
        thread.start()
    kill_at = time.monotonic() + chance.uniform(*LIFE_BEFORE_KILL_S)
    wait_until(
        lambda: time.monotonic() >= kill_at or not any(thread.is_alive() for thread in threads),
        what="the moment of the kill",
    )
    server.kill_9()
    for thread in threads:
        thread.join()
    return senders


def differences(server: RunningServer, acknowledged: set[str], sent: set[str]) -> dict[str, list[str]]:
    """What is wrong with the lines that the server holds: lost, doubled, or never sent."""
    found = Counter(line["_line"] for line in server.export("app:kill"))
    wrong = {
        "lost": sorted(acknowledged - set(found)),
        "doubled": sorted(text for text, times in found.items() if times > 1),
        "unknown": sorted(set(found) - sent),
    }
    return {name: texts[:5] for name, texts in wrong.items() if texts}


@pytest.mark.timeout(300)
def test_kill_9_under_load(new_server: Callable[..., RunningServer]) -> None:
    server = new_server()
    server.start()
    chance = random.Random(9)  # noqa: S311 - moments to kill at, no keys
    acknowledged: set[str] = set()
    sent: set[str] = set()
    for number in range(KILLS):
        senders = load_and_kill(server, number, chance)
        acknowledged.update(text for sender in senders for text in sender.acknowledged)
        sent.update(text for sender in senders for text in sender.sent)
        server.start()
        server.wait_for_count(len(acknowledged), "app:kill")
        assert (number, differences(server, acknowledged, sent)) == (number, {})
    assert len(acknowledged) > KILLS * LINES_PER_BATCH
