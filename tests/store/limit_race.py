"""Many processes that want more keys than an account may have: a test of seconds and a benchmark of minutes share it.

Every change is counted within its own transaction, after the audit log's head has been locked: whoever holds that lock
sees everything that was committed before, so no key above the limit escapes, however short it lived.
"""

import multiprocessing
import random
import traceback
from collections import Counter
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import ForkServerContext

from audit_house import make_records, open_audit_log
from keys_house import open_keys_house
from sqlalchemy import func, select

from logboom.database.tables import keys
from logboom.errors import KeyLimitReached, KeyStateConflict, NotFound, Unavailable
from logboom.keys.change import SYSTEM
from logboom.keys.key import KeyKind

PROCESSES = 40
PATIENCE_S = 1_800
FILL_TRIES_MAX = 1_000
CHANGES_PER_100 = 6  # in a round of changes; all else are attempts to create a key
IMPORTS = ["psycopg", "sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.dialects.sqlite.pysqlite"]
IMPORTS += ["keys_house", "audit_house", "logboom.records"]


@dataclass(frozen=True)
class Round:
    """One account that all processes turn to at once. With *is_changing* they delete, disable and enable as well."""

    account_id: str
    kind: KeyKind
    before: int
    is_changing: bool


@dataclass(frozen=True)
class Outcome:
    """What all processes together did, and the most keys that any transaction has seen, by kind."""

    counts: Counter[str]
    most: dict[KeyKind, int]


def race_for_slots(url: str, *, rounds: int, attempts: int) -> tuple[list[Round], Outcome]:
    """Let PROCESSES processes try *attempts* times each in every one of *rounds*."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTS)
    planned = _plan_rounds(url, rounds)
    return planned, _run_processes(context, url, planned, attempts)


def live_keys(url: str, planned: Round) -> int:
    """How many keys of the round's kind the account has now."""
    house = open_keys_house(url)
    count = len(house.keys.list_keys(planned.account_id, planned.kind))
    house.engine.dispose()
    return count


def _plan_rounds(url: str, rounds: int) -> list[Round]:
    """Accounts that are empty, half full, one below the limit, or full, of either kind, with changes or without."""
    house = open_keys_house(url)
    planned = []
    for number in range(rounds):
        kind = list(KeyKind)[number % 2]
        is_changing = number % 4 >= 2
        before = (kind.keys_max, 0, kind.keys_max - 1, kind.keys_max // 2)[(number + number // 4) % 4]
        account_id = house.accounts.create().id
        for _ in range(before):
            house.keys.create(account_id, kind)
        planned.append(Round(account_id=account_id, kind=kind, before=before, is_changing=is_changing))
    house.engine.dispose()
    return planned


def _run_processes(context: ForkServerContext, url: str, planned: list[Round], attempts: int) -> Outcome:
    start, outcomes = context.Barrier(PROCESSES), context.Queue()
    target = partial(_work, url, planned, attempts=attempts, start=start, outcomes=outcomes)
    runners = [context.Process(target=target, args=(number,)) for number in range(PROCESSES)]
    for runner in runners:
        runner.start()
    found = [outcomes.get(timeout=PATIENCE_S) for _ in runners]
    for runner in runners:
        runner.join(PATIENCE_S)
    if failures := [outcome for outcome in found if not isinstance(outcome, Outcome)]:
        raise RuntimeError("\n".join(failures))
    most = {kind: max(outcome.most.get(kind, 0) for outcome in found) for kind in KeyKind}
    return Outcome(counts=sum((outcome.counts for outcome in found), Counter()), most=most)


def _work(url, planned, number, *, attempts, start, outcomes):
    """One process: in every round wait for all others, then try. What goes wrong ends all of them at once."""
    try:
        runner = _Runner(url, random.Random(number))  # noqa: S311 -- choices of a test, no keys
        for this in planned:
            start.wait(PATIENCE_S)
            runner.run(this, attempts)
        outcomes.put(Outcome(counts=runner.counts, most=runner.most))
        runner.house.engine.dispose()
    except Exception:  # noqa: BLE001 -- the edge of a process
        start.abort()
        outcomes.put(traceback.format_exc())


class _Runner:
    """What one process does and has seen."""

    def __init__(self, url: str, chance: random.Random) -> None:
        audit = open_audit_log(url)
        self.house = open_keys_house(url, on_change=self._count)
        self.counts: Counter[str] = Counter()
        self.most: dict[KeyKind, int] = {}
        self._records = make_records(audit, self.house.clock)
        self._chance = chance

    def run(self, this: Round, attempts: int) -> None:
        for _ in range(attempts):
            if this.is_changing and self._chance.randrange(100) < CHANGES_PER_100:
                self._change(this)
            else:
                self._create(this)
        # Whoever has deleted fills up again, so that the account ends exactly full.
        for _ in range(FILL_TRIES_MAX):  # a database that has gone must not be asked for ever
            if not self._create(this):
                break

    def _create(self, this: Round) -> bool:
        """Try once. Returns whether there may be room for another."""
        try:
            self.house.keys.create(this.account_id, this.kind)
        except KeyLimitReached:
            self.counts["refused"] += 1
            return False
        except Unavailable:
            self.counts["unavailable"] += 1
            return True
        self.counts["created"] += 1
        return True

    def _change(self, this: Round) -> None:
        keys_now = self.house.keys
        found = keys_now.list_keys(this.account_id, this.kind)
        if not found:
            return
        action = self._chance.choice(("delete", "delete", "disable", "enable", "enable"))
        try:
            getattr(keys_now, action)(this.account_id, self._chance.choice(found).id, actor=SYSTEM)
        except (NotFound, KeyStateConflict, Unavailable) as refusal:
            self.counts[type(refusal).__name__] += 1
        else:
            self.counts[action] += 1

    def _count(self, connection, change):
        """Count the live keys as this transaction leaves them; the audit row, which comes last, keeps others out."""
        self._records.record_change(connection, change)
        key = change.after
        is_live = (keys.c.account_id == key.account_id, keys.c.kind == key.kind.value, keys.c.deleted_ms.is_(None))
        live = connection.execute(select(func.count()).select_from(keys).where(*is_live)).scalar_one()
        self.most[key.kind] = max(live, self.most.get(key.kind, 0))
