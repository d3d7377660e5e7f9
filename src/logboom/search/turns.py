"""Searches take turns: as many run at once as the line store has connections for, the next wait without a thread.

A search that waited in a thread would keep that thread from the requests that need it for a moment only.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import CapacityLimiter, fail_after

from logboom.errors import Unavailable
from logboom.limits import SEARCH_WAIT_S


@asynccontextmanager
async def turn(threads: CapacityLimiter, *, wait_s: float = SEARCH_WAIT_S) -> AsyncIterator[CapacityLimiter]:
    """One of *threads* for as long as the context lasts, also between its pieces of work. Raises Unavailable."""
    thread = CapacityLimiter(1)
    try:
        with fail_after(wait_s):
            await threads.acquire_on_behalf_of(thread)
    except TimeoutError:
        raise Unavailable("Too many searches are running. Please retry.") from None
    try:
        yield thread
    finally:
        threads.release_on_behalf_of(thread)
