"""`kill -9` at any moment while keys change: every acknowledged change has its event, and no event lacks its change.

Real servers on both databases. A change that was in flight when the server died may have happened or not; its event
tells which. The chain is whole after every kill, and every event has become one line, no more and no less.
"""

import http.client
import json
import random
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from running_server import RunningServer, wait_until

KILLS = 3
WORKERS = 4
LIFE_BEFORE_KILL_S = (0.05, 0.6)
# What may follow in each state of a key: the last word of the address, the event, and the state after it.
CHANGES = {
    "active": [
        ("", "key.changed", "active"),
        ("/rotate", "key.rotated", "active"),
        ("/hold", "key.held", "held"),
        ("/disable", "key.disabled", "disabled"),
    ],
    "held": [("/release", "key.released", "active")],
    "disabled": [("/enable", "key.enabled", "active")],
}
CHANGES_OF_ONE_KEY = 8


@dataclass
class Ledger:
    """What the servers have acknowledged: the events that each key must have, in their order."""

    events: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def settle(self, told: dict[str, list[str]], in_flight: list[tuple[str, str]]) -> None:
        """Compare with what the audit log tells, which decides about what was in flight."""
        doubtful = Counter(in_flight)
        for key_id, events in told.items():
            for event in events[len(self.events[key_id]) :]:
                known_id = "" if event == "key.created" else key_id
                assert doubtful[known_id, event] > 0, f"{event} of {key_id} was never asked for"
                doubtful[known_id, event] -= 1
                self.events[key_id].append(event)
        assert {key_id: events for key_id, events in self.events.items() if events} == told


@dataclass
class Worker:
    """One connection that gives keys their lives until the server dies."""

    server: RunningServer
    ledger: Ledger
    chance: random.Random
    in_flight: tuple[str, str] | None = None
    refused: list[str] = field(default_factory=list)

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        try:
            while True:
                self.live(connection)
        except (OSError, http.client.HTTPException):
            pass  # the server was killed, as intended
        finally:
            connection.close()

    def live(self, connection: http.client.HTTPConnection) -> None:
        created = self.ask(connection, "POST", "", "key.created", body={"type": "ingestion"})
        key_id, state = created["id"], "active"
        for number in range(self.chance.randrange(CHANGES_OF_ONE_KEY)):
            word, event, state = self.chance.choice(CHANGES[state])
            method, body = ("POST", {}) if word else ("PATCH", {"note": str(number)})
            self.ask(connection, method, word, event, key_id=key_id, body=body)
        self.ask(connection, "DELETE", "", "key.deleted", key_id=key_id)

    def ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        word: str,
        event: str,
        *,
        key_id: str = "",
        body: object = None,
    ) -> dict[str, Any]:
        self.in_flight = (key_id, event)
        path = f"/api/keys/{key_id}{word}" if key_id else "/api/keys"
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"servicekey": self.server.service_key})
        answer = connection.getresponse()
        found: dict[str, Any] = json.loads(answer.read())
        if answer.status != http.client.OK:
            self.refused.append(f"{method} {path}: {answer.status} {found}")
            raise OSError
        self.ledger.events[found["id"]].append(event)
        self.in_flight = None
        return found


def change_and_kill(server: RunningServer, ledger: Ledger, chance: random.Random) -> list[tuple[str, str]]:
    """Workers, and a kill in the middle of what they do; what was in flight then."""
    seeds = [chance.random() for _ in range(WORKERS)]
    workers = [Worker(server, ledger, random.Random(seed)) for seed in seeds]  # noqa: S311 -- moments of a test
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    kill_at = time.monotonic() + chance.uniform(*LIFE_BEFORE_KILL_S)
    wait_until(lambda: time.monotonic() >= kill_at, what="the moment of the kill")
    server.kill_9()
    for thread in threads:
        thread.join()
    assert [text for worker in workers for text in worker.refused] == []
    return [worker.in_flight for worker in workers if worker.in_flight]


def ask(server: RunningServer, path: str, method: str = "GET", **parameters: str) -> Any:
    answer = server.request(method, path, key=server.service_key, params=parameters)
    assert answer.status_code == http.client.OK, answer.text
    return answer.json()


def every_event(server: RunningServer) -> list[dict[str, Any]]:
    events, following = [], "0"
    while following:
        page = ask(server, "/api/audit", prefer="head", after=following)
        events += page["events"]
        following = page["next"] and str(page["next"])
    return events


def told_of_keys(events: list[dict[str, Any]]) -> dict[str, list[str]]:
    told = defaultdict(list)
    for event in events:
        if event["actor"]["kind"] == "service_key" and event["subject"]["kind"] == "key":
            told[event["subject"]["id"]].append(event["action"])
    return told


def delete_leftovers(server: RunningServer, ledger: Ledger) -> None:
    """A key whose life was cut off would keep its slot."""
    for key in ask(server, "/api/keys", type="ingestion")["keys"]:
        if key["created_by"]:
            ask(server, f"/api/keys/{key['id']}", "DELETE")
            ledger.events[key["id"]].append("key.deleted")


def test_every_change_has_its_event_and_every_event_its_line(new_server, database_url):
    ledger, chance = Ledger(), random.Random(5)  # noqa: S311 -- moments of a test
    server = new_server(variables={"LOGBOOM_DATABASE_URL": database_url})
    server.start()
    wanted = server.request("PATCH", "/api/keys/policy", key=server.service_key, json={"audit_lines": True})
    assert wanted.status_code == http.client.OK, wanted.text
    for _ in range(KILLS):
        in_flight = change_and_kill(server, ledger, chance)
        server.start()
        assert ask(server, "/api/audit/verify")["ok"] is True
        ledger.settle(told_of_keys(every_event(server)), in_flight)
        delete_leftovers(server, ledger)
    events = every_event(server)
    ledger.settle(told_of_keys(events), [])
    assert len(events) > KILLS * WORKERS
    lines = server.export_when(len(events), "app:logboom-audit")
    assert sorted(json.loads(line["_line"])["seq"] for line in lines) == [event["seq"] for event in events]
    assert server.output().count('"audit.head"') >= KILLS + 1
