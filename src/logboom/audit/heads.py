"""The newest head in the server's own log: at its start, once a day, and at its end.

Logs are collected elsewhere, so that each of these heads is a witness that the audit log's database cannot take back.
"""

from collections.abc import Callable
from typing import Final

import structlog

from logboom.audit.repository import AuditLog

log = structlog.get_logger(__name__)

DAY_MS: Final = 24 * 3_600_000


class Heads:
    """Tells of the head. *now_ms* is the wall clock, as the day is the one of the calendar, UTC."""

    def __init__(self, audit: AuditLog, *, now_ms: Callable[[], int]) -> None:
        self._audit, self._now_ms = audit, now_ms
        self._told_day = -1

    def tell_daily(self) -> bool:
        """Tell when it has not been told today. Raises Unavailable."""
        day = self._now_ms() // DAY_MS
        if day != self._told_day:
            self.tell()
            self._told_day = day
        return False

    def tell(self) -> bool:
        """Tell now; there is never more to do at once. Raises Unavailable."""
        head = self._audit.find_head()
        if head is None:
            log.error("audit.broken", effect="the head of the audit log is missing or forged")
        else:
            log.info("audit.head", seq=head.seq, hash=head.hash.hex())
        return False
