"""What the audit log knows of one thing that happened. It never knows a key value."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from logboom.limits import AUDIT_PAGE_MAX

# Members of these names hold what must not be kept, and are refused at any depth and in any case of letters.
FORBIDDEN_MEMBERS: Final = frozenset({"key", "value", "secret", "password"})


class Action(StrEnum):
    """What happened. The names are stable: people search for them."""

    AUDIT_BEGUN = "audit.begun"  # the first row of every chain
    CLOCK_STEPPED = "server.clock_stepped"  # the wall clock was put back: what has expired may open again
    ACCOUNT_CREATED = "account.created"
    MEMBER_CREATED = "member.created"
    POLICY_CHANGED = "policy.changed"
    KEY_CREATED = "key.created"
    KEY_IMPORTED = "key.imported"
    KEY_RENAMED = "key.renamed"
    KEY_CHANGED = "key.changed"
    KEY_HELD = "key.held"
    KEY_RELEASED = "key.released"
    KEY_DISABLED = "key.disabled"
    KEY_ENABLED = "key.enabled"
    KEY_ROTATED = "key.rotated"
    KEY_RETIRED = "key.retired"  # the old value of an overlap ended
    KEY_DELETED = "key.deleted"
    KEY_EXPOSED = "key.exposed"  # somebody who holds the value reported it, and it was ended
    KEY_EXPIRING = "key.expiring"
    KEY_REVEALED = "key.revealed"
    KEY_LIMIT_REFUSED = "key.limit_refused"
    KEY_IMPORT_REFUSED = "key.import_refused"
    KEY_REFUSED = "key.refused"  # a key that works was used for what it may not do
    KEY_USED_AFTER_END = "key.used_after_end"
    KEY_LEAKED = "key.leaked"  # our own value was found in a line
    PEPPER_ROTATED = "secrets.pepper_rotated"  # a rotation began: what is new uses the new version
    KEK_ROTATED = "secrets.kek_rotated"
    AUDIT_KEY_ROTATED = "secrets.audit_rotated"  # this event and what follows is signed by the new key
    SECRETS_FINISHED = "secrets.finished"  # older versions were given up


class ActorKind(StrEnum):
    """Who can be behind an event."""

    SYSTEM = "system"  # the server itself
    SERVICE_KEY = "service_key"
    MEMBER = "member"
    CLI = "cli"  # the operator, at the machine of the server
    FIRST_START = "first_start"
    HOLDER = "holder"  # anybody who holds a key's value


class Door(StrEnum):
    """The way in."""

    SERVER = "server"  # none: the server acts by itself
    CLI = "cli"
    API = "api"  # our own addresses, below /api
    COMPATIBLE = "compatible"  # Mezmo's addresses
    INGEST = "ingest"


class SubjectKind(StrEnum):
    """What an event is about."""

    SERVER = "server"
    ACCOUNT = "account"
    MEMBER = "member"
    KEY = "key"
    POLICY = "policy"


class ForbiddenMember(ValueError):
    """*before* or *after* has a member that may hold what must not be kept. The caller has to leave it out."""


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who did it. *id* is a key's or a member's; *name* is what it was called at that moment."""

    kind: ActorKind
    id: str | None = None
    name: str = ""


SYSTEM: Final = Actor(kind=ActorKind.SYSTEM)


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    """One thing that happened.

    *account_id* is None for what concerns the whole installation; no account sees it. *before* and *after* are JSON
    objects with what the subject was and became; None where there is nothing to tell. Raises ForbiddenMember.
    """

    account_id: str | None
    action: Action
    actor: Actor
    door: Door
    subject_kind: SubjectKind
    at_ms: int
    subject_id: str | None = None
    address: str = ""
    user_agent: str = ""
    request_id: str = ""
    before: Mapping[str, object] | None = None
    after: Mapping[str, object] | None = None

    def __post_init__(self) -> None:
        _check_members(self.before)
        _check_members(self.after)

    def with_texts(self, keep: Callable[[str], str]) -> "AuditEvent":
        """The same with what *keep* leaves of what people and programs wrote."""
        before, after = (content and _with_texts(content, keep) for content in (self.before, self.after))
        actor = replace(self.actor, name=keep(self.actor.name))
        return replace(self, actor=actor, user_agent=keep(self.user_agent), before=before, after=after)


@dataclass(frozen=True, kw_only=True)
class AuditRow:
    """An event in its place in the chain."""

    seq: int
    event: AuditEvent
    hash: bytes


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """Which events to list, newest first unless *oldest_first*: *after_seq* continues behind that one in this order.

    The times are both included.
    """

    actions: tuple[Action, ...] = ()
    subject_id: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    after_seq: int | None = None
    oldest_first: bool = False
    limit: int = AUDIT_PAGE_MAX


def _with_texts(content: Any, keep: Callable[[str], str]) -> Any:
    if isinstance(content, str):
        return keep(content)
    if isinstance(content, Mapping):
        return {member: _with_texts(inner, keep) for member, inner in content.items()}
    return [_with_texts(inner, keep) for inner in content] if isinstance(content, Sequence) else content


def _check_members(content: object) -> None:
    if isinstance(content, Mapping):
        for member, inner in content.items():
            if str(member).lower() in FORBIDDEN_MEMBERS:
                raise ForbiddenMember(f"an audit event must not have the member {member!r}")
            _check_members(inner)
    elif isinstance(content, Sequence) and not isinstance(content, str):
        for inner in content:
            _check_members(inner)
