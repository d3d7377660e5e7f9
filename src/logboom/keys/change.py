"""What is told about every change of a key, to whoever keeps a record of changes or tells other servers."""

from dataclasses import dataclass
from enum import StrEnum

from logboom.keys.key import Key


class KeyAction(StrEnum):
    """What was done."""

    CREATED = "created"
    IMPORTED = "imported"
    RENAMED = "renamed"
    CHANGED = "changed"
    HELD = "held"
    RELEASED = "released"
    DISABLED = "disabled"
    ENABLED = "enabled"
    ROTATED = "rotated"
    RETIRED = "retired"  # the old value of an overlap ended
    DELETED = "deleted"
    EXPIRING = "expiring"  # its expiry came near, and that was told
    EXPOSED = "exposed"  # somebody who holds the value reported it, and it was ended


class ActorKind(StrEnum):
    """Who can change a key."""

    SYSTEM = "system"  # the server itself: the end of an overlap
    FIRST_START = "first_start"
    SERVICE_KEY = "service_key"
    HOLDER = "holder"  # anybody who holds a key's value
    CLI = "cli"  # the operator, at the machine of the server


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who did it; *key_id* and *generation* are the service key's, *address* and *user_agent* where it came from."""

    kind: ActorKind
    key_id: str | None = None
    generation: int | None = None
    address: str = ""
    user_agent: str = ""


SYSTEM = Actor(kind=ActorKind.SYSTEM)
FIRST_START = Actor(kind=ActorKind.FIRST_START)
CLI = Actor(kind=ActorKind.CLI)


@dataclass(frozen=True, kw_only=True)
class KeyChange:
    """One change. *before* is None for a new key. Neither holds a value."""

    action: KeyAction
    before: Key | None
    after: Key
    actor: Actor
    at_ms: int
