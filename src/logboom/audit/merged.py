"""Events of which many are alike, as the refusals of a program that goes on with a deleted key.

The first of a kind is recorded at once; the ones that follow within a window are counted, and told as one more event
when the window ends. So nobody can fill the audit log by being refused, and still every refusal is in it. Noting waits
for nothing; a thread records. What cannot be kept is counted as dropped.
"""

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from itertools import islice
from threading import Event, Lock
from typing import Final

import structlog

from logboom.audit.event import AuditEvent
from logboom.audit.repository import AuditLog

log = structlog.get_logger(__name__)

KINDS_MAX: Final = 10_000  # at a time; about a kilobyte and a half each
# In one transaction: a longer one would let those who change keys wait.
EVENTS_AT_ONCE: Final = 100


@dataclass(slots=True)
class Window:
    """The first event of a kind, and what came after it."""

    first: AuditEvent
    ends_s: float
    times: int = 0
    last_ms: int = 0


class Merged:
    """*now_s* is a monotonic clock; *woken* is set when there is something to record, *on_dropped* told what was lost.

    The `after` of an event says how many `times` it stands for, that of a later one also `since_ms`.
    """

    def __init__(
        self,
        audit: AuditLog,
        *,
        window_s: float,
        now_s: Callable[[], float],
        woken: Event,
        on_dropped: Callable[[int], object],
        kinds_max: int = KINDS_MAX,
    ) -> None:
        self._audit, self._window_s, self._now_s, self._woken = audit, window_s, now_s, woken
        self._on_dropped, self._kinds_max = on_dropped, kinds_max
        self._windows: dict[Hashable, Window] = {}  # in the order of their ends
        self._ready: deque[AuditEvent] = deque()
        self._dropped = 0
        self._lock = Lock()

    def note(self, kind: Hashable, at_ms: int, make: Callable[[], AuditEvent]) -> None:
        """One more of its *kind*; *make* makes the event when it is the first in its window."""
        with self._lock:
            self._end_windows(self._now_s())
            window = self._windows.get(kind)
            if window:
                window.times += 1
                window.last_ms = at_ms
                return
            if len(self._windows) >= self._kinds_max or len(self._ready) >= self._kinds_max:
                self._drop(1)
                return
            event = _standing_for(make(), 1)
            self._windows[kind] = Window(first=event, ends_s=self._now_s() + self._window_s)
            self._ready.append(event)
        self._woken.set()

    def begin(self, kind: Hashable, event: AuditEvent) -> bool:
        """One more of its *kind*, of which the first must be in the log before anything else happens.

        Returns whether *event* is that one: record it then, and `forget` its kind when that fails.
        """
        with self._lock:
            self._end_windows(self._now_s())
            window = self._windows.get(kind)
            if window:
                window.times += 1
                window.last_ms = event.at_ms
            elif len(self._windows) < self._kinds_max:
                self._windows[kind] = Window(first=event, ends_s=self._now_s() + self._window_s)
        return window is None

    def forget(self, kind: Hashable) -> None:
        """Let the next one of its *kind* be a first one."""
        with self._lock:
            self._windows.pop(kind, None)

    def record(self) -> bool:
        """Record what is ready; returns whether there is more. Raises Unavailable, and then keeps it."""
        with self._lock:
            self._end_windows(self._now_s())
            events = [*islice(self._ready, EVENTS_AT_ONCE)]
            dropped, self._dropped = self._dropped, 0
        if dropped:
            log.warning("audit.refusals_dropped", events=dropped, effect="these refusals are in no audit event")
        if events:
            self._audit.record_all(events)
        with self._lock:
            for _ in events:
                self._ready.popleft()
            return bool(self._ready)

    def finish(self) -> bool:
        """End every window, and record all that there is. Raises Unavailable."""
        with self._lock:
            self._end_windows(float("inf"))
        while self.record():
            pass
        return False

    def _end_windows(self, now_s: float) -> None:
        while self._windows:
            kind = next(iter(self._windows))
            window = self._windows[kind]
            if window.ends_s > now_s:
                return
            del self._windows[kind]
            # As many again as there may be first ones, so that those do not crowd out what they have merged.
            if len(self._ready) >= 2 * self._kinds_max:
                self._drop(window.times)
            elif window.times:
                more = replace(window.first, at_ms=window.last_ms)
                self._ready.append(_standing_for(more, window.times, since_ms=window.first.at_ms))

    def _drop(self, times: int) -> None:
        self._dropped += times
        self._on_dropped(times)


def _standing_for(event: AuditEvent, times: int, **more: int) -> AuditEvent:
    return replace(event, after={**(event.after or {}), "times": times, **more})
