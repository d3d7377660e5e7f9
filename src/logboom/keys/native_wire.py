"""The JSON of `/api/keys`, both ways. Times are epoch milliseconds, as in every other answer of the server.

Unlike the compatible API this one refuses members that it does not know: a mistyped `expires_at_ms` must not create a
key that never expires. Broken rules are reported all at once and in Joi's words.
"""

from dataclasses import dataclass
from typing import Any, Final

from starlette.datastructures import QueryParams

from logboom.keys import life
from logboom.keys.expiry import days_left
from logboom.keys.key import Caller, Key, KeyFormat, KeyKind, KeyState, NewKey, Reveal, is_key_id
from logboom.keys.nodes import Seen
from logboom.keys.readers import Reader, broken, one_of, read_labels, read_members, read_moment, read_text
from logboom.keys.scopes import FULL, PRESETS, Scope, Scopes, render_scopes
from logboom.keys.term_wire import read_limits, read_narrowing, read_network
from logboom.keys.terms import render_term
from logboom.keys.verdict import Refused, Standing, decide
from logboom.keys.wire import parse_kind_filter
from logboom.limits import (
    HOLD_DEFAULT_MS,
    IDEMPOTENCY_KEY_CHARACTERS_MAX,
    KEY_PAGE_MAX,
    KEY_VALUE_CHARACTERS_MAX,
    OVERLAP_DEFAULT_MS,
)


@dataclass(frozen=True, kw_only=True)
class KeyFilter:
    """Which keys to list. *label* is a name, with a text or for any."""

    kind: KeyKind | None = None
    state: KeyState | None = None
    label: tuple[str, str | None] | None = None
    limit: int = KEY_PAGE_MAX
    after_id: str | None = None

    def fits(self, key: Key) -> bool:
        """Whether state and label fit; the rest is the database's to tell."""
        if self.state is not None and key.state is not self.state:
            return False
        if self.label is None:
            return True
        name, text = self.label
        return name in key.labels and text in (None, key.labels[name])


def parse_new_key(body: bytes) -> NewKey:
    """The key to create. Raises ValidationFailed."""
    members = read_members(body, NEW_KEY, needed=("type",))
    return NewKey(kind=members.pop("type"), **members)


def parse_changes(body: bytes) -> dict[str, Any]:
    """The members to change, by their names. Raises ValidationFailed."""
    return read_members(body, CHANGES)


def parse_import(body: bytes) -> tuple[NewKey, str]:
    """The key to bring along, and its value. Raises ValidationFailed."""
    members = read_members(body, IMPORT, needed=("type", "value"))
    value: str = members.pop("value")
    return NewKey(kind=members.pop("type"), **members), value


def parse_hold_ms(body: bytes) -> int:
    duration_ms: int = read_members(body, {"for": lambda member, given: life.parse_hold(read_text(member, given))}).get(
        "for", HOLD_DEFAULT_MS
    )
    return duration_ms


def parse_overlap_ms(body: bytes) -> int:
    duration_ms: int = read_members(body, {"overlap": _overlap}).get("overlap", OVERLAP_DEFAULT_MS)
    return duration_ms


def parse_exposed(body: bytes) -> str:
    """The value that has become known."""
    value: str = read_members(body, {"value": read_text}, needed=("value",))["value"]
    return value.strip()[: KEY_VALUE_CHARACTERS_MAX + 1]


def parse_nothing(body: bytes) -> None:
    """Raises ValidationFailed for a body with members; none is wanted."""
    read_members(body, {})


def parse_idempotency_key(header: str | None) -> str | None:
    """The name that the sender gave its request, if any. Raises ValidationFailed."""
    if header is not None and len(header) > IDEMPOTENCY_KEY_CHARACTERS_MAX:
        rule = f"length must be less than or equal to {IDEMPOTENCY_KEY_CHARACTERS_MAX} characters long"
        raise broken("Idempotency-Key", rule)
    return header or None


def parse_filter(query: QueryParams) -> KeyFilter:
    """Which keys to list. Raises ValidationFailed."""
    state = query.get("state")
    limit = query.get("limit", str(KEY_PAGE_MAX))
    after_id = query.get("after")
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit[:9]) <= KEY_PAGE_MAX:
        raise broken("limit", f"must be a number from 1 to {KEY_PAGE_MAX}")
    if after_id is not None and not is_key_id(after_id):
        raise broken("after", "must be the id of a key")
    return KeyFilter(
        kind=parse_kind_filter(query.get("type")),
        state=None if state is None else one_of(KeyState)("state", state),
        label=_parse_label(query.get("label")),
        limit=int(limit),
        after_id=after_id,
    )


def render_key(key: Key, now_ms: int, *, with_value: bool = False) -> dict[str, object]:
    """All of a key; its value only when it was asked for, or has just been minted."""
    value = {"value": key.value} if with_value else {}
    return (
        {
            "id": key.id,
            "type": key.kind.value,
            "name": key.name,
            "note": key.note,
            "labels": dict(key.labels),
            "owner": key.owner,
            "mask": key.mask,
            "format": key.format.value,
            "reveal": key.reveal.value,
            "scopes": render_scopes(key.scopes),
            "narrowing": render_term(key.narrowing),
            "network": render_term(key.network),
            "limits": render_term(key.limits),
            "imported": key.is_imported,
            "created_by": key.created_by,
            "created_ms": key.created_ms,
            "last_used_ms": key.last_used_ms,
        }
        | _standing_members(key, now_ms)
        | value
    )


def render_self(key: Key, caller: Caller, now_ms: int) -> dict[str, object]:
    """What whoever holds a key may know of it. Ingestion keys lie on many machines, so it is little."""
    standing = _standing_members(key, now_ms) | {"generation": caller.generation}
    own: dict[str, object] = {"account": key.account_id, "id": key.id, "type": key.kind.value, "name": key.name}
    own |= {"scopes": render_scopes(key.scopes)}
    # The holder of the old value is told when it ends; the holder of the new one need not care.
    is_retiring = caller.generation != key.generation
    return own | standing | {"retiring_until_ms": key.retiring_until_ms if is_retiring else None}


def render_keys(keys: list[Key], now_ms: int, *, after_id: str | None) -> dict[str, object]:
    """One page; `after` asks for the next one and is null on the last."""
    return {"keys": [render_key(key, now_ms) for key in keys], "after": after_id}


def render_deleted(deleted: list[Key], caller: Caller, *, children: list[str]) -> dict[str, object]:
    """What was deleted, the key that was named first, and which *children* of it are still alive."""
    key_id, *others = (key.id for key in deleted)
    own = " It was the key of this request." if caller.key_id in (key_id, *others) else ""
    more = f" So were {len(others)} that go back to it." if others else ""
    members = {"message": f"Key {key_id} was deleted.{more}{own}", "deleted_children": others, "children": children}
    return {"id": key_id, "deleted": True} | members


def render_exposed() -> dict[str, object]:
    """The same for every value: the answer tells nobody whether it was a key."""
    return {"message": "If this was the value of a key, it is refused from now on."}


def render_seen(seen: Seen) -> dict[str, object]:
    """Which servers know of a change; those that are missing refuse or ask until they do."""
    members = {"servers": seen.names, "missing": seen.missing, "waited_ms": seen.waited_ms}
    return {"seen": {"all": not seen.missing} | members}


def _standing_members(key: Key, now_ms: int) -> dict[str, object]:
    caller = Caller(account_id=key.account_id, key_id=key.id, kind=key.kind)
    standing = Standing(
        caller=caller,
        state=key.state,
        held_until_ms=key.held_until_ms,
        not_before_ms=key.not_before_ms,
        expires_at_ms=key.expires_at_ms,
    )
    verdict = decide(standing, now_ms)
    return {
        "state": key.state.value,
        "refusal": verdict.refusal.name.lower() if isinstance(verdict, Refused) else None,
        "generation": key.generation,
        "retiring_until_ms": key.retiring_until_ms,
        "held_until_ms": key.held_until_ms,
        "not_before_ms": key.not_before_ms,
        "expires_at_ms": key.expires_at_ms,
        "expiry_warning": days_left(key, now_ms),
        "deleted_ms": key.deleted_ms,
    }


def read_scope_names(member: str, given: object) -> Scopes:
    """An array of scopes, or the name of a preset; null is everything."""
    if given is None:
        return FULL
    if isinstance(given, str) and given in PRESETS:
        return PRESETS[given]
    if not isinstance(given, list) or not given:
        raise broken(member, f"must be an array of scopes, null, or one of [{', '.join(PRESETS)}]")
    read_scope = one_of(Scope)
    return frozenset(read_scope(f"{member}[{place}]", name) for place, name in enumerate(given))


def _overlap(member: str, given: object) -> int:
    return 0 if type(given) is int and given == 0 else life.parse_overlap(read_text(member, given))


def _parse_label(text: str | None) -> tuple[str, str | None] | None:
    if text is None:
        return None
    name, equals, wanted = text.partition("=")
    return name, wanted if equals else None


CHANGES: Final[dict[str, Reader]] = {
    "name": read_text,
    "note": read_text,
    "owner": read_text,
    "labels": read_labels,
    "not_before_ms": read_moment,
    "expires_at_ms": read_moment,
    "reveal": one_of(Reveal),
    "scopes": read_scope_names,
    "narrowing": read_narrowing,
    "network": read_network,
    "limits": read_limits,
}
NEW_KEY: Final = CHANGES | {"type": one_of(KeyKind), "format": one_of(KeyFormat)}
IMPORT: Final = CHANGES | {"type": one_of(KeyKind), "value": read_text}
