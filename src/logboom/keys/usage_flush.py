"""Writes what was counted of keys to the database: one transaction each ten seconds, whatever the traffic.

The first use of a key, and a new user of one, is written within a second. After a crash the counts of at most ten
seconds are lost. What cannot be written is kept and written later.
"""

import threading
from collections.abc import Callable
from typing import Final

import structlog

from logboom.errors import LogboomError
from logboom.keys.recent import Recent
from logboom.keys.usage import Counters, Counts
from logboom.keys.usage_repository import UsageRepository

log = structlog.get_logger(__name__)

ACCURACY_S: Final = 10  # what is told of a use is at most so old
SHORTEST_S: Final = 0.8 * ACCURACY_S  # several servers write at different moments
NEWS_WAIT_S: Final = 0.5  # how long news wait for others


class UsageFlush:
    """Takes from the counters and gives to the repository. *random* gives a number from 0 to 1.

    *keep* gives what may be kept of a text that a sender chose. *on_written* is told of every attempt that had
    something to write, and whether it could. *on_round* is called after each round, to look at what all have written.
    """

    def __init__(
        self,
        repository: UsageRepository,
        *,
        random: Callable[[], float],
        keep: Callable[[str], str] = str,
        on_written: Callable[[bool], None] = lambda _: None,
        on_round: Callable[[], None] = lambda: None,
    ) -> None:
        self.counters = Counters(on_new=self._wake)
        self.recent = Recent()
        self._repository, self._random, self._keep = repository, random, keep
        self._on_written, self._on_round = on_written, on_round
        self._left = Counts()  # what could not be written
        self._writing = threading.Lock()
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="key-usage", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what is left and end."""
        self._stopping.set()
        self._news.set()
        self._thread.join()
        self._try_flush()

    def flush(self) -> None:
        """Write what was counted until now. Raises Unavailable, and keeps it then."""
        with self._writing:
            taken = self.counters.take().with_texts(self._keep)
            self.recent.add(taken.users)
            counts = self._left.plus(taken)
            if not counts:
                return
            try:
                self._repository.add(counts)
            except Exception:
                self._left = counts.newest()
                self._on_written(False)  # noqa: FBT003 -- whether it was written, the one thing that there is to tell
                raise
            self._left = Counts()
            self._on_written(True)  # noqa: FBT003

    def _wake(self) -> None:
        self._news.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            is_news = self._news.wait(SHORTEST_S + self._random() * (ACCURACY_S - SHORTEST_S))
            if is_news:
                self._stopping.wait(NEWS_WAIT_S)
            self._news.clear()
            self._try_flush()

    def _try_flush(self) -> None:
        try:
            self.flush()
            self._on_round()
        except LogboomError as error:
            log.warning("usage.not_written", error=type(error).__name__, effect="it is kept and written later")
        except Exception:  # the edge of this thread: counts are not worth a server's life
            log.exception("usage.not_written", effect="it is kept and written later")
