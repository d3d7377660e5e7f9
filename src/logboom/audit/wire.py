"""The JSON of `/api/audit`, and of the log lines that audit events become."""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from starlette.datastructures import QueryParams

from logboom.audit.chain import HASH_BYTES, Head, Verification
from logboom.audit.event import Action, AuditRow, EventFilter
from logboom.errors import Detail, ValidationFailed
from logboom.limits import AUDIT_PAGE_MAX

LINE_APP: Final = "logboom-audit"  # the app of the lines that audit events become
# What somebody should look at; its lines have the level `warn`, all others `info`.
NOTABLE: Final = frozenset(
    {
        Action.KEY_EXPOSED,
        Action.KEY_IMPORT_REFUSED,
        Action.KEY_LEAKED,
        Action.KEY_LIMIT_REFUSED,
        Action.KEY_REFUSED,
        Action.KEY_USED_AFTER_END,
    }
)

NEWEST_FIRST, OLDEST_FIRST = "tail", "head"  # the words of the export
NUMBER = re.compile(r"[0-9]{1,15}")
SEQ = re.compile(r"[1-9][0-9]{0,14}")
SUBJECT_ID = re.compile(r"[0-9a-z]{1,64}")
HASH_DIGITS: Final = 2 * HASH_BYTES
HASH = re.compile(rf"[0-9a-f]{{{HASH_DIGITS}}}")


def parse_filter(query: QueryParams) -> EventFilter:
    """`action` (a comma list), `key`, `from`, `to`, `prefer`, `limit`, `after`. Raises ValidationFailed."""
    limit = _number(query, "limit")
    prefer = query.get("prefer", NEWEST_FIRST)
    if prefer not in (NEWEST_FIRST, OLDEST_FIRST):
        raise _broken("prefer", f"must be one of [{OLDEST_FIRST}, {NEWEST_FIRST}]")
    if limit is not None and not 1 <= limit <= AUDIT_PAGE_MAX:
        raise _broken("limit", f"must be a number from 1 to {AUDIT_PAGE_MAX}")
    return EventFilter(
        actions=_actions(query.get("action")),
        subject_id=_matching(query, "key", SUBJECT_ID, "must be the id of a key"),
        from_ms=_number(query, "from"),
        to_ms=_number(query, "to"),
        after_seq=_number(query, "after"),
        oldest_first=prefer == OLDEST_FIRST,
        limit=limit or AUDIT_PAGE_MAX,
    )


def parse_witness(query: QueryParams) -> Head | None:
    """`seq` and `hash` of an event that was seen earlier. Raises ValidationFailed."""
    seq = _matching(query, "seq", SEQ, "must be a number from 1 on")
    digits = _matching(query, "hash", HASH, f"must be {HASH_DIGITS} lowercase hex digits")
    if (seq is None) != (digits is None):
        absent = "seq" if seq is None else "hash"
        raise _broken(absent, "is required beside the other one of seq and hash")
    return None if seq is None or digits is None else Head(seq=int(seq), hash=bytes.fromhex(digits))


def render_event(row: AuditRow) -> dict[str, object]:
    """All of an event but the account, which whoever reads it knows."""
    event = row.event
    return {
        "seq": row.seq,
        "at_ms": event.at_ms,
        "action": event.action.value,
        "actor": {"kind": event.actor.kind.value, "id": event.actor.id, "name": event.actor.name},
        "door": event.door.value,
        "address": event.address,
        "user_agent": event.user_agent,
        "request_id": event.request_id,
        "subject": {"kind": event.subject_kind.value, "id": event.subject_id},
        "before": event.before,
        "after": event.after,
        "hash": row.hash.hex(),
    }


def render_events(rows: list[AuditRow], *, limit: int) -> dict[str, object]:
    """A page of at most *limit* of the *rows*; `next` is the next page's `after`, null on the last."""
    page = rows[:limit]
    return {"events": [render_event(row) for row in page], "next": page[-1].seq if len(rows) > limit else None}


def render_verification(verification: Verification) -> dict[str, object]:
    return {
        "ok": verification.ok,
        "rows": verification.rows,
        "first_bad_seq": verification.first_bad_seq,
        "since_ms": verification.since_ms,
        "head": {"seq": verification.head.seq, "hash": verification.head.hash.hex()},
    }


def render_line(row: AuditRow) -> str:
    """The text under which an event is kept as a log line too. Number and hash in it are a witness outside."""
    return msgspec.json.encode(render_event(row)).decode()


def render_lines(rows: Sequence[AuditRow]) -> bytes:
    """The body of a batch with the lines of *rows*, as the spool keeps it."""
    lines = [
        {
            "line": render_line(row),
            "timestamp": row.event.at_ms,
            "level": "warn" if row.event.action in NOTABLE else "info",
        }
        for row in rows
    ]
    return msgspec.json.encode(lines)


def _actions(listed: str | None) -> tuple[Action, ...]:
    if listed is None:
        return ()
    names: list[Any] = listed.split(",")
    if not set(names) <= set(Action):
        raise _broken("action", f"must be a list of [{', '.join(Action)}]")
    return tuple(Action(name) for name in names)


def _number(query: QueryParams, name: str) -> int | None:
    digits = _matching(query, name, NUMBER, "must be a number")
    return None if digits is None else int(digits)


def _matching(query: QueryParams, name: str, pattern: re.Pattern[str], rule: str) -> str | None:
    given = query.get(name)
    if given is not None and not pattern.fullmatch(given):
        raise _broken(name, rule)
    return given


def _broken(name: str, rule: str) -> ValidationFailed:
    return ValidationFailed(Detail(message=f'"{name}" {rule}', key=name))
