"""What keeps this server's memory of keys like that of every other server on the same database, put together."""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from logboom.database.watch import PostgresWatch, SqliteWatch
from logboom.keys.feed import Feed
from logboom.keys.keys import Keys
from logboom.keys.nodes import Nodes

# For whoever waits for this server to have seen a change; requests need no poll with SQLite.
SQLITE_POLL_S: Final = 0.05


@dataclass(frozen=True, kw_only=True)
class Following:
    """What keeps this server's memory of keys like that of every other server on the same database."""

    feed: Feed
    watch: SqliteWatch | PostgresWatch
    nodes: Nodes

    def start(self) -> None:
        self.feed.start()
        self.nodes.start()
        if isinstance(self.watch, PostgresWatch):
            self.watch.start()

    def stop(self) -> None:
        if isinstance(self.watch, PostgresWatch):
            self.watch.stop()
        self.feed.stop()
        self.nodes.stop()
        if isinstance(self.watch, SqliteWatch):
            self.watch.close()


def follow(database: Engine, keys: Keys, *, now_ms: Callable[[], int], node_id: str) -> Following:
    """What tells *keys* of changes that other servers make, by the means of the database."""
    name = f"{socket.gethostname()}:{os.getpid()}"
    nodes = Nodes(database, node_id=node_id, name=name, now_ms=now_ms)
    if database.dialect.name == "sqlite":
        watch = SqliteWatch(database)

        def catch_up() -> int:
            watch.check()
            return keys.catch_up()

        feed = Feed(catch_up, probe=watch.probe, monotonic_s=time.monotonic, on_seq=nodes.saw, poll_s=SQLITE_POLL_S)
        return Following(feed=feed, watch=watch, nodes=nodes)
    feed = Feed(keys.catch_up, probe=None, monotonic_s=time.monotonic, on_seq=nodes.saw)
    return Following(feed=feed, watch=PostgresWatch(database, feed.wake), nodes=nodes)
