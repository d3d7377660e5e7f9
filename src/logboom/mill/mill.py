"""The mill takes batches from the spool, turns their bodies into lines with SQL, and puts them into the line store.

It runs in a thread of its own; the engine lets go of Python's lock. The end of a round is noted
on disk before its insert starts, so that a round which was cut off is repeated without what the store has already.
Only what the store holds durably leaves the spool.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import Counter, Histogram

from logboom import limits
from logboom.errors import MalformedBatch
from logboom.mill.mend import has_plain_lines, mend_lines
from logboom.mill.round import write_round
from logboom.query import Parameter
from logboom.spool import Spool, SpooledBatch
from logboom.store import Engine, EngineError, LineStore, Rows

log = structlog.get_logger(__name__)

STAGES: Final = ("cut", "time", "parse", "level")
ROUND_BYTES_MAX: Final = 96 * 1024 * 1024  # of bodies at once, whatever the number of lines
BATCHES_MAX: Final = 10_000
# ClickHouse's numbers for what rows can be guilty of: texts, numbers, dates, types and sizes, and memory (241).
CODES_OF_ROWS: Final = frozenset({6, 26, 27, 36, 38, 41, 43, 53, 69, 70, 72, 117, 128, 131, 190, 241, 349, 407})
POSITION_BITS: Final = 21  # of a line id: the place in the batch. limits.BATCH_LINES_MAX, rows.sql
FAILURES_BEFORE_SET_ASIDE: Final = 3  # of one batch alone, for a reason that is not the disk's
RETRY_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
# Words for severity in capitals, anywhere in the head of a line; and in any case where brackets or `level=` mark them.
LEVELS: Final = "emerg(?:ency)?|alert|crit(?:ical)?|fatal|severe|err(?:or)?|warn(?:ing)?|notice|info|debug|trace"
LOUD_LEVEL: Final = rf"(?:^|[^A-Za-z])({LEVELS.upper()})(?:[^A-Za-z]|$)"
QUIET_LEVEL: Final = rf"(?i:(?:level|lvl|severity)\s*[=:]\s*\"?|\[|<)((?i:{LEVELS}))(?:[^A-Za-z]|$)"
COUNT_EXPLODED: Final = "SELECT seq, count(), countIf(line = '') FROM mill.exploded GROUP BY seq FORMAT TSV"
EMPTY_EXPLODED: Final = "TRUNCATE TABLE mill.exploded"
PARAMETERS: Final[dict[str, Parameter]] = {
    "line_bytes_max": limits.LINE_BYTES_MAX,
    "meta_bytes_max": limits.META_BYTES_MAX,
    "host_characters_max": limits.HOST_CHARACTERS_MAX,
    "app_characters_max": limits.APP_CHARACTERS_MAX,
    "level_characters_max": limits.LEVEL_CHARACTERS_MAX,
    "tag_characters_max": limits.TAG_CHARACTERS_MAX,
    "tags_max": limits.TAGS_MAX,
    "file_characters_max": limits.FILE_CHARACTERS_MAX,
    "fields_max": limits.FIELDS_MAX,
    "path_bytes_max": limits.PATH_BYTES_MAX,
    "future_ms_max": limits.FUTURE_MS_MAX,
    "loud_level": LOUD_LEVEL,
    "quiet_level": QUIET_LEVEL,
}


@dataclass(frozen=True)
class MillMetrics:
    """What the operator sees of the mill."""

    lines: Counter
    poison: Counter
    round_seconds: Histogram


class Mill:
    """The thread between spool and store."""

    def __init__(
        self,
        *,
        spool: Spool,
        store: LineStore,
        engine: Engine,
        folder: Path,
        metrics: MillMetrics,
        batch_lines: int,
        interval_s: float,
    ) -> None:
        self._spool, self._store, self._engine, self._metrics = spool, store, engine, metrics
        self._path = folder / "round.bin"
        self._batch_lines, self._interval_s = batch_lines, interval_s
        self._stopping = threading.Event()
        self._explode = _sql("explode")
        self._rows = assemble_rows()
        self._thread = threading.Thread(target=self._run, name="mill", daemon=True)
        self.ready = threading.Event()
        self.failures = 0  # in a row
        self._batches_max = BATCHES_MAX
        self._doubtful_seq = spool.doubtful_seq()  # up to here the store may hold lines already
        engine.execute(_sql("tables"))

    def start(self) -> None:
        """Repeat what a crash interrupted, then mill what arrives until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the round at hand and end. What is left stays in the spool."""
        self._stopping.set()
        self._spool.arrived.set()
        self._thread.join()

    @property
    def is_well(self) -> bool:
        """Whether rounds are being done, and the last one was."""
        return self.ready.is_set() and self._thread.is_alive() and not self.failures

    def _run(self) -> None:
        """Round after round. What fails is tried again in smaller rounds; the spool keeps the lines meanwhile."""
        if not self._doubtful_seq:
            self.ready.set()
        while not self._stopping.is_set():
            seqs: list[int] = []
            try:
                seqs = self._next_seqs()
                if not seqs or seqs[0] > self._doubtful_seq:
                    self.ready.set()
                if seqs:
                    self._mill(seqs[0], seqs[-1])
            except Exception as error:  # noqa: BLE001 -- the edge of this thread: it must outlive a full disk
                self._learn(error, seqs)
            else:
                self.failures, self._batches_max = 0, min(self._batches_max * 2, BATCHES_MAX)

    def _learn(self, error: Exception, seqs: list[int]) -> None:
        """After a failure: halve the rounds, and set a batch aside that fails alone for a reason of its own."""
        self.failures += 1
        log.error("mill.round_failed", batches=len(seqs), error=repr(error), failures=self.failures)
        if len(seqs) > 1:
            self._batches_max = len(seqs) // 2
        elif seqs and self.failures >= FAILURES_BEFORE_SET_ASIDE and _is_about_the_rows(error):
            for batch in self._spool.read(seqs[0], seqs[0]):
                self._set_aside(batch, "the engine cannot turn the body into lines")
        self._stopping.wait(RETRY_S[min(self.failures, len(RETRY_S)) - 1])

    def _next_seqs(self) -> list[int]:
        """The oldest batches that fit into one round; waits for some, and a moment longer for more."""
        self._spool.arrived.clear()
        waiting = self._spool.waiting(self._batches_max)
        if not waiting:
            self._spool.arrived.wait(timeout=1.0)
            if self._stopping.is_set() or not self._spool.arrived.is_set():
                return []
            self._wait_for_more()
            waiting = self._spool.waiting(self._batches_max)
        return _seqs_of_round(waiting, self._batch_lines)

    def _wait_for_more(self) -> None:
        until = time.monotonic() + self._interval_s
        while self._spool.lines < self._batch_lines and (left := until - time.monotonic()) > 0:
            self._stopping.wait(min(left, 0.05))

    def _mill(self, first_seq: int, last_seq: int) -> None:
        again = first_seq <= self._doubtful_seq
        with self._metrics.round_seconds.time():
            self._spool.begin_milling(last_seq)
            self._doubtful_seq = max(self._doubtful_seq, last_seq)
            batches = self._explode_soundly(self._spool.read(first_seq, last_seq))
            if batches:
                self._store.append(self._rows_of(first_seq, last_seq), again=again)
            self._spool.end_milling(first_seq, last_seq, batches)
        lines = sum(batch.envelope.lines_count for batch in batches)
        self._metrics.lines.inc(lines)
        log.debug("mill.round", batches=len(batches), lines=lines)
        self._path.unlink(missing_ok=True)
        self._spool.shrink()

    def _rows_of(self, first_seq: int, last_seq: int) -> Rows:
        return Rows(
            sql=self._rows,
            parameters=PARAMETERS,
            first_id=first_seq << POSITION_BITS,
            last_id=((last_seq + 1) << POSITION_BITS) - 1,
        )

    def _explode_soundly(self, batches: list[SpooledBatch]) -> list[SpooledBatch]:
        """Explode the batches so that each gives exactly the lines the door counted: mended, or set aside."""
        unsound = self._explode_all(batches)
        if not unsound:
            return batches
        batches = [_mended(batch) if batch.seq in unsound else batch for batch in batches]
        short = {seq for seq, is_short in self._explode_all(batches).items() if is_short}
        for batch in batches:
            if batch.seq in short:
                self._set_aside(batch, "the body does not give the lines that were counted")
        batches = [batch for batch in batches if batch.seq not in short]
        if short and batches:
            self._explode_all(batches)
        return batches

    def _set_aside(self, batch: SpooledBatch, reason: str) -> None:
        log.error("mill.batch_set_aside", seq=batch.seq, account_id=batch.envelope.account_id, reason=reason)
        self._metrics.poison.inc()
        self._spool.set_aside(batch, reason, _now_ms())

    def _explode_all(self, batches: Sequence[SpooledBatch]) -> dict[int, bool]:
        """Fill mill.exploded. The batches that want mending, with whether they gave too few or too many lines."""
        write_round(self._path, batches)
        self._engine.execute(EMPTY_EXPLODED)
        self._engine.execute(self._explode, {"path": str(self._path)})
        found = {}
        for row in self._engine.query(COUNT_EXPLODED).splitlines():
            seq, lines, empty = map(int, row.split(b"\t"))
            found[seq] = (lines, empty)
        unsound = {}
        for batch in batches:
            lines, empty = found.get(batch.seq, (0, 0))
            if lines != batch.envelope.lines_count or (empty and not has_plain_lines(batch.body)):
                unsound[batch.seq] = lines != batch.envelope.lines_count
        return unsound


def assemble_rows() -> str:
    """The stages as one SELECT: each reads the one before it by its name."""
    stages = ["exploded AS (SELECT * FROM mill.exploded)", *(f"{name} AS (\n{_sql(name)})" for name in STAGES)]
    return f"WITH {', '.join(stages)}\n{_sql('rows')}"


def _seqs_of_round(waiting: Sequence[tuple[int, int, int]], lines_max: int) -> list[int]:
    """The numbers of the oldest batches within the bounds of a round; one batch always fits."""
    seqs: list[int] = []
    lines = size = 0
    for seq, lines_count, body_bytes in waiting:
        lines, size = lines + lines_count, size + body_bytes
        if seqs and (lines > lines_max or size > ROUND_BYTES_MAX):
            break
        seqs.append(seq)
    return seqs


def _is_about_the_rows(error: Exception) -> bool:
    """Whether the engine failed for what is in the rows; a failing disk is no reason to set lines aside."""
    cause = error if isinstance(error, EngineError) else error.__cause__
    return isinstance(cause, EngineError) and cause.code in CODES_OF_ROWS


def _mended(batch: SpooledBatch) -> SpooledBatch:
    try:
        return replace(batch, body=mend_lines(batch.body))
    except MalformedBatch:
        return batch


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _sql(name: str) -> str:
    return files("logboom.mill").joinpath(f"{name}.sql").read_text(encoding="utf-8")
