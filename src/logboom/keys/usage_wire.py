"""The JSON of what is told of the use of keys, both ways. Times are epoch milliseconds."""

import re
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import QueryParams

from logboom.errors import Detail, ValidationFailed
from logboom.keys.hygiene import Finding
from logboom.keys.impact import ActiveUser, ClientImpact, Impact, count_hosts
from logboom.keys.key import Key
from logboom.keys.recent import MINUTE_MS
from logboom.keys.usage import HOUR_MS
from logboom.keys.usage_flush import ACCURACY_S
from logboom.keys.usage_report import GenerationUse, Usage
from logboom.keys.usage_repository import USERS_KEPT, KeptUser
from logboom.limits import USAGE_RANGE_MS_MAX

RANGE_DEFAULT_MS: Final = 7 * 24 * HOUR_MS
IMPACT_USERS_MAX: Final = 200  # told one by one; all of them are counted
MOMENT: Final = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, kw_only=True)
class Range:
    """Hours that begin within it, both ends included."""

    from_ms: int
    to_ms: int


def parse_range(query: QueryParams, now_ms: int) -> Range:
    """`from` and `to`; the last seven days when nothing is said. Raises ValidationFailed."""
    to_ms = _moment(query, "to", now_ms)
    from_ms = _moment(query, "from", to_ms - RANGE_DEFAULT_MS)
    if from_ms > to_ms:
        raise _broken("from", "must not be later than to")
    if to_ms - from_ms > USAGE_RANGE_MS_MAX:
        raise _broken("from", f"must be at most {USAGE_RANGE_MS_MAX // (24 * HOUR_MS)} days before to")
    return Range(from_ms=from_ms - from_ms % HOUR_MS, to_ms=to_ms)


def render_usage(key: Key, asked: Range, usage: Usage) -> dict[str, object]:
    """`accuracy_s` says how old the figures of other servers may be; those of this one are exact."""
    return {
        "id": key.id,
        "accuracy_s": ACCURACY_S,
        "from_ms": asked.from_ms,
        "to_ms": asked.to_ms,
        "last_used": _render_last(usage.users[0]) if usage.users else None,
        "total": usage.total._asdict(),
        "generations": [_render_generation(generation) for generation in usage.generations],
        "hours": [
            {"hour_ms": hour.hour_ms, "generation": hour.generation} | count._asdict()
            for hour, count in usage.hours.items()
        ],
        "users": [render_user(kept) for kept in usage.users[:USERS_KEPT]],
    }


def render_user(kept: KeptUser) -> dict[str, object]:
    seen = kept.seen
    counted = {"first_ms": seen.first_ms, "last_ms": seen.last_ms, "requests": seen.requests, "refusals": seen.refusals}
    return _render_identity(kept) | counted


def render_impact(key: Key, impact: Impact, now_ms: int, *, is_own: bool) -> dict[str, object]:
    """`is_own`: it is the key of the request itself."""
    last_minute = impact.within_minute(now_ms)
    return {
        "id": key.id,
        "name": key.name,
        "type": key.kind.value,
        "state": key.state.value,
        "own": is_own,
        "at_ms": now_ms,
        "accuracy_s": ACCURACY_S,
        "complete": impact.is_complete,
        "refused_with": impact.refused_with,
        "last_used_ms": impact.users[0].seen.last_ms if impact.users else key.last_used_ms,
        "last_minute": {"users": len(last_minute), "hosts": count_hosts(last_minute)},
        "last_day": {"users": len(impact.users), "hosts": count_hosts(impact.users)} | impact.last_day._asdict(),
        "advice": impact.advice.value,
        "text": impact.text,
        "clients": [_render_client(client) for client in impact.clients],
        "users": [_render_active(user, now_ms) for user in impact.users[:IMPACT_USERS_MAX]],
    }


def render_findings(found: list[Finding]) -> dict[str, object]:
    return {
        "findings": [
            {
                "id": finding.key.id,
                "name": finding.key.name,
                "type": finding.key.kind.value,
                "concern": finding.concern.value,
                "since_ms": finding.since_ms,
                "advice": finding.advice,
            }
            for finding in found
        ]
    }


def _render_client(client: ClientImpact) -> dict[str, object]:
    family = client.family
    effects = {"401": family.on_401, "403": family.on_403, "429": family.on_429, "504": family.on_504}
    return {
        "family": family.name,
        "title": family.title,
        "versions": client.versions,
        "users": client.users,
        "hosts": client.hosts,
        "text": client.text,
        "on": {status: {"outcome": effect.outcome.value, "text": effect.text} for status, effect in effects.items()},
    }


def _render_active(active: ActiveUser, now_ms: int) -> dict[str, object]:
    minute = active.last_minute
    return render_user(KeptUser(user=active.user, seen=active.seen)) | {
        "family": active.family.name,
        "in_last_minute": active.seen.last_ms > now_ms - MINUTE_MS,
        "requests_per_minute": minute.requests if minute else None,
        "lines_per_minute": minute.lines if minute else None,
    }


def _render_last(kept: KeptUser) -> dict[str, object]:
    return {"at_ms": kept.seen.last_ms} | _render_identity(kept)


def _render_identity(kept: KeptUser) -> dict[str, object]:
    return {member: told for member, told in kept.user._asdict().items() if member != "key_id"}


def _render_generation(use: GenerationUse) -> dict[str, object]:
    told = {"generation": use.generation, "state": use.state, "last_used_ms": use.last_used_ms, "hosts": use.hosts}
    return told | use.count._asdict()


def _moment(query: QueryParams, name: str, default_ms: int) -> int:
    given = query.get(name)
    if given is None:
        return default_ms
    if not MOMENT.fullmatch(given):
        raise _broken(name, "must be a time in milliseconds since 1970")
    return int(given)


def _broken(name: str, rule: str) -> ValidationFailed:
    return ValidationFailed(Detail(message=f'"{name}" {rule}', key=name))
