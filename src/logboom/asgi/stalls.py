"""Closes connections on which nothing moves: requests that never end, and answers that nobody takes.

Each holds memory, a place among the connections, and an answer may hold one of few searches.
"""

import asyncio
from collections.abc import Callable


class StallWatch:
    """Looks after a connection at intervals; what has not moved from one look to the next is closed."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        *,
        is_sender_due: Callable[[], bool],
        stall_s: float,
    ) -> None:
        self._loop, self._transport = loop, transport
        self._is_sender_due, self._stall_s = is_sender_due, stall_s
        self._has_received = False
        self._unsent_bytes = 0
        self._timer = loop.call_later(stall_s, self._look)

    def received(self) -> None:
        """Something came."""
        self._has_received = True

    def paced(self) -> None:
        """The reader took so much, or we wrote so much, that what is unsent cannot be compared with the last look."""
        self._unsent_bytes = 0

    def stop(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        unsent_bytes = self._transport.get_write_buffer_size()
        is_untaken = 0 < unsent_bytes == self._unsent_bytes
        is_unsaid = not unsent_bytes and not self._has_received and self._is_sender_due()
        if is_untaken or is_unsaid:
            self._transport.abort()
            return
        self._unsent_bytes, self._has_received = unsent_bytes, False
        self._timer = self._loop.call_later(self._stall_s, self._look)
