"""Keeps this process's memory of keys fresh, and knows when it is not: nobody is admitted by memory that may be stale.

Any server may change a key. The *feed*, a thread, asks the database for the newest change whenever there is news, and
now and then without any, since news can be lost. What a request may rely on depends on the database:

- SQLite tells each request in a microsecond whether anything was committed since (`probe`), so memory is never stale.
- PostgreSQL cannot be asked so often. Having asked it gives a *lease*: for so long memory counts as fresh. A request
  that meets an ended lease waits for the next answer, and when none comes it is told to retry (504).

The lease runs on the monotonic clock from before the question was sent: a paused process, a slow answer or a clock that
is set cannot lengthen it.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

import structlog

from logboom.errors import Unavailable

log = structlog.get_logger(__name__)

LEASE_S: Final = 0.75  # with the time that an answer takes, below the second that is promised
ANSWER_WAIT_S: Final = 0.75  # how long a request waits for the feed before it is told to retry
POLL_S: Final = 0.2  # at least three questions to a lease
# Requests with unknown keys make the feed ask; strangers must not be able to keep the database busy with that.
ASKED_INTERVAL_S: Final = 0.02

Probe = Callable[[], object]


class Feed:
    """Freshness of a keyring. Requests use `ensure` and `ensure_newer` on the event loop.

    *catch_up* reads what is new and returns the number of the newest change; it may take its time and raise.
    *probe* returns what changes whenever anything is committed, or is None where only the lease tells.
    *on_seq* is told the number of the newest change after each answer.
    """

    def __init__(
        self,
        catch_up: Callable[[], int],
        *,
        probe: Probe | None,
        monotonic_s: Callable[[], float],
        on_seq: Callable[[int], None] = lambda _: None,
        poll_s: float = POLL_S,
    ) -> None:
        self._catch_up, self._probe, self._monotonic_s, self._on_seq = catch_up, probe, monotonic_s, on_seq
        self._poll_s = poll_s
        self._known_s = float("-inf")  # when the last question was sent that has been answered
        self._mark: object = None  # what the probe said before that question
        self._is_failing = True
        self._lock = threading.Lock()
        self._next: Future[bool] = Future()  # whether the next question is answered, for all who wait for that
        self._news = threading.Event()
        self._is_asked = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="key-feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._news.set()
        self._thread.join()

    def wake(self) -> None:
        """There may be news: ask now. From any thread."""
        self._news.set()

    @property
    def is_failing(self) -> bool:
        """Whether the last question was not answered."""
        return self._is_failing

    async def ensure(self) -> None:
        """Return once memory may be believed. Raises Unavailable when that cannot be had."""
        if self._probe is None:
            if self._monotonic_s() - self._known_s > LEASE_S:
                await self._ask()
            return
        try:
            mark = self._probe()
        except Exception as cause:
            raise Unavailable from cause
        if mark != self._mark or self._is_failing:
            await self._ask()
            self._mark = mark

    async def ensure_newer(self) -> None:
        """Return once memory holds all that was committed before this call: for what memory does not know of.

        Many calls at once share one question. Raises Unavailable.
        """
        if self._probe is None:
            await self._ask()
        else:
            await self.ensure()

    async def _ask(self) -> None:
        with self._lock:
            answer = self._next
            self._is_asked = True
        self._news.set()
        try:
            # Shielded, as others wait for the same answer.
            is_fresh = await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(answer)), ANSWER_WAIT_S)
        except TimeoutError:
            is_fresh = False
        if not is_fresh:
            raise Unavailable("The server cannot check keys right now. Please retry.")

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._news.clear()
            self._question()
            is_news = self._news.wait(self._poll_s)
            if is_news and self._is_asked and self._probe is None:
                self._stopping.wait(ASKED_INTERVAL_S)
        with self._lock:
            self._next.set_result(False)

    def _question(self) -> None:
        with self._lock:
            answer, self._next = self._next, Future()
            self._is_asked = False
        sent_s = self._monotonic_s()
        try:
            seq = self._catch_up()
        except Exception as error:  # noqa: BLE001 -- the edge of this thread: it must outlive the database
            self._fail(error)
            answer.set_result(False)
            return
        self._known_s = sent_s
        if self._is_failing:
            self._is_failing = False
            log.info("keys.fresh", seq=seq)
        answer.set_result(True)
        self._on_seq(seq)

    def _fail(self, error: Exception) -> None:
        if not self._is_failing:
            log.error("keys.stale", error=repr(error), effect="requests are answered 504 until the database answers")
        self._is_failing = True
