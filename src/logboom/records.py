"""What happens to keys, written into the audit log: the keys know nothing of the log, nor the log of keys."""

import socket
from collections.abc import Callable
from dataclasses import asdict, replace

import structlog
from sqlalchemy import Connection

from logboom.audit.event import SYSTEM, Action, Actor, ActorKind, AuditEvent, Door, EventFilter, SubjectKind
from logboom.audit.repository import AuditLog
from logboom.keys.change import Actor as KeyActor
from logboom.keys.change import KeyAction, KeyChange
from logboom.keys.key import Key
from logboom.keys.leak import Leak
from logboom.keys.policy import KeyPolicy, OnLeak, PolicyChange

HOUR_MS = 3_600_000
REVEALS_REMEMBERED_MAX = 10_000

# What the server does by itself to a key that has leaked.
ANSWERS_TO_LEAKS = (Action.KEY_HELD, Action.KEY_ROTATED, Action.KEY_DISABLED)

Subject = tuple[str, SubjectKind, str]  # account, kind and id of what an event is about


class KeyRecords:
    """The listeners that `Keys` is given."""

    def __init__(self, audit: AuditLog, *, now_ms: Callable[[], int]) -> None:
        self._audit, self._now_ms = audit, now_ms
        self._reveals: set[tuple[str, str | None, int]] = set()

    def record_change(self, connection: Connection, change: KeyChange) -> None:
        """Add the change to the audit log within its own transaction: neither is there without the other."""
        event = _event(
            Action(f"key.{change.action.value}"),
            _subject(change.after),
            change.actor,
            at_ms=change.at_ms,
            before=_facts(change.before) if change.before else None,
            after=_facts(change.after) | _warning(change),
        )
        self._audit.append(connection, event)

    def record_clock_step(self, back_ms: int) -> None:
        """Note that the clock of this server was put back. It is the installation's own: no account sees it."""
        event = AuditEvent(
            account_id=None,
            action=Action.CLOCK_STEPPED,
            actor=Actor(kind=ActorKind.SYSTEM),
            door=Door.SERVER,
            subject_kind=SubjectKind.SERVER,
            at_ms=self._now_ms(),
            after={"back_ms": back_ms, "host": socket.gethostname()},
        )
        self._audit.record(event)

    def record_policy(self, connection: Connection, change: PolicyChange) -> None:
        """Add the change of a policy to the audit log within its own transaction."""
        event = _event(
            Action.POLICY_CHANGED,
            (change.account_id, SubjectKind.POLICY, change.account_id),
            change.actor,
            at_ms=change.at_ms,
            before=_policy_facts(change.before),
            after=_policy_facts(change.after),
        )
        self._audit.append(connection, event)

    def record_leak(self, connection: Connection, leak: Leak, policy: OnLeak, at_ms: int) -> None:
        """Add to the log of the key's account that a value was found. Whose the lines are is told only if they are its.

        *policy* is what the account wants done; what was done has an event of its own.
        """
        found = {"generation": leak.caller.generation, "app": leak.app, "host": leak.host}
        event = AuditEvent(
            account_id=leak.caller.account_id,
            action=Action.KEY_LEAKED,
            actor=SYSTEM,
            door=Door.INGEST,
            subject_kind=SubjectKind.KEY,
            subject_id=leak.caller.key_id,
            at_ms=at_ms,
            after=found | {"kind": leak.caller.kind.value, "in_own_lines": leak.is_own, "policy": policy.value},
        )
        self._audit.append(connection, event)

    def is_leak_answered(self, key: Key) -> bool:
        """Whether the server has held, rotated or disabled the key by itself since it has the value that it has."""
        wanted = EventFilter(actions=ANSWERS_TO_LEAKS, subject_id=key.id)
        while rows := self._audit.list_events(key.account_id, wanted):
            for row in rows:
                before = row.event.before or {}
                if row.event.actor.kind is ActorKind.SYSTEM and before.get("generation") == key.generation:
                    return True
            wanted = replace(wanted, after_seq=rows[-1].seq)
        return False

    def record_reveal(self, key: Key, actor: KeyActor) -> None:
        """Note that a value was shown. A program that reads the same key again and again is noted once an hour."""
        now_ms = self._now_ms()
        reveal = (key.id, actor.key_id, now_ms // HOUR_MS)
        if reveal in self._reveals:
            return
        self._audit.record(_event(Action.KEY_REVEALED, _subject(key), actor, at_ms=now_ms, before=None, after=None))
        if len(self._reveals) >= REVEALS_REMEMBERED_MAX:
            self._reveals.clear()
        self._reveals.add(reveal)


def _event(
    action: Action,
    subject: Subject,
    actor: KeyActor,
    *,
    at_ms: int,
    before: dict[str, object] | None,
    after: dict[str, object] | None,
) -> AuditEvent:
    account_id, subject_kind, subject_id = subject
    context = structlog.contextvars.get_contextvars()
    return AuditEvent(
        account_id=account_id,
        action=action,
        actor=Actor(kind=ActorKind(actor.kind.value), id=actor.key_id),
        door=_door(context.get("route")),
        subject_kind=subject_kind,
        subject_id=subject_id,
        at_ms=at_ms,
        address=actor.address,
        user_agent=actor.user_agent,
        request_id=context.get("request_id", ""),
        before=before,
        after=after,
    )


def _subject(key: Key) -> Subject:
    return key.account_id, SubjectKind.KEY, key.id


def _door(route: str | None) -> Door:
    if route is None:
        return Door.SERVER
    return Door.API if route.startswith("/api/") else Door.COMPATIBLE


def _facts(key: Key) -> dict[str, object]:
    """What a key is, without its value."""
    return {
        "kind": key.kind.value,
        "name": key.name,
        "note": key.note,
        "labels": [f"{name}={text}" for name, text in key.labels.items()],
        "owner": key.owner,
        "state": key.state.value,
        "format": key.format.value,
        "reveal": key.reveal.value,
        "generation": key.generation,
        "held_until_ms": key.held_until_ms,
        "not_before_ms": key.not_before_ms,
        "expires_at_ms": key.expires_at_ms,
    }


def _warning(change: KeyChange) -> dict[str, object]:
    """How many days before the expiry it was told."""
    return {"days": change.after.expiry_warned_days} if change.action is KeyAction.EXPIRING else {}


def _policy_facts(policy: KeyPolicy) -> dict[str, object]:
    return asdict(policy)
