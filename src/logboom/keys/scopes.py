"""What a service key may do. An ingestion key has no scopes: it sends lines and does nothing else. Pure."""

import json
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """One thing that a service key may do. The names are stable: keys are stored with them."""

    EXPORT_READ = "export:read"  # lines: export and count
    CONFIG_READ = "config:read"
    CONFIG_WRITE = "config:write"
    KEYS_READ = "keys:read"  # what keys are, never their values
    KEYS_MANAGE = "keys:manage"
    KEYS_REVEAL = "keys:reveal"  # the values of keys, where their reveal mode allows that
    AUDIT_READ = "audit:read"
    USAGE_READ = "usage:read"
    MEMBERS_MANAGE = "members:manage"


# None is everything, also what comes later.
Scopes = frozenset[Scope] | None

FULL: Final[Scopes] = None

PRESETS: Final[Mapping[str, Scopes]] = {
    "full": FULL,
    "export-only": frozenset({Scope.EXPORT_READ}),
    "config-read": frozenset({Scope.CONFIG_READ}),
    "config-write": frozenset({Scope.CONFIG_READ, Scope.CONFIG_WRITE}),
    "keys-read": frozenset({Scope.KEYS_READ}),
    "keys-manage": frozenset({Scope.KEYS_READ, Scope.KEYS_MANAGE}),
    "audit-read": frozenset({Scope.AUDIT_READ}),
    "usage-read": frozenset({Scope.USAGE_READ}),
}


def lacking(own: Scopes, needed: Collection[Scope]) -> tuple[Scope, ...]:
    """Which of the *needed* scopes are not among one's *own*."""
    return () if own is None else tuple(scope for scope in needed if scope not in own)


def covers(own: Scopes, other: Scopes) -> bool:
    """Whether who has its *own* scopes can do all that the *other* can."""
    return own is None or (other is not None and other <= own)


def render_scopes(scopes: Scopes) -> list[str] | None:
    """The names in the order of their definition; None for everything."""
    return None if scopes is None else [scope.value for scope in Scope if scope in scopes]


def read_scopes(stored: str | None) -> Scopes:
    """What `render_scopes` gave, as it was stored. What is not known, as a newer server's names, allows nothing."""
    if stored is None:
        return FULL
    try:
        names = json.loads(stored)
    except ValueError:
        return frozenset()
    return frozenset(scope for scope in Scope if isinstance(names, list) and scope.value in names)
