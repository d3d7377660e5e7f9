"""A key's narrowing, network and limits in the native API. Each is replaced as a whole, and ended by null."""

from collections.abc import Callable
from typing import Any, Final

from logboom.asgi.network import parse_network
from logboom.errors import Detail, ValidationFailed
from logboom.keys.key import text_rules_broken
from logboom.keys.narrowing import Narrowing
from logboom.keys.readers import Reader, broken, one_of, read_object, read_text, read_truth
from logboom.keys.terms import Limits, Network, OnExcess
from logboom.limits import (
    APP_CHARACTERS_MAX,
    HOST_CHARACTERS_MAX,
    NETWORKS_MAX,
    PATTERNS_MAX,
    PER_DAY_MAX,
    REQUESTS_PER_S_MAX,
    TAG_CHARACTERS_MAX,
)


def read_narrowing(member: str, given: object) -> Narrowing | None:
    members = _read(NARROWING, member, given)
    if members is None:
        return None
    if not members:
        raise broken(member, "must have at least one of apps, hosts and tags, or be null")
    return Narrowing(**members)


def read_network(member: str, given: object) -> Network | None:
    members = _read(NETWORK, member, given)
    if members is None:
        return None
    network = Network(**members)
    if not network.allow and not network.deny:
        raise broken(member, "must have at least one of allow and deny, or be null")
    return network


def read_limits(member: str, given: object) -> Limits | None:
    members = _read(LIMITS, member, given)
    if members is None:
        return None
    if not members.keys() - {"on_excess"}:
        raise broken(member, "must have at least one limit, or be null")
    return Limits(**members)


def _read(readers: dict[str, Reader], member: str, given: object) -> dict[str, Any] | None:
    read: dict[str, Any] | None = None if given is None else read_object(readers)(member, given)
    return read


def _list_of(read: Callable[[str, object], str], items_max: int, *, items_min: int = 0) -> Reader:
    """A reader of an array, each item by *read*, without repetitions."""

    def read_list(member: str, given: object) -> tuple[str, ...]:
        if not isinstance(given, list):
            raise broken(member, "must be an array")
        if not items_min <= len(given) <= items_max:
            raise broken(member, f"must contain {items_min} to {items_max} items")
        items: dict[str, None] = {}
        details: list[Detail] = []
        for place, item in enumerate(given):
            try:
                items[read(f"{member}[{place}]", item)] = None
            except ValidationFailed as error:
                details += error.details
        if details:
            raise ValidationFailed(*details)
        return tuple(items)

    return read_list


def _pattern(characters_max: int) -> Callable[[str, object], str]:
    def read(member: str, given: object) -> str:
        text = read_text(member, given)
        if details := text_rules_broken(text, member, characters_max):
            raise ValidationFailed(*details)
        if not text or "*" in text[:-1]:
            raise broken(member, "must be a text, or the beginning of one with * at its end")
        return text

    return read


def _network(member: str, given: object) -> str:
    try:
        return str(parse_network(read_text(member, given).strip()))
    except ValidationFailed:
        raise
    except ValueError as cause:
        raise broken(member, "must be a network such as 192.0.2.0/24 or 2001:db8::/32, without host bits") from cause


def _number(max_value: int) -> Reader:
    def read(member: str, given: object) -> int:
        if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= max_value:
            raise broken(member, f"must be a number from 1 to {max_value}")
        return given

    return read


NARROWING: Final[dict[str, Reader]] = {
    "apps": _list_of(_pattern(APP_CHARACTERS_MAX), PATTERNS_MAX, items_min=1),
    "hosts": _list_of(_pattern(HOST_CHARACTERS_MAX), PATTERNS_MAX, items_min=1),
    "tags": _list_of(_pattern(TAG_CHARACTERS_MAX), PATTERNS_MAX, items_min=1),
}
NETWORK: Final[dict[str, Reader]] = {
    "allow": _list_of(_network, NETWORKS_MAX),
    "deny": _list_of(_network, NETWORKS_MAX),
    "dry_run": read_truth,
}
LIMITS: Final[dict[str, Reader]] = {
    "requests_per_s": _number(REQUESTS_PER_S_MAX),
    "bytes_per_day": _number(PER_DAY_MAX),
    "lines_per_day": _number(PER_DAY_MAX),
    "on_excess": one_of(OnExcess),
}
