"""Digests a value anew when it is used, while its pepper is being replaced: the only way for values that are not kept.

The request that carries the value computes the newer digest and hands over both digests; the value itself ends with the
request. A thread writes them down, many at once.
"""

import threading
from typing import Final

import structlog

from logboom.keys.nodes import Nodes
from logboom.keys.older import Older
from logboom.keys.rotation import Rotation

log = structlog.get_logger(__name__)

OFFERS_MAX: Final = 10_000  # what is offered above that is offered again at its next use
BATCH_VALUES: Final = 100
GATHER_S: Final = 0.2
AGAIN_S: Final = 5.0


class Offers:
    """What requests have handed over and nobody has written down yet. `put` is for the event loop."""

    def __init__(self) -> None:
        self._offers: dict[bytes, Older] = {}
        self.news = threading.Event()

    def put(self, older: Older) -> None:
        if older.digest not in self._offers and len(self._offers) < OFFERS_MAX:
            self._offers[older.digest] = older
            self.news.set()

    def take(self) -> list[Older]:
        digests = list(self._offers)[:BATCH_VALUES]
        return [self._offers.pop(digest) for digest in digests]

    def __len__(self) -> int:
        return len(self._offers)


class Redigester:
    """The thread. It begins once every server that shares the database knows the newer pepper.

    One that does not would not know the keys any more.
    """

    def __init__(self, offers: Offers, rotation: Rotation, nodes: Nodes) -> None:
        self._offers, self._rotation, self._nodes = offers, rotation, nodes
        self._known_version = 0  # a pepper that every server is known to know
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="key-redigest", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._offers.news.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._offers.news.wait()
            self._stopping.wait(GATHER_S)
            self._offers.news.clear()
            try:
                while not self._stopping.is_set() and (used := self._offers.take()):
                    self._write(used)
            except Exception as error:  # noqa: BLE001 -- the edge of this thread: it must outlive the database
                log.warning("keys.not_redigested", error=type(error).__name__, effect="tried again at their next use")
                self._stopping.wait(AGAIN_S)

    def _write(self, used: list[Older]) -> None:
        version = max(older.newer_version for older in used)
        if version != self._known_version:
            if self._nodes.behind(self._rotation.newest_seq()):
                return
            self._known_version = version
        batch = self._rotation.digest_used(used)
        log.debug("keys.redigested", moved=batch.moved)
