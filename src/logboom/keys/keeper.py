"""What time does to keys: overlaps end, expiries come near. A thread looks after them, on every server.

Every step goes through a change under the key's lock that looks again, so it is done once, whichever server is first.
"""

import threading
from collections.abc import Callable
from typing import Final

import structlog

from logboom.keys.due import Due
from logboom.keys.usage_flush import ACCURACY_S, UsageFlush
from logboom.keys.usage_report import idle_since_ms
from logboom.keys.usage_repository import UsageRepository
from logboom.limits import OVERLAP_MS_MAX, USAGE_KEPT_MS

log = structlog.get_logger(__name__)

INTERVAL_S: Final = 15.0
CLOCK_STEP_MS_MAX: Final = 5_000
# Other servers tell of a use so late at most, and a little more.
TOLD_WITHIN_MS: Final = 3 * ACCURACY_S * 1000
TIDIED_EVERY_MS: Final = 24 * 3_600_000


class Clock:
    """Whether the wall clock was put back, which would make what has expired open again. *monotonic_s* never is."""

    def __init__(self, now_ms: Callable[[], int], monotonic_s: Callable[[], float]) -> None:
        self._now_ms, self._monotonic_s = now_ms, monotonic_s
        self._ahead_ms = self._read()

    def step_ms(self) -> int:
        """How far the wall clock has been set since the last call; negative when it was put back."""
        before, self._ahead_ms = self._ahead_ms, self._read()
        return self._ahead_ms - before

    def _read(self) -> int:
        return self._now_ms() - int(self._monotonic_s() * 1000)


class Keeper:
    """Does its duties now and then. *on_clock_step* is told by how many milliseconds the clock was put back."""

    def __init__(
        self,
        due: Due,
        usage: UsageRepository,
        flush: UsageFlush,
        clock: Clock,
        *,
        now_ms: Callable[[], int],
        on_clock_step: Callable[[int], None],
    ) -> None:
        self._due, self._usage, self._flush, self._clock = due, usage, flush, clock
        self._now_ms, self._on_clock_step = now_ms, on_clock_step
        self._untold_steps: list[int] = []
        self._tidied_ms = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="key-keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def keep(self) -> None:
        """Do all that is due. A duty that fails is logged, done again later, and keeps no other from being done."""
        duties = (
            self._watch_clock,
            self._due.end_lapsed_overlaps,
            self._end_idle_overlaps,
            self._warn_of_expiry,
            self._forget_old_hours,
        )
        for duty in duties:
            try:
                duty()
            except Exception as error:  # noqa: BLE001 -- the edge of this thread: it must outlive the database
                log.warning("keys.not_kept", duty=duty.__name__, error=repr(error))

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL_S):
            self.keep()

    def _watch_clock(self) -> None:
        step_ms = self._clock.step_ms()
        if step_ms < -CLOCK_STEP_MS_MAX:
            log.error("server.clock_stepped", step_ms=step_ms, effect="what has expired may open again for a while")
            self._untold_steps.append(-step_ms)
        while self._untold_steps:
            self._on_clock_step(self._untold_steps[0])
            del self._untold_steps[0]

    def _end_idle_overlaps(self) -> None:
        """End old values that nobody has used for as long as the account's policy says."""
        overlaps = self._due.overlaps_that_may_end()
        if not overlaps:
            return
        self._flush.flush()
        now_ms = self._now_ms()
        for overlap in overlaps:
            which = (overlap.account_id, overlap.key_id)
            hours = self._usage.hours(*which, from_ms=now_ms - OVERLAP_MS_MAX, to_ms=now_ms)
            since_ms = idle_since_ms(overlap.generation, hours, self._usage.users(*which))
            if since_ms is not None and since_ms <= now_ms - overlap.idle_ms - TOLD_WITHIN_MS:
                self._due.end_idle_overlap(overlap)

    def _warn_of_expiry(self) -> None:
        for account_id, key_id in self._due.expiring():
            days = self._due.warn_of_expiry(account_id, key_id)
            if days is not None:
                log.warning("keys.expiring", key_id=key_id, within_days=days)

    def _forget_old_hours(self) -> None:
        now_ms = self._now_ms()
        if abs(now_ms - self._tidied_ms) > TIDIED_EVERY_MS:
            self._usage.forget_hours(now_ms - USAGE_KEPT_MS)
            self._tidied_ms = now_ms
