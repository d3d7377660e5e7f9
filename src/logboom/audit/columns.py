"""Events as the columns of a row, and back. What is signed are the columns as they are stored."""

import json
from collections.abc import Mapping
from typing import Any, Final

from logboom.audit.chain import Columns
from logboom.audit.event import Action, Actor, ActorKind, AuditEvent, AuditRow, Door, SubjectKind
from logboom.database.tables import audit_events

# Names, agents and addresses come from outside: longer ones are cut to what their column takes.
CHARACTERS_MAX: Final = {
    name: getattr(audit_events.c[name].type, "length")  # noqa: B009 -- only types of texts have one
    for name in ("actor_id", "actor_name", "address", "user_agent", "request_id", "subject_id")
}


def columns_of(seq: int, event: AuditEvent) -> dict[str, Any]:
    """All columns but the hash."""
    texts = {
        "actor_id": event.actor.id,
        "actor_name": event.actor.name,
        "address": event.address,
        "user_agent": event.user_agent,
        "request_id": event.request_id,
        "subject_id": event.subject_id,
    }
    fixed = {
        "seq": seq,
        "account_id": event.account_id,
        "action": event.action.value,
        "actor_kind": event.actor.kind.value,
        "door": event.door.value,
        "subject_kind": event.subject_kind.value,
        "before": _json(event.before),
        "after": _json(event.after),
        "at_ms": event.at_ms,
    }
    return fixed | {name: _fit(text, CHARACTERS_MAX[name]) for name, text in texts.items()}


def row_of(columns: Columns) -> AuditRow:
    event = AuditEvent(
        account_id=columns["account_id"],
        action=Action(columns["action"]),
        actor=Actor(kind=ActorKind(columns["actor_kind"]), id=columns["actor_id"], name=columns["actor_name"]),
        door=Door(columns["door"]),
        subject_kind=SubjectKind(columns["subject_kind"]),
        subject_id=columns["subject_id"],
        address=columns["address"],
        user_agent=columns["user_agent"],
        request_id=columns["request_id"],
        before=columns["before"] and json.loads(columns["before"]),
        after=columns["after"] and json.loads(columns["after"]),
        at_ms=columns["at_ms"],
    )
    return AuditRow(seq=columns["seq"], event=event, hash=columns["hash"])


def _json(content: Mapping[str, object] | None) -> str | None:
    if content is None:
        return None
    return _encodable(json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


def _fit(text: str | None, characters_max: int) -> str | None:
    # PostgreSQL keeps no NUL in a text.
    return None if text is None else _encodable(text.replace("\0", "\ufffd"))[:characters_max]


def _encodable(text: str) -> str:
    """The text with a question mark for every half of a character, which no database keeps."""
    return text.encode("utf-8", "replace").decode()
