"""The servers that share a database, and which change of a key each has seen.

A change can wait for them: "refused on 3 of 3 servers after 41 ms". A server that does not answer is not waited for
longer than its memory can count as fresh: from then on it refuses everybody, or asks.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import Engine, delete, insert, select, update

from logboom.database.engine import reading, writing
from logboom.database.tables import nodes
from logboom.errors import LogboomError

log = structlog.get_logger(__name__)

BEAT_S: Final = 10.0
LIVE_MS: Final = 30_000  # three beats
FORGOTTEN_MS: Final = 24 * 3_600_000
WAIT_S: Final = 2.0
LOOK_INTERVAL_S: Final = 0.01


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Who has seen a change: *names* of the servers that have, and of those that have not said so in time."""

    names: tuple[str, ...]
    missing: tuple[str, ...]
    waited_ms: int


class Nodes:
    """This server's row among the others. *node_id* is random, *name* is for people."""

    def __init__(self, engine: Engine, *, node_id: str, name: str, now_ms: Callable[[], int]) -> None:
        self._engine, self._id, self._name, self._now_ms = engine, node_id, name, now_ms
        self._seq = 0
        self._told_seq = -1
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="key-nodes", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Leave: nobody waits for a server that has stopped."""
        self._stopping.set()
        self._news.set()
        self._thread.join()
        self._try(self.leave)

    def saw(self, seq: int) -> None:
        """This server knows of every change up to this one."""
        if seq > self._seq:
            self._seq = seq
            self._news.set()

    def wait_for(self, seq: int) -> Seen:
        """Return once every other live server has seen the change, or when the time is over. Call it from a thread."""
        began_s = time.monotonic()
        while True:
            live = self._others()
            missing = tuple(sorted(name for name, seen in live if seen < seq))
            waited_s = time.monotonic() - began_s
            if not missing or waited_s > WAIT_S:
                names = tuple(sorted([self._name, *(name for name, seen in live if seen >= seq)]))
                return Seen(names=names, missing=missing, waited_ms=round(waited_s * 1000))
            time.sleep(LOOK_INTERVAL_S)

    def behind(self, seq: int) -> list[str]:
        """The names of the other live servers that have not said that they have seen the change."""
        return sorted(name for name, seen in self._others() if seen < seq)

    def _run(self) -> None:
        self._try(self.join)
        while not self._stopping.is_set():
            is_news = self._news.wait(BEAT_S)
            self._news.clear()
            if not self._stopping.is_set():
                self._try(self._tell if is_news else self._beat)

    def _try(self, work: Callable[[], None]) -> None:
        """A row that is not written means that others wait for nothing, or in vain; the next beat writes it."""
        try:
            work()
        except LogboomError as error:
            log.warning("nodes.not_told", error=type(error).__name__)

    def join(self) -> None:
        """Be one of those who are waited for, and for whom others tell what they have seen. Raises Unavailable."""
        now_ms, seq = self._now_ms(), self._seq
        row = {"id": self._id, "name": self._name, "started_ms": now_ms, "beat_ms": now_ms, "seq": seq}
        with writing(self._engine) as connection:
            connection.execute(delete(nodes).where(nodes.c.beat_ms < now_ms - FORGOTTEN_MS))
            connection.execute(insert(nodes).values(row))
        self._told_seq = seq

    def _tell(self) -> None:
        """Say what was seen, if there is anybody who could wait for it."""
        if self._seq > self._told_seq and self._others():
            self._beat()

    def _beat(self) -> None:
        seq = self._seq
        with writing(self._engine) as connection:
            mine = update(nodes).where(nodes.c.id == self._id).values(beat_ms=self._now_ms(), seq=seq)
            is_known = connection.execute(mine).rowcount > 0
        if is_known:
            self._told_seq = seq
        else:
            self.join()

    def leave(self) -> None:
        """Raises Unavailable."""
        with writing(self._engine) as connection:
            connection.execute(delete(nodes).where(nodes.c.id == self._id))

    def _others(self) -> list[tuple[str, int]]:
        live = (nodes.c.id != self._id, nodes.c.beat_ms > self._now_ms() - LIVE_MS)
        with reading(self._engine) as connection:
            return [(row.name, row.seq) for row in connection.execute(select(nodes.c.name, nodes.c.seq).where(*live))]
