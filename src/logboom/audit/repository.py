"""Keeps the audit log in the control plane's database, and proves it.

A change and its audit row are one transaction. Writers meet at the head: on PostgreSQL they wait for its row, on SQLite
for each other. So `append` comes last in a transaction, after everything that may wait for another lock; the other
order would let two transactions wait for each other.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final

import structlog
from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, func, insert, select, text, update

from logboom.audit.chain import BROKEN_HASH, START, AuditKeys, Chain, Head, Verification
from logboom.audit.columns import columns_of, row_of
from logboom.audit.event import SYSTEM, Action, AuditEvent, AuditRow, Door, EventFilter, SubjectKind
from logboom.database.engine import after_commit, reading, writing
from logboom.database.tables import audit_events, audit_head, key_policies

log = structlog.get_logger(__name__)

BATCH_ROWS: Final = 1_000

# A head that another writer has made at the same moment is as good as ours.
INSERT_HEAD = text(
    "INSERT INTO audit_head (id, seq, hash, signature) VALUES (1, 0, :hash, :signature) ON CONFLICT DO NOTHING"
)


def _tell_nobody(_row: AuditRow) -> None:
    """What stands where nobody wants to know of events."""


class AuditLog:
    """The methods wait for the database: call them from a thread.

    *keys* tells the audit keys as they are now. *keep* gives what may be kept of a text that somebody else chose.
    *listener* is told of every row after its commit; what it fails with is logged and changes nothing.
    """

    def __init__(
        self,
        engine: Engine,
        keys: Callable[[], AuditKeys],
        now_ms: Callable[[], int],
        *,
        listener: Callable[[AuditRow], None] = _tell_nobody,
        keep: Callable[[str], str] = str,
    ) -> None:
        self._engine = engine
        self._keys = keys
        self._now_ms = now_ms
        self._listener = listener
        self._keep = keep
        self._newest = START  # what this process has written itself; the database must not fall behind it

    def begin(self) -> None:
        """Begin the chain of an installation that has none. Call it at every start, before anything is appended."""
        with writing(self._engine) as connection:
            if _newest_seq(connection) == 0:
                chain = self._alive()[0]
                connection.execute(INSERT_HEAD, {"hash": START.hash, "signature": chain.sign_head(START)})
                if self._lock_head(connection)[0] == START:
                    self.append(connection, self._begun())

    def append(self, connection: Connection, event: AuditEvent) -> AuditRow:
        """Add *event* to the transaction of *connection*, which `writing` opened. Let nothing follow that may wait."""
        (row,) = self._append_all(connection, [event])
        return row

    def record(self, event: AuditEvent) -> AuditRow:
        """Append *event* in a transaction of its own. Raises Unavailable."""
        with writing(self._engine) as connection:
            return self.append(connection, event)

    def record_all(self, events: Iterable[AuditEvent]) -> list[AuditRow]:
        """Append *events* in one transaction, which costs one sync of the disk. Raises Unavailable."""
        with writing(self._engine) as connection:
            return self._append_all(connection, events)

    def is_signed_by_newest(self) -> bool:
        """Whether the newest audit key is in use. Raises Unavailable."""
        with reading(self._engine) as connection:
            signed = self._genuine(connection.execute(select(audit_head)).mappings().one_or_none())
        return signed is not None and signed[1] == len(self._keys().alive) - 1

    def begin_newest(self, event: AuditEvent) -> None:
        """Sign with the newest audit key from *event* on, unless that is in use. Raises Unavailable."""
        with writing(self._engine) as connection:
            head, chain = self._lock_head(connection)
            newest = self._alive()[-1]
            if chain.sign_head(head) != newest.sign_head(head):
                self._append_behind(connection, head, newest, [event])

    def _append_all(self, connection: Connection, events: Iterable[AuditEvent]) -> list[AuditRow]:
        head, chain = self._lock_head(connection)
        return self._append_behind(connection, head, chain, events)

    def _append_behind(
        self, connection: Connection, head: Head, chain: Chain, events: Iterable[AuditEvent]
    ) -> list[AuditRow]:
        rows: list[dict[str, Any]] = []
        for event in events:
            columns = columns_of(head.seq + 1, event.with_texts(self._keep))
            head = Head(seq=head.seq + 1, hash=chain.link(head.hash, columns))
            rows.append(columns | {"hash": head.hash})
        if rows:
            connection.execute(insert(audit_events), rows)
            changed = {"seq": head.seq, "hash": head.hash, "signature": chain.sign_head(head)}
            connection.execute(update(audit_head).values(changed))
        appended = [row_of(columns) for columns in rows]
        for row in appended:
            after_commit(connection, partial(self._tell, row))
        return appended

    def list_events(self, account_id: str, wanted: EventFilter) -> list[AuditRow]:
        """The account's events in the order that is wanted."""
        conditions = [audit_events.c.account_id == account_id, *_conditions(wanted)]
        order = audit_events.c.seq if wanted.oldest_first else audit_events.c.seq.desc()
        rows = select(audit_events).where(*conditions).order_by(order).limit(wanted.limit)
        with reading(self._engine) as connection:
            return [row_of(row) for row in connection.execute(rows).mappings()]

    def export(self, account_id: str) -> Iterator[AuditRow]:
        """All of the account's events, oldest first, in constant memory."""
        return map(row_of, self._rows(audit_events.c.account_id == account_id))

    def newest_seq(self) -> int:
        with reading(self._engine) as connection:
            return _newest_seq(connection)

    def accounts_with_lines(self) -> list[str]:
        """The accounts that want their events as lines too. One that has not said so does not."""
        wanting = select(key_policies.c.account_id).where(key_policies.c.audit_lines)
        with reading(self._engine) as connection:
            return list(connection.execute(wanting.order_by(key_policies.c.account_id)).scalars())

    def find_head(self) -> Head | None:
        """The head, if there is a genuine one."""
        with reading(self._engine) as connection:
            signed = self._genuine(connection.execute(select(audit_head)).mappings().one_or_none())
        return signed and signed[0]

    def verify(self, *, witness: Head | None = None) -> Verification:
        """Prove every row, in constant memory. *witness* is a head that was kept elsewhere: it must be in the chain.

        A witness finds what nothing within the database can find: that all of it was put back to an older state.
        """
        stored = self.find_head()
        witnesses = [head for head in (stored, self._newest, witness) if head]
        keys = self._keys()
        earlier = [Chain(sign) for sign in keys.earlier]
        chains = [*earlier, *(Chain(sign) for sign in keys.alive)]
        proven, since_ms = START, None
        for row in self._rows():
            # Once a key has been rotated in, an earlier one proves nothing any more.
            while chains and not self._continues(proven, row, witnesses, chains[0]):
                del chains[0]
            if not chains:
                return Verification(rows=proven.seq, head=proven, since_ms=since_ms, first_bad_seq=proven.seq + 1)
            since_ms = row["at_ms"] if proven == START else since_ms
            proven = Head(seq=row["seq"], hash=row["hash"])
        is_at_end = stored is not None and all(head.seq <= proven.seq for head in witnesses)
        is_whole = is_at_end and len(chains) <= len(keys.alive)
        first_bad_seq = None if is_whole else proven.seq + 1
        return Verification(rows=proven.seq, head=proven, since_ms=since_ms, first_bad_seq=first_bad_seq)

    @staticmethod
    def _continues(proven: Head, row: RowMapping, witnesses: list[Head], chain: Chain) -> bool:
        """Whether *row* is the genuine one behind *proven*."""
        is_linked = row["seq"] == proven.seq + 1 and row["hash"] == chain.link(proven.hash, row)
        return is_linked and all(head.hash == row["hash"] for head in witnesses if head.seq == row["seq"])

    def _rows(self, *conditions: ColumnElement[bool]) -> Iterator[RowMapping]:
        """Rows in the order of the chain. Each batch is a transaction: a long one would hold up the database's upkeep.

        Nothing is lost between two of them, as rows are only ever added behind.
        """
        seq = 0
        while True:
            behind = select(audit_events).where(audit_events.c.seq > seq, *conditions)
            with reading(self._engine) as connection:
                batch = connection.execute(behind.order_by(audit_events.c.seq).limit(BATCH_ROWS)).mappings().all()
            yield from batch
            if len(batch) < BATCH_ROWS:
                return
            seq = batch[-1]["seq"]

    def _alive(self) -> list[Chain]:
        return [Chain(sign) for sign in self._keys().alive]

    def _lock_head(self, connection: Connection) -> tuple[Head, Chain]:
        """The row to chain the next one to, and under which key, kept from other writers until the end."""
        # The lock comes alone: what is read in the same statement might be as old as the wait for it was long.
        locked = select(audit_head).with_for_update()
        stored = connection.execute(locked).mappings().one_or_none()
        if stored is None:
            connection.execute(INSERT_HEAD, {"hash": BROKEN_HASH, "signature": b""})
            stored = connection.execute(locked).mappings().one()
        signed, newest_seq = self._genuine(stored), _newest_seq(connection)
        chains = self._alive()
        if signed and signed[0].seq == newest_seq >= self._newest.seq:
            return signed[0], chains[signed[1]]
        seq = max(stored["seq"], newest_seq, self._newest.seq)
        log.error("audit.broken", seq=seq + 1, effect="the audit log cannot be proven from here on")
        return Head(seq=seq, hash=BROKEN_HASH), chains[-1]

    def _genuine(self, stored: RowMapping | None) -> tuple[Head, int] | None:
        """The head, if it is genuine, and which of the keys that are alive has signed it."""
        if stored is None:
            return None
        head = Head(seq=stored["seq"], hash=stored["hash"])
        signatures = [chain.sign_head(head) for chain in self._alive()]
        return (head, signatures.index(stored["signature"])) if stored["signature"] in signatures else None

    def _tell(self, row: AuditRow) -> None:
        if row.seq > self._newest.seq:
            self._newest = Head(seq=row.seq, hash=row.hash)
        try:
            self._listener(row)
        except Exception:  # the change is committed: whoever made it must not be told that it failed
            log.exception("audit.line_lost", seq=row.seq, effect="the row is kept, its log line is not")

    def _begun(self) -> AuditEvent:
        return AuditEvent(
            account_id=None,
            action=Action.AUDIT_BEGUN,
            actor=SYSTEM,
            door=Door.SERVER,
            subject_kind=SubjectKind.SERVER,
            at_ms=self._now_ms(),
        )


def _newest_seq(connection: Connection) -> int:
    newest: int | None = connection.execute(select(func.max(audit_events.c.seq))).scalar_one()
    return newest or 0


def _conditions(wanted: EventFilter) -> Iterator[ColumnElement[bool]]:
    columns: Any = audit_events.c
    if wanted.actions:
        yield columns.action.in_([action.value for action in wanted.actions])
    if wanted.subject_id is not None:
        yield columns.subject_id == wanted.subject_id
    if wanted.from_ms is not None:
        yield columns.at_ms >= wanted.from_ms
    if wanted.to_ms is not None:
        yield columns.at_ms <= wanted.to_ms
    if wanted.after_seq is not None:
        yield columns.seq > wanted.after_seq if wanted.oldest_first else columns.seq < wanted.after_seq
