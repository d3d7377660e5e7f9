"""What happens when a key is removed: who uses it, and what their programs will do. Pure. keys.md 5.5"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from logboom.keys.clients import Effect, Family, recognise
from logboom.keys.key import Key, KeyKind, KeyState
from logboom.keys.recent import DAY_MS, MINUTE_MS, LastMinute
from logboom.keys.usage import HourCount, User, UserCount
from logboom.keys.usage_repository import USERS_KEPT, KeptUser

REFUSED_SENDERS: Final = 403
REFUSED_READERS: Final = 401


class Advice(StrEnum):
    """What to do."""

    ROTATE = "rotate"
    REMOVE = "remove"
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class ActiveUser:
    """Who used the key in the last day. *last_minute* is None for users of other servers."""

    user: User
    seen: UserCount
    last_minute: LastMinute | None
    family: Family
    version: str

    @property
    def host(self) -> str:
        """What it is known by: its hostname, or its address where it names none."""
        return self.user.host or self.user.address


@dataclass(frozen=True, kw_only=True)
class ClientImpact:
    """The users with programs that behave alike."""

    family: Family
    versions: Sequence[str]
    users: int
    hosts: int
    refusal: Effect
    text: str


@dataclass(frozen=True, kw_only=True)
class Impact:
    """*refused_with* is the status that users are told. *is_complete* is false when more users may exist."""

    users: Sequence[ActiveUser]
    clients: Sequence[ClientImpact]
    refused_with: int
    is_complete: bool
    last_day: HourCount
    advice: Advice
    text: str

    def within_minute(self, now_ms: int) -> Sequence[ActiveUser]:
        return [user for user in self.users if user.seen.last_ms > now_ms - MINUTE_MS]


def assess(
    key: Key,
    kept: Sequence[KeptUser],
    recent: Mapping[User, tuple[UserCount, LastMinute]],
    last_day: HourCount,
    now_ms: int,
) -> Impact:
    """*kept* are the users that the database knows, *recent* those of this server; *last_day* is the count of both."""
    users = _active(kept, recent, now_ms)
    refused_with = REFUSED_SENDERS if key.kind is KeyKind.INGESTION else REFUSED_READERS
    advice, text = _advise(key, users, now_ms)
    of_generations = [found.user.generation for found in kept if found.seen.last_ms > now_ms - DAY_MS]
    return Impact(
        users=users,
        clients=_clients(users, refused_with),
        refused_with=refused_with,
        is_complete=all(of_generations.count(generation) < USERS_KEPT for generation in set(of_generations)),
        last_day=last_day,
        advice=advice,
        text=text,
    )


def count_hosts(users: Iterable[ActiveUser]) -> int:
    return len({user.host for user in users})


def _active(
    kept: Iterable[KeptUser], recent: Mapping[User, tuple[UserCount, LastMinute]], now_ms: int
) -> list[ActiveUser]:
    """Both together, the newest first. What the database knows goes back further; memory knows the last minute."""
    seen = {found.user: found.seen for found in kept if found.seen.last_ms > now_ms - DAY_MS}
    seen = {user: counted for user, (counted, _) in recent.items()} | seen
    newest = sorted(seen.items(), key=lambda counted: (-counted[1].last_ms, counted[0]))
    return [_active_user(user, counted, recent.get(user)) for user, counted in newest]


def _active_user(user: User, seen: UserCount, recent: tuple[UserCount, LastMinute] | None) -> ActiveUser:
    client = recognise(user.agent, user.dialect)
    last_minute = recent[1] if recent else None
    return ActiveUser(user=user, seen=seen, last_minute=last_minute, family=client.family, version=client.version)


def _clients(users: Iterable[ActiveUser], refused_with: int) -> list[ClientImpact]:
    """By family, the one with most hosts first."""
    by_family: dict[str, list[ActiveUser]] = {}
    for user in users:
        by_family.setdefault(user.family.name, []).append(user)
    clients = [_client(found, refused_with) for found in by_family.values()]
    return sorted(clients, key=lambda client: (-client.hosts, client.family.name))


def _client(users: Sequence[ActiveUser], refused_with: int) -> ClientImpact:
    family, hosts = users[0].family, count_hosts(users)
    versions = sorted({user.version for user in users if user.version})
    refusal = family.on_403 if refused_with == REFUSED_SENDERS else family.on_401
    named = f"{family.title} {', '.join(versions)}".strip()
    text = f"{_number(hosts, 'host')} with {named}: {refusal.text} ({refused_with})."
    return ClientImpact(family=family, versions=versions, users=len(users), hosts=hosts, refusal=refusal, text=text)


def _advise(key: Key, users: Sequence[ActiveUser], now_ms: int) -> tuple[Advice, str]:
    opened = [user for user in users if user.seen.requests > user.seen.refusals]
    tried = f" {_number(count_hosts(users), 'host')} tried it in the last 24 hours." if users else ""
    if key.state is KeyState.DELETED:
        return Advice.NOTHING, f"The key is deleted.{tried}"
    if key.state is KeyState.DISABLED or (key.expires_at_ms is not None and key.expires_at_ms <= now_ms):
        return Advice.REMOVE, f"The key is refused already, so removing it changes nothing for its users.{tried}"
    if opened:
        hosts = _number(count_hosts(opened), "host")
        first = "Release it, then rotate" if key.state is KeyState.HELD else "Rotate"
        return Advice.ROTATE, (
            f"{hosts} used it in the last 24 hours. {first} it with an overlap, give them the new value, and end the "
            "overlap once nobody uses the old one."
        )
    never = "Nobody has ever used it." if key.last_used_ms is None else "Nobody has used it for 24 hours."
    return Advice.REMOVE, f"{never} It can be removed; disable it first if you are not sure, which can be taken back."


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
