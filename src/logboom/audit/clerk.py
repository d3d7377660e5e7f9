"""The thread that does what the audit log leaves to later, so that no request waits for it."""

import threading
from collections.abc import Callable, Sequence
from typing import Final

import structlog

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 1.0  # for what other servers have written; what this one writes wakes the thread
REST_AFTER_FAILURE_S: Final = 5.0


class Clerk:
    """Does its *duties* in turn whenever *woken* is set, and every second; at the end the *last* ones.

    A duty returns whether it has more to do at once. One that fails is logged and done again later; it keeps no other
    from being done.
    """

    def __init__(
        self, duties: Sequence[Callable[[], bool]], *, last: Sequence[Callable[[], bool]], woken: threading.Event
    ) -> None:
        self._duties, self._last, self._woken = duties, last, woken
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let the duty at hand finish, do the last ones, and end."""
        self._stopping.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            outcomes = [self._do(duty) for duty in self._duties]
            if None in outcomes:
                self._stopping.wait(REST_AFTER_FAILURE_S)
            elif not any(outcomes):
                self._woken.wait(LOOK_EVERY_S)
        for duty in self._last:
            self._do(duty)

    def _do(self, duty: Callable[[], bool]) -> bool | None:
        try:
            return duty()
        except Exception as error:  # noqa: BLE001 -- the edge of this thread: it must outlive a database that is away
            log.warning("audit.duty_failed", duty=getattr(duty, "__qualname__", repr(duty)), error=repr(error))
            return None
