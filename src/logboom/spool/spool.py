"""A durable queue of acknowledged batches on local disk: a 200 is said only after `append` returns.

One thread owns the writing connection. It commits whatever has arrived since its last commit as one group, so that
many senders share one sync of the disk, and it alone changes the file. The mill reads on a connection of its own.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
import structlog

from logboom.errors import Unavailable
from logboom.limits import UNWRITTEN_BYTES_MAX
from logboom.spool.disk import Disk
from logboom.spool.envelope import Envelope, SpooledBatch

log = structlog.get_logger(__name__)

# FULL syncs the write-ahead log at every commit: an acknowledged batch survives a power cut.
# Large pages suit bodies of some hundred kilobytes; the log is folded back into the file every 32 MB.
OPEN: Final = """
PRAGMA page_size = 16384;
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 2000;
PRAGMA journal_size_limit = 8388608;
"""
BEGIN_SPOOL: Final = "INSERT INTO spool (one, next_seq) VALUES (1, ?) ON CONFLICT DO NOTHING"
ADD_BATCH: Final = "INSERT INTO batch (seq, envelope, body, lines_count) VALUES (?, ?, ?, ?)"
KEEP_NEXT_SEQ: Final = "UPDATE spool SET next_seq = ?"
KEEP_DOUBTFUL: Final = (
    "INSERT INTO doubtful (one, seq) VALUES (1, ?) ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)"
)
END_DOUBT: Final = "DELETE FROM doubtful WHERE seq <= ?"
DROP_MILLED: Final = "DELETE FROM batch WHERE seq BETWEEN ? AND ?"
SET_ASIDE: Final = (
    "INSERT OR REPLACE INTO poison (seq, envelope, body, reason, set_aside_ms) "
    "SELECT seq, envelope, body, ?, ? FROM batch WHERE seq = ?"
)
DROP_ONE: Final = "DELETE FROM batch WHERE seq = ?"
READ_RANGE: Final = "SELECT seq, envelope, body FROM batch WHERE seq BETWEEN ? AND ? ORDER BY seq"
# Only as many of the oldest batches as the mill takes at once; the bodies are not touched.
READ_SIZES: Final = "SELECT seq, lines_count, length(body) FROM batch ORDER BY seq LIMIT ?"
READ_DOUBTFUL: Final = "SELECT coalesce(max(seq), 0) FROM doubtful"
READ_POSITIONS: Final = "SELECT name, position FROM source"
KEEP_POSITION: Final = (
    "INSERT INTO source (name, position) VALUES (?, ?) ON CONFLICT DO UPDATE SET position = excluded.position"
)
READ_TOTALS: Final = "SELECT count(*), coalesce(sum(length(body)), 0), coalesce(sum(lines_count), 0) FROM batch"

# Free pages are used again; a spool that was once long gives its space back when it is empty.
FREE_PAGES: Final = "PRAGMA freelist_count"
FOLD_LOG: Final = "PRAGMA wal_checkpoint(TRUNCATE)"
GIVE_BACK: Final = "PRAGMA incremental_vacuum(1)"  # Python's driver takes one step of it, which is one page

FREE_PAGES_MAX: Final = 200
PAGES_AT_ONCE: Final = 200
LOG_BYTES_MAX: Final = 8 * 1024 * 1024
GROUP_MAX: Final = 256
Write = Callable[[sqlite3.Connection], object]


class Spool:
    """The queue. `append` is for the event loop, `append_from` for the thread of a source, the rest for the mill's."""

    def __init__(self, path: Path, *, disk: Disk, bytes_max: int, first_seq: int) -> None:
        """Open or begin the spool at *path*; a new one numbers its batches from *first_seq* on."""
        self._disk, self._bytes_max = disk, bytes_max
        self.arrived = threading.Event()
        self._writes: queue.SimpleQueue[tuple[Write, Future[None]] | None] = queue.SimpleQueue()
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(Envelope).decode
        self._log_path = path.with_name(f"{path.name}-wal")
        self._writer = self._open(path)
        self._reader = self._open(path)
        self._begin(first_seq)
        self._next_seq: int
        (self._next_seq,) = self._reader.execute("SELECT next_seq FROM spool").fetchone()
        self.batches: int
        self.bytes: int
        self.lines: int
        self.batches, self.bytes, self.lines = self._reader.execute(READ_TOTALS).fetchone()
        self._positions: dict[str, int] = dict(self._reader.execute(READ_POSITIONS).fetchall())
        self._unwritten_bytes = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._write_groups, name="spool", daemon=True)
        self._thread.start()

    async def append(self, envelope: Envelope, body: bytes) -> int:
        """Keep one batch; returns its sequence number once it is synced to disk. Raises Unavailable."""
        self._check_room(len(body))
        seq, done = self._add(envelope, body)
        try:
            # A sender that leaves does not undo what is on its way to the disk.
            await asyncio.shield(asyncio.wrap_future(done))
        except sqlite3.Error as cause:
            raise Unavailable from cause
        return seq

    def append_from(self, source: str, position: int, envelope: Envelope, body: bytes) -> None:
        """Keep one batch of a *source* within the server, and up to which *position* it has been read, as one step.

        Waits for the disk: call it from the thread of the source, and not after `close`. Raises Unavailable.
        """
        self._check_room(len(body))
        _, done = self._add(envelope, body, lambda connection: connection.execute(KEEP_POSITION, (source, position)))
        try:
            done.result()
        except sqlite3.Error as cause:
            raise Unavailable from cause
        self._positions[source] = position

    def position(self, source: str) -> int:
        """Up to where the *source* has been read; 0 at its beginning."""
        return self._positions.get(source, 0)

    def rewind(self, source: str, position: int) -> None:
        """Let the *source* go on from another position, without a batch."""
        self._write(lambda connection: connection.execute(KEEP_POSITION, (source, position)))
        self._positions[source] = position

    def waiting(self, batches_max: int) -> list[tuple[int, int, int]]:
        """(sequence number, lines, bytes) of the oldest batches, in order of arrival."""
        return self._reader.execute(READ_SIZES, (batches_max,)).fetchall()

    def doubtful_seq(self) -> int:
        """The last batch that may be in the line store already, as its round was begun and not ended; else 0."""
        (seq,) = self._reader.execute(READ_DOUBTFUL).fetchone()
        return int(seq)

    def read(self, first_seq: int, last_seq: int) -> list[SpooledBatch]:
        """The batches of a range, in order."""
        rows = self._reader.execute(READ_RANGE, (first_seq, last_seq))
        return [SpooledBatch(seq=seq, envelope=self._decode(envelope), body=body) for seq, envelope, body in rows]

    def begin_milling(self, last_seq: int) -> None:
        """Note durably that batches up to this one go into the line store now."""
        self._write(lambda connection: connection.execute(KEEP_DOUBTFUL, (last_seq,)))

    def end_milling(self, first_seq: int, last_seq: int, milled: Iterable[SpooledBatch]) -> None:
        """Drop a range that the line store holds durably; *milled* are the batches that were in it."""

        def drop(connection: sqlite3.Connection) -> None:
            connection.execute(DROP_MILLED, (first_seq, last_seq))
            connection.execute(END_DOUBT, (last_seq,))

        self._write(drop)
        for batch in milled:
            self._count(-1, -len(batch.body), -batch.envelope.lines_count)

    def shrink(self) -> None:
        """Give back the disk space that a burst has left behind, while nothing waits. Failing to is no harm."""
        try:
            while not self.batches and self._give_back_some():
                pass
            if not self.batches and self._log_path.stat().st_size > LOG_BYTES_MAX:
                self._reader.execute(FOLD_LOG).fetchall()
        except (sqlite3.Error, OSError) as error:
            log.warning("spool.not_shrunk", error=repr(error))

    def set_aside(self, batch: SpooledBatch, reason: str, now_ms: int) -> None:
        """Keep a batch that cannot be milled apart from the queue, so that it blocks nothing and is not lost."""

        def move(connection: sqlite3.Connection) -> None:
            connection.execute(SET_ASIDE, (reason, now_ms, batch.seq))
            connection.execute(DROP_ONE, (batch.seq,))

        self._write(move)
        self._count(-1, -len(batch.body), -batch.envelope.lines_count)

    @property
    def is_well(self) -> bool:
        """Whether batches can be kept: the writer lives, and there is room."""
        return self._thread.is_alive() and self._disk.has_room

    def close(self) -> None:
        """Finish what was submitted, sync, and close."""
        self._writes.put(None)
        self._thread.join()
        self._reader.close()
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _open(self, path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        connection.executescript(OPEN)
        return connection

    def _begin(self, first_seq: int) -> None:
        schema = files("logboom.spool").joinpath("schema.sql").read_text(encoding="utf-8")
        self._writer.executescript(schema)
        self._writer.execute(BEGIN_SPOOL, (first_seq,))

    def _check_room(self, size: int) -> None:
        if self.bytes + size > self._bytes_max:
            raise Unavailable("The server has more lines waiting than it may keep. Please retry.")
        if self._unwritten_bytes > UNWRITTEN_BYTES_MAX:
            raise Unavailable("The server's disk does not keep up. Please retry.")
        if not self._disk.has_room:
            raise Unavailable("The server has too little free disk space. Please retry.")

    def _give_back_some(self) -> bool:
        """Shorten the file by some pages, so few that a batch which arrives meanwhile does not wait for them."""
        (free_pages,) = self._reader.execute(FREE_PAGES).fetchone()
        if free_pages <= FREE_PAGES_MAX:
            return False
        self._write(_give_back)
        return True

    def _add(self, envelope: Envelope, body: bytes, also: Write | None = None) -> tuple[int, Future[None]]:
        """Number a batch and hand it to the writer, as one step: the writer meets numbers in their order.

        *also* is written in the same transaction.
        """
        encoded = self._encode(envelope)
        with self._lock:
            seq = self._next_seq
            self._next_seq += 1
            done = self._submit(_insertion(seq, encoded, body, envelope.lines_count, also))
            self._unwritten_bytes += len(body)
        self._count(1, len(body), envelope.lines_count)

        def settle(written: Future[None]) -> None:
            with self._lock:
                self._unwritten_bytes -= len(body)
            if written.exception():
                self._count(-1, -len(body), -envelope.lines_count)
            else:
                self.arrived.set()

        done.add_done_callback(settle)
        return seq, done

    def _count(self, batches: int, size: int, lines: int) -> None:
        with self._lock:
            self.batches += batches
            self.bytes += size
            self.lines += lines

    def _submit(self, write: Write) -> Future[None]:
        done: Future[None] = Future()
        self._writes.put((write, done))
        return done

    def _write(self, write: Write) -> None:
        self._submit(write).result()

    def _write_groups(self) -> None:
        while (first := self._writes.get()) is not None:
            group = [first, *self._also_waiting()]
            error = self._commit(write for write, _ in group)
            for _, done in group:
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)

    def _also_waiting(self) -> Iterable[tuple[Write, Future[None]]]:
        for _ in range(GROUP_MAX):
            try:
                item = self._writes.get_nowait()
            except queue.Empty:
                return
            if item is None:
                self._writes.put(None)
                return
            yield item

    def _commit(self, writes: Iterable[Write]) -> Exception | None:
        """Run a group in one transaction. The whole group fails together: none of it has been acknowledged."""
        connection = self._writer
        try:
            connection.execute("BEGIN IMMEDIATE")
            for write in writes:
                write(connection)
            connection.execute(KEEP_NEXT_SEQ, (self._next_seq,))
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 -- the edge of this thread: it must outlive a full disk
            log.error("spool.commit_failed", error=repr(error))
            with suppress(sqlite3.Error):
                connection.rollback()
            return error
        return None


def _give_back(connection: sqlite3.Connection) -> None:
    for _ in range(PAGES_AT_ONCE):
        connection.execute(GIVE_BACK)


def _insertion(seq: int, envelope: bytes, body: bytes, lines_count: int, also: Write | None) -> Write:
    def insert(connection: sqlite3.Connection) -> None:
        connection.execute(ADD_BATCH, (seq, envelope, body, lines_count))
        if also:
            also(connection)

    return insert
