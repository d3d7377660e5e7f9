"""A new key as it is asked for and as the account's policy wants it, before it has a place in the database. Pure."""

from collections.abc import Callable

from logboom.keys import life
from logboom.keys.change import Actor
from logboom.keys.formats import mask, mint_value
from logboom.keys.key import KEY_ID_BYTES, Key, NewKey, check_texts, mint_name
from logboom.keys.policy import KeyPolicy, check_lifetime


def check_new(new: NewKey, now_ms: int) -> None:
    """Raises ValidationFailed for what no key can be."""
    check_texts({"name": new.name, "note": new.note, "owner": new.owner, "labels": new.labels})
    life.check_fit(new)
    life.check_times(new.not_before_ms, new.expires_at_ms, now_ms)


def draft_key(
    account_id: str,
    new: NewKey,
    value: str | None,
    *,
    policy: KeyPolicy,
    actor: Actor,
    now_ms: int,
    random_hex: Callable[[int], str],
) -> Key:
    """The key with its *value*, a minted one when there is none. Raises ValidationFailed."""
    check_new(new, now_ms)
    check_lifetime(policy, new.expires_at_ms, now_ms)
    shape = new.format or policy.format
    value = value or mint_value(new.kind, shape, random_hex)
    return Key(
        id=random_hex(KEY_ID_BYTES),
        account_id=account_id,
        kind=new.kind,
        name=new.name if new.name.strip() else mint_name(new.kind, random_hex),
        value=value,
        mask=mask(value),
        created_ms=now_ms,
        created_by=actor.key_id,
        note=new.note,
        labels=new.labels,
        owner=new.owner,
        not_before_ms=new.not_before_ms,
        expires_at_ms=new.expires_at_ms,
        format=shape,
        reveal=new.reveal or policy.reveal,
        scopes=new.scopes,
        narrowing=new.narrowing,
        network=new.network,
        limits=new.limits,
    )
