"""Audit events as lines of their account, so that they are searched, exported and alerted on like any other line.

Lines are pulled from the audit log, not pushed into it: how far an account's events have become lines stands in the
spool, and moves in the transaction that keeps the lines. So every event becomes one line in each line store, whoever is
killed when, and a change of a key never waits for a line.
"""

from collections.abc import Callable, Sequence
from typing import Final

import structlog

from logboom.audit import wire
from logboom.audit.event import AuditRow, EventFilter
from logboom.audit.repository import AuditLog
from logboom.spool import Envelope, Spool

log = structlog.get_logger(__name__)

LINES_AT_ONCE: Final = 200  # of one account; an event is about a kilobyte, and never more than some thirty


class AuditLines:
    """Brings the events of the accounts that want them into the spool, as lines from *host*; *on_lines* counts them.

    Every server that shares the audit log has its own spool, and all events in it.
    """

    def __init__(
        self,
        audit: AuditLog,
        spool: Spool,
        *,
        host: str,
        now_ms: Callable[[], int],
        on_lines: Callable[[int], object],
    ) -> None:
        self._audit, self._spool, self._host, self._now_ms = audit, spool, host, now_ms
        self._on_lines = on_lines
        self._brought: object = None  # what was there when all of it had been brought

    def bring(self) -> bool:
        """Bring what there is, a batch of each account. Returns whether there may be more. Raises Unavailable."""
        there = (account_ids, newest_seq) = self._audit.accounts_with_lines(), self._audit.newest_seq()
        if there == self._brought:
            return False
        outcomes = [self._bring_some(account_id, newest_seq) for account_id in account_ids]
        has_more = any(outcomes)
        self._brought = None if has_more else there
        return has_more

    def _bring_some(self, account_id: str, newest_seq: int) -> bool:
        source = f"audit:{account_id}"
        if self._spool.position(source) > newest_seq:
            # The database was put back to an older state; what happens from now on must not go missing too.
            log.error("audit.put_back", newest_seq=newest_seq, known_seq=self._spool.position(source))
            self._spool.rewind(source, newest_seq)
        wanted = EventFilter(after_seq=self._spool.position(source), oldest_first=True, limit=LINES_AT_ONCE)
        rows = self._audit.list_events(account_id, wanted)
        if rows:
            self._spool.append_from(source, rows[-1].seq, self._envelope(account_id, rows), wire.render_lines(rows))
            self._on_lines(len(rows))
        return len(rows) == LINES_AT_ONCE

    def _envelope(self, account_id: str, rows: Sequence[AuditRow]) -> Envelope:
        return Envelope(
            account_id=account_id,
            key_id="",
            received_ms=self._now_ms(),
            lines_count=len(rows),
            hostname=self._host,
            app=wire.LINE_APP,
        )
