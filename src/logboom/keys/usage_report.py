"""What is told of the use of one key, put together from counts and users. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from logboom.keys.key import Key, KeyState
from logboom.keys.usage import HOUR_MS, Hour, HourCount
from logboom.keys.usage_repository import KeptUser


@dataclass(frozen=True, kw_only=True)
class GenerationUse:
    """The use of one value of a key. *hosts* are those whose newest use is by this value.

    *state* is active, retiring or ended. *last_used_ms* is the end of the hour where nothing finer is known any more.
    """

    generation: int
    state: str
    count: HourCount
    last_used_ms: int | None
    hosts: int


@dataclass(frozen=True, kw_only=True)
class Usage:
    """The use of one key in a range of hours; its users and generations are of all times."""

    hours: Mapping[Hour, HourCount]
    users: Sequence[KeptUser]
    generations: Sequence[GenerationUse]

    @property
    def total(self) -> HourCount:
        return sum_of(self.hours.values())


def report_usage(key: Key, hours: Mapping[Hour, HourCount], users: Sequence[KeptUser]) -> Usage:
    """*users* are the newest first."""
    seen = {hour.generation for hour in hours} | {kept.user.generation for kept in users}
    live = {key.generation} | ({key.generation - 1} if key.retiring_until_ms is not None else set())
    hosts = list(_newest_generations(users).values())
    return Usage(
        hours=hours,
        users=users,
        generations=[
            GenerationUse(
                generation=generation,
                state=_state(key, generation),
                count=sum_of(count for hour, count in hours.items() if hour.generation == generation),
                last_used_ms=last_used_ms(generation, hours, users),
                hosts=hosts.count(generation),
            )
            for generation in sorted(seen | live, reverse=True)
        ],
    )


def last_used_ms(generation: int, hours: Mapping[Hour, HourCount], users: Iterable[KeptUser]) -> int | None:
    """When a value was last used. The newest users are kept to the millisecond; what they pushed out, to the hour."""
    exact = [kept.seen.last_ms for kept in users if kept.user.generation == generation]
    if exact:
        return max(exact)
    return max((hour.hour_ms + HOUR_MS - 1 for hour in hours if hour.generation == generation), default=None)


def idle_since_ms(generation: int, hours: Mapping[Hour, HourCount], users: Sequence[KeptUser]) -> int | None:
    """Since when nobody uses a value while somebody uses the next one; None when nobody does."""
    next_opened = [
        kept for kept in users if kept.user.generation > generation and kept.seen.requests > kept.seen.refusals
    ]
    if not next_opened:
        return None
    return max(last_used_ms(generation, hours, users) or 0, min(kept.seen.first_ms for kept in next_opened))


def _newest_generations(users: Iterable[KeptUser]) -> dict[str, int]:
    """Which value each host used last; who names no host is known by its address."""
    found: dict[str, int] = {}
    for kept in users:
        found.setdefault(kept.user.host or kept.user.address, kept.user.generation)
    return found


def _state(key: Key, generation: int) -> str:
    if key.state is KeyState.DELETED or generation > key.generation:
        return "ended"
    if generation == key.generation:
        return "active"
    is_retiring = generation == key.generation - 1 and key.retiring_until_ms is not None
    return "retiring" if is_retiring else "ended"


def sum_of(counts: Iterable[HourCount]) -> HourCount:
    total = HourCount()
    for count in counts:
        total = total.plus(count)
    return total
