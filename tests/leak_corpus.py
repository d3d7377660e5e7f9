"""Lines with planted key values and lines without any, put through the redactor, and what came of it.

The benchmark of leaks and its test share this; they differ in how much they ask for.
"""

import json
import random
import secrets
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

from logboom.keys.formats import mint_value
from logboom.keys.key import KEY_ID_BYTES, Caller, KeyFormat, KeyKind
from logboom.keys.keyring import Keyring
from logboom.keys.redaction import Redactor, Source
from logboom.keys.scan import Scanner
from logboom.keys.vault import Vault
from logboom.keys.verdict import Standing
from written_forms import FORMS, HEX_FORMS

ACCOUNT_ID = "a" * 10
SOURCE = Source(account_id=ACCOUNT_ID, app="app", host="host")
BATCH_LINES = 1_000


@dataclass
class Door:
    """A redactor whose keyring holds *keys* values of one account, half of them in each format."""

    keys: int
    values: dict[str, str] = field(default_factory=dict)  # key id to value

    def __post_init__(self) -> None:
        vault = Vault(secrets.token_bytes(32), random_bytes=secrets.token_bytes)
        keyring = Keyring(vault)
        for shape in islice(cycle(KeyFormat), self.keys):
            key_id, value = secrets.token_hex(KEY_ID_BYTES), mint_value(KeyKind.INGESTION, shape, secrets.token_hex)
            caller = Caller(account_id=ACCOUNT_ID, key_id=key_id, kind=KeyKind.INGESTION)
            keyring.put(key_id, {vault.digest(value): Standing(caller=caller)}, 0)
            self.values[key_id] = value
        self.found = 0
        self.redactor = Redactor(Scanner(keyring.find_holders), self._count)

    def redact(self, lines: bytes) -> bytes:
        return self.redactor.redact_lines(lines, SOURCE)

    def _count(self, _caller: Caller, _source: Source) -> None:
        self.found += 1


def read_lines(folder: Path) -> list[str]:
    """Every line of the samples of loghub, in an order that mixes them and is always the same."""
    files = sorted(folder.glob("*/*_2k.log"))
    lines = [line for path in files for line in path.read_text(encoding="utf-8").split("\n") if line]
    random.Random(1).shuffle(lines)  # noqa: S311 -- repeatable
    return lines


def bodies(lines: Sequence[str], *, batch_lines: int = BATCH_LINES, has_trace_id: bool = False) -> list[bytes]:
    """The lines as senders send them, with a trace id of its own on each if wanted."""
    sent = [
        {"line": line, "app": "app", "level": "INFO", "timestamp": 1_700_000_000_000 + at}
        | ({"meta": {"trace_id": secrets.token_hex(16)}} if has_trace_id else {})
        for at, line in enumerate(lines)
    ]
    parts = (sent[start : start + batch_lines] for start in range(0, len(sent), batch_lines))
    return [json.dumps(part, separators=(",", ":")).encode() for part in parts]


@dataclass
class Recall:
    """How many values were planted in each form, and how many of those are gone from their line and named in it."""

    planted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    altered: int = 0  # lines of which something else is altered

    @property
    def share(self) -> float:
        return self.found.total() / self.planted.total()


def plant(door: Door, lines: Sequence[str], count: int, *, seed: int) -> Recall:
    """Plant *count* values in all forms, each in a real line at a blank of it, and redact them."""
    chance, recall = random.Random(seed), Recall()  # noqa: S311 -- repeatable
    planted = islice(_plantings(door, lines, chance), count)
    while batch := list(islice(planted, BATCH_LINES)):
        sent = [{"line": before + written + after} for _, _, before, written, after in batch]
        # Half of the senders write other letters than those of ASCII as they are.
        body = json.dumps(sent, ensure_ascii=chance.random() < 0.5).encode()
        for (form, key_id, before, _, after), line in zip(batch, json.loads(door.redact(body)), strict=True):
            text, mark = line["line"], f"[redacted key {key_id}]"
            recall.planted[form] += 1
            recall.found[form] += text.count(mark) == 1 and door.values[key_id].lower() not in text.lower()
            recall.altered += not (text.startswith(before) and text.endswith(after))
    return recall


def _plantings(door: Door, lines: Sequence[str], chance: random.Random) -> Iterator[tuple[str, str, str, str, str]]:
    key_ids = list(door.values)
    for form in cycle(FORMS | HEX_FORMS):
        key_id = chance.choice(key_ids)
        value = door.values[key_id]
        if form in HEX_FORMS and value.startswith("lb"):
            continue
        line = chance.choice(lines)
        at = line.find(" ", chance.randrange(len(line))) + 1
        written = (FORMS | HEX_FORMS)[form](value, chance)
        yield form, key_id, line[:at], written, (" " if line[at:] else "") + line[at:]


def count_false(lines: Sequence[str], *, times: int, keys: int) -> int:
    """How many batches are altered in which no value is planted, each time with other keys."""
    sent = bodies(lines)
    return sum(door.redact(body) is not body for door in (Door(keys) for _ in range(times)) for body in sent)


def cost_us(door: Door, sent: Sequence[bytes], lines: int, *, rounds: int) -> float:
    """The median of the processor time for one line, in microseconds."""
    spent = []
    for _ in range(rounds):
        began = time.thread_time_ns()
        for body in sent:
            door.redact(body)
        spent.append((time.thread_time_ns() - began) / lines / 1000)
    return statistics.median(spent)
