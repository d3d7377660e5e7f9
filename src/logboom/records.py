"""What happens to keys, written into the audit log: the keys know nothing of the log, nor the log of keys.

A change and its event are one transaction. A value is shown after its event is there. Refusals are noted within the
request and recorded by a thread; alike ones are merged, so that a program that goes on being refused fills nothing.
"""

import socket
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, replace
from functools import partial
from threading import Event
from typing import Final

import structlog
from sqlalchemy import Connection
from starlette.requests import Request

from logboom.accounts.account import Account
from logboom.audit.event import SYSTEM, Action, Actor, ActorKind, AuditEvent, Door, EventFilter, SubjectKind
from logboom.audit.merged import Merged
from logboom.audit.repository import AuditLog
from logboom.errors import KeyLimitReached, ValidationFailed
from logboom.keys.actor import actor_of
from logboom.keys.change import FIRST_START, KeyAction, KeyChange
from logboom.keys.change import Actor as KeyActor
from logboom.keys.change import ActorKind as KeyActorKind
from logboom.keys.credentials import Carrier
from logboom.keys.key import Key
from logboom.keys.leak import Leak
from logboom.keys.policy import KeyPolicy, OnLeak, PolicyChange
from logboom.keys.scopes import render_scopes
from logboom.keys.terms import render_term
from logboom.keys.verdict import ENDED, Refusal, Refused
from logboom.members.member import Member

MINUTE_S: Final = 60.0
HOUR_S: Final = 3_600.0

# What the server does by itself to a key that has leaked.
ANSWERS_TO_LEAKS: Final = (Action.KEY_HELD, Action.KEY_ROTATED, Action.KEY_DISABLED)

Subject = tuple[str, SubjectKind, str]  # account, kind and id of what an event is about


class KeyRecords:
    """The listeners that keys, policies, accounts, members and the gate are given.

    *now_ms* is the wall clock, *now_s* a monotonic one; *woken* is set when `record_merged` has something to do.
    """

    def __init__(
        self,
        audit: AuditLog,
        *,
        now_ms: Callable[[], int],
        now_s: Callable[[], float],
        woken: Event,
        on_dropped: Callable[[int], object],
    ) -> None:
        self._audit, self._now_ms = audit, now_ms
        merged = partial(Merged, audit, now_s=now_s, woken=woken, on_dropped=on_dropped)
        self._refusals, self._reveals = merged(window_s=HOUR_S), merged(window_s=HOUR_S)
        self._not_made = merged(window_s=MINUTE_S)

    def record_merged(self) -> bool:
        """Record what was noted; returns whether there is more. For a thread. Raises Unavailable."""
        outcomes = [merged.record() for merged in (self._refusals, self._reveals, self._not_made)]
        return any(outcomes)

    def finish(self) -> bool:
        """Record all that was noted and merged, at the end. Raises Unavailable."""
        for merged in (self._refusals, self._reveals, self._not_made):
            merged.finish()
        return False

    def record_account(self, connection: Connection, account: Account) -> None:
        """Only a first start creates accounts."""
        subject = (account.id, SubjectKind.ACCOUNT, account.id)
        after: dict[str, object] = {"created_ms": account.created_ms}
        event = _event(Action.ACCOUNT_CREATED, subject, FIRST_START, at_ms=account.created_ms, after=after)
        self._audit.append(connection, event)

    def record_member(self, connection: Connection, member: Member) -> None:
        """Only a first start creates members."""
        subject = (member.account_id, SubjectKind.MEMBER, member.id)
        after: dict[str, object] = {"email": member.email, "role": member.role.value}
        event = _event(Action.MEMBER_CREATED, subject, FIRST_START, at_ms=member.created_ms, after=after)
        self._audit.append(connection, event)

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

    def record_reveals(self, keys: Sequence[Key], actor: KeyActor) -> None:
        """Record that values are about to be shown. Raises Unavailable, and then they must not be.

        The compatible API has the value in every answer, whether anybody wants it or not, and Terraform asks for every
        key each time: there, what the same program sees of a value again within an hour is counted.
        """
        make = partial(_event, Action.KEY_REVEALED, actor=actor, at_ms=self._now_ms())
        events = {_reveal_kind(key, actor): make(subject=_subject(key)) for key in keys}
        if _door_of_request() is Door.COMPATIBLE:
            events = {kind: event for kind, event in events.items() if self._reveals.begin(kind, event)}
        try:
            if events:
                self._audit.record_all(events.values())
        except Exception:
            for kind in events:
                self._reveals.forget(kind)
            raise

    def note_not_made(self, key: Key, actor: KeyActor, error: ValidationFailed) -> None:
        """A *key* that was one too many for its account, or was not imported; nothing is left of it.

        Whether a value to import was weak or taken is not told here either: it would say that somebody has it.
        """
        is_limit = isinstance(error, KeyLimitReached)
        action = Action.KEY_LIMIT_REFUSED if is_limit else Action.KEY_IMPORT_REFUSED
        after: dict[str, object] = {"kind": key.kind.value} | ({"keys_max": key.kind.keys_max} if is_limit else {})
        subject, at_ms = (key.account_id, SubjectKind.ACCOUNT, key.account_id), self._now_ms()
        make = partial(_event, action, subject, actor, at_ms=at_ms, after=after)
        self._not_made.note((action, key.account_id, key.kind, actor.kind, actor.key_id), at_ms, make)

    def note_refused(self, request: Request, refused: Refused, carrier: Carrier) -> None:
        """A known value that did not open. It waits for nothing. A hold is on purpose, and no news."""
        if refused.refusal is Refusal.HELD:
            return
        caller, at_ms = refused.caller, self._now_ms()
        action = Action.KEY_USED_AFTER_END if refused.refusal in ENDED else Action.KEY_REFUSED
        actor = replace(actor_of(request, caller), kind=KeyActorKind.HOLDER)
        after: dict[str, object] = {
            "refusal": refused.refusal.name.lower(),
            "generation": caller.generation,
            "carrier": carrier.value,
        }
        if refused.is_dry_run:
            after["dry_run"] = True
        subject = (caller.account_id, SubjectKind.KEY, caller.key_id)
        make = partial(_event, action, subject, actor, at_ms=at_ms, after=after)
        self._refusals.note((caller.key_id, caller.generation, refused.refusal, actor.address), at_ms, make)


def _reveal_kind(key: Key, actor: KeyActor) -> Hashable:
    return key.id, key.generation, actor.key_id, actor.address, actor.user_agent


def _event(
    action: Action,
    subject: Subject,
    actor: KeyActor,
    *,
    at_ms: int,
    before: dict[str, object] | None = None,
    after: dict[str, object] | None = None,
) -> AuditEvent:
    account_id, subject_kind, subject_id = subject
    context = structlog.contextvars.get_contextvars()
    return AuditEvent(
        account_id=account_id,
        action=action,
        actor=Actor(kind=ActorKind(actor.kind.value), id=actor.key_id),
        door=Door.CLI if actor.kind is KeyActorKind.CLI else _door_of_request(),
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


def _door_of_request() -> Door:
    """The door of the request that is being answered; without one the server acts by itself."""
    route = structlog.contextvars.get_contextvars().get("route")
    if route is None:
        return Door.SERVER
    if route.startswith("/logs/"):
        return Door.INGEST
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
        "scopes": render_scopes(key.scopes),
        "narrowing": render_term(key.narrowing),
        "network": render_term(key.network),
        "limits": render_term(key.limits),
        "imported": key.is_imported,
        "created_by": key.created_by,
        "generation": key.generation,
        "retiring_until_ms": key.retiring_until_ms,
        "held_until_ms": key.held_until_ms,
        "not_before_ms": key.not_before_ms,
        "expires_at_ms": key.expires_at_ms,
        "deleted_ms": key.deleted_ms,
    }


def _warning(change: KeyChange) -> dict[str, object]:
    """How many days before the expiry it was told."""
    return {"days": change.after.expiry_warned_days} if change.action is KeyAction.EXPIRING else {}


def _policy_facts(policy: KeyPolicy) -> dict[str, object]:
    return asdict(policy)
