"""Keeps the policy of each account, and has every change of it told within its own transaction."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update

from logboom.database.engine import reading, writing
from logboom.database.tables import accounts, key_policies
from logboom.keys.change import Actor
from logboom.keys.key import KeyFormat, Reveal
from logboom.keys.policy import DEFAULT_POLICY, KeyPolicy, OnLeak, PolicyChange


def find_policy(connection: Connection, account_id: str) -> KeyPolicy:
    """The account's policy; the default one where it has none."""
    row = connection.execute(select(key_policies).where(key_policies.c.account_id == account_id)).one_or_none()
    if row is None:
        return DEFAULT_POLICY
    return KeyPolicy(
        format=KeyFormat(row.format),
        reveal=Reveal(row.reveal),
        on_leak_ingestion=OnLeak(row.on_leak_ingestion),
        on_leak_service=OnLeak(row.on_leak_service),
        overlap_idle_ms=row.overlap_idle_ms,
        lifetime_max_ms=row.lifetime_max_ms,
        audit_lines=row.audit_lines,
        changed_ms=row.changed_ms,
    )


def _tell_nobody(_connection: Connection, _change: PolicyChange) -> None:
    """What stands where nobody wants to know of changes."""


class Policies:
    """The methods wait for the database: call them from a thread. *on_change* is called within the transaction."""

    def __init__(
        self,
        engine: Engine,
        *,
        now_ms: Callable[[], int],
        on_change: Callable[[Connection, PolicyChange], None] = _tell_nobody,
    ) -> None:
        self._engine, self._now_ms, self._on_change = engine, now_ms, on_change

    def get(self, account_id: str) -> KeyPolicy:
        with reading(self._engine) as connection:
            return find_policy(connection, account_id)

    def change(self, account_id: str, changes: Mapping[str, Any], *, actor: Actor) -> KeyPolicy:
        """The policy with *changes* to its members. What changes nothing is told to nobody."""
        with writing(self._engine) as connection:
            before = _lock(connection, account_id)
            now_ms = self._now_ms()
            after = replace(before, **changes)
            if after == before:
                return before
            after = replace(after, changed_ms=now_ms)
            _write(connection, account_id, after, is_first=before.changed_ms is None)
            told = PolicyChange(account_id=account_id, before=before, after=after, actor=actor, at_ms=now_ms)
            self._on_change(connection, told)
        return after


def _lock(connection: Connection, account_id: str) -> KeyPolicy:
    """The policy, kept from other writers until the transaction ends: they meet at the account, which always exists."""
    own = select(accounts.c.id).where(accounts.c.id == account_id)
    connection.execute(own.with_for_update(key_share=True)).one()
    return find_policy(connection, account_id)


def _write(connection: Connection, account_id: str, policy: KeyPolicy, *, is_first: bool) -> None:
    if is_first:
        connection.execute(insert(key_policies).values(account_id=account_id, **asdict(policy)))
    else:
        own = key_policies.c.account_id == account_id
        connection.execute(update(key_policies).where(own).values(asdict(policy)))
