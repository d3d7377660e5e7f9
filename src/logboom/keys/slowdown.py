"""Makes whoever shows unknown keys wait, all of them together, so that guessing cannot take the server from others.

Nobody whose key is known comes here: a sender behind the same address as the guesser does not notice. Nothing is kept
about anybody, so there is nothing to fill up.
"""

import asyncio
from collections.abc import Awaitable, Callable

from logboom.limits import UNKNOWN_KEY_WAIT_S_MAX, UNKNOWN_KEYS_BURST, UNKNOWN_KEYS_PER_S


class Slowdown:
    """Turns, so many a second after a burst. Call it on the event loop."""

    def __init__(
        self, *, monotonic_s: Callable[[], float], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._monotonic_s, self._sleep = monotonic_s, sleep
        self._taken_s = float("-inf")  # up to when turns have been given

    async def wait_for_turn(self) -> None:
        """Return at once within the burst, else when it is the caller's turn, or after the longest wait there is."""
        now_s = self._monotonic_s()
        taken_s = max(self._taken_s, now_s - UNKNOWN_KEYS_BURST / UNKNOWN_KEYS_PER_S) + 1 / UNKNOWN_KEYS_PER_S
        # What waits the longest does not make others wait longer: when the guesser has gone, all is as it was soon.
        self._taken_s = min(taken_s, now_s + UNKNOWN_KEY_WAIT_S_MAX)
        if self._taken_s > now_s:
            await self._sleep(self._taken_s - now_s)
