"""Keeps keys in the control plane's database. The limits of active keys are the database's constraints, not this code.

A live key occupies a *slot*, a number from 1 to the limit of its kind, unique within account and kind. Creating takes
the lowest free one; whoever loses a race for it takes the next. No isolation level and no lock of ours matters: there
is no eleventh slot to take. In the same way a key has one active value and at most one retiring beside it.

Every method works within a transaction of the caller's, so that a change and what is told about it are one.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, insert, select, update

from logboom.database.engine import reading, writing
from logboom.database.tables import accounts, data_keys, key_policies, key_values, keys
from logboom.errors import Detail, KeyLimitReached, NotFound, SecretOutdated
from logboom.keys.formats import mask
from logboom.keys.key import Caller, Key, KeyFormat, KeyKind, KeyState, Reveal, is_key_id
from logboom.keys.narrowing import Narrowing
from logboom.keys.rows import ACTIVE, DEAD, RETIRING, data_key_of, key_rows, number_changes, open_value, value_rows
from logboom.keys.scopes import read_scopes, render_scopes
from logboom.keys.secret_text import Purpose
from logboom.keys.terms import Limits, Network, read_term, render_term, terms_of
from logboom.keys.vault import Place, SealError, Vault, WrappedKey
from logboom.keys.verdict import Standing
from logboom.keys.versions import KeyringState, find_checks, read_state


class ValueTaken(Exception):
    """A value belongs, or belonged, to another key."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What opens doors or is refused by name, by digest, and the ids of keys whose rows were altered from outside.

    *revisions* has every key that was read, the altered ones and those without any value worth knowing too. *is_whole*
    tells that no row needed a version of the secret that this server does not have.
    """

    standings: Mapping[bytes, Standing]
    altered_key_ids: tuple[str, ...]
    revisions: Mapping[str, int]
    is_whole: bool = True

    def by_key(self) -> Mapping[str, Mapping[bytes, Standing]]:
        """The standings of every key that was read; none of one that was altered."""
        found: dict[str, dict[bytes, Standing]] = {key_id: {} for key_id in self.revisions}
        for digest, standing in self.standings.items():
            found[standing.caller.key_id][digest] = standing
        return found


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """An old value that goes on beside a new one. *generation* is the old one's; idle for *idle_ms*, it shall end."""

    account_id: str
    key_id: str
    generation: int
    idle_ms: int


class KeyRepository:
    """Rows to keys and back. All methods but those about every key see one account only."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault

    def reading(self) -> AbstractContextManager[Connection]:
        return reading(self._engine)

    def writing(self) -> AbstractContextManager[Connection]:
        return writing(self._engine)

    def insert(self, connection: Connection, key: Key, value: str, data_key: WrappedKey) -> None:
        """Add a key in the lowest free slot. Raises KeyLimitReached, and IntegrityError when a race was lost."""
        taken_slots = select(keys.c.slot).where(
            keys.c.account_id == key.account_id, keys.c.kind == key.kind.value, keys.c.slot.is_not(None)
        )
        slot = _lowest_free_slot(key.kind, set(connection.execute(taken_slots).scalars()))
        fixed: dict[str, Any] = {
            "id": key.id,
            "account_id": key.account_id,
            "kind": key.kind.value,
            "created_ms": key.created_ms,
        }
        fixed |= {"created_by": key.created_by, "format": key.format.value}
        connection.execute(insert(keys).values(slot=slot, **fixed, **_changing_columns(key)))
        self.insert_value(connection, key, value, data_key)

    def number_change(self, connection: Connection, key: Key) -> Key:
        """Give the change its number; see `number_changes`."""
        return replace(key, revision=number_changes(connection, [key.id]))

    def follow(self, connection: Connection) -> KeyringState:
        """What the database is at; from now on the vault uses the versions that it names. Raises SecretOutdated."""
        state = read_state(connection)
        if (state.pepper_version, state.kek_version) == (self._vault.pepper_version, self._vault.kek_version):
            return state
        if not self._move_vault(connection, state):
            raise SecretOutdated
        return state

    def try_to_follow(self, connection: Connection) -> tuple[KeyringState, bool]:
        """What the database is at, and whether the vault could follow, to a newer audit key too."""
        state = read_state(connection)
        return state, self._move_vault(connection, state)

    def newest_seq(self, connection: Connection) -> int:
        """The number of the newest change of any key."""
        return read_state(connection).seq

    def insert_value(self, connection: Connection, key: Key, value: str, data_key: WrappedKey) -> None:
        """Add the active value of the key's generation. Raises ValueTaken, SecretOutdated.

        The constraint compares digests of one pepper only, so values under another one are looked for. A rotation of
        the pepper may begin meanwhile, and who counts what is left to do must not miss this row: so the state is read
        again at the end, and kept until the transaction ends.
        """
        version = self.follow(connection).pepper_version
        if self.find_holder(connection, value):
            raise ValueTaken
        digest = self._vault.digest_under(version, value)
        columns = {"digest": digest, "pepper_version": version, "state": ACTIVE}
        sealed = self._seal(key, value, digest, data_key)
        statement = insert(key_values).values(key_id=key.id, generation=key.generation, sealed=sealed, **columns)
        connection.execute(statement)
        if read_state(connection, is_locked=True).pepper_version != version:
            raise SecretOutdated

    def update(self, connection: Connection, key: Key) -> None:
        """Write what can change of a key; a deleted one gives up its slot."""
        columns = _changing_columns(key)
        if key.state is KeyState.DELETED:
            columns |= {"slot": None}
        connection.execute(update(keys).where(keys.c.id == key.id).values(columns))

    def retire_value(self, connection: Connection, key_id: str, until_ms: int) -> None:
        """The active value becomes the retiring one."""
        is_active = and_(key_values.c.key_id == key_id, key_values.c.state == ACTIVE)
        connection.execute(update(key_values).where(is_active).values(state=RETIRING, valid_until_ms=until_ms))

    def end_values(self, connection: Connection, key_id: str, states: Collection[str], now_ms: int) -> None:
        """Forget the values in these states; their digests stay."""
        ending = update(key_values).where(key_values.c.key_id == key_id, key_values.c.state.in_(states))
        connection.execute(ending.values(state=DEAD, sealed=None, valid_until_ms=now_ms))

    def forget_lapsed_value(self, connection: Connection, key_id: str, now_ms: int) -> bool:
        """Forget the old value if its overlap has ended. Returns whether there was one."""
        is_over = (key_values.c.state == RETIRING, key_values.c.valid_until_ms <= now_ms)
        ending = update(key_values).where(key_values.c.key_id == key_id, *is_over).values(state=DEAD, sealed=None)
        return connection.execute(ending).rowcount > 0

    def forget_values(self, connection: Connection, key: Key) -> None:
        """Keep no value of a key that opens the door, only the proof that its digest belongs to it."""
        rows = value_rows().where(key_values.c.key_id == key.id, key_values.c.state != DEAD)
        for row in connection.execute(rows).all():
            sealed = self._vault.bind(row.digest, data_key=data_key_of(row), place=_place(key, row.generation))
            this = and_(key_values.c.key_id == key.id, key_values.c.generation == row.generation)
            connection.execute(update(key_values).where(this).values(sealed=sealed))

    def lock_account(self, connection: Connection, account_id: str) -> None:
        """Keep the changes of the account's keys waiting until the transaction ends. Comes before any other lock."""
        own = select(accounts.c.id).where(accounts.c.id == account_id)
        connection.execute(own.with_for_update(key_share=True)).one_or_none()

    def descendants(self, connection: Connection, account_id: str, key_id: str) -> list[str]:
        """The live keys that were created by this key, by a key that it created, and so on, alive or not."""
        made = select(keys.c.id).where(keys.c.account_id == account_id, keys.c.created_by == key_id)
        family = made.cte("family", recursive=True)
        # A union, as each key counts once, whatever somebody has written into the rows.
        family = family.union(
            select(keys.c.id).where(keys.c.account_id == account_id, keys.c.created_by == family.c.id)
        )
        live = select(keys.c.id).where(keys.c.id.in_(select(family.c.id)), keys.c.deleted_ms.is_(None))
        return list(connection.execute(live.where(keys.c.id != key_id).order_by(keys.c.id)).scalars())

    def lock(self, connection: Connection, account_id: str, key_id: str, *, is_opened: bool = True) -> Key:
        """The live key, kept from other writers until the transaction ends. Raises NotFound.

        With *is_opened* its value is proven and read; else a row that was altered from outside can be changed too.
        """
        # The lock comes alone: what is read in the same statement might be as old as the wait for it was long.
        connection.execute(select(keys.c.number).where(*_is_live(account_id, key_id)).with_for_update()).one_or_none()
        row = connection.execute(key_rows().where(*_is_live(account_id, key_id))).one_or_none()
        if row is None:
            raise NotFound
        return self._open(row) if is_opened else _key(row)

    def get(self, connection: Connection, account_id: str, key_id: str, *, is_live: bool = True) -> Key:
        """Raises NotFound for an unknown, malformed or foreign id alike, and for a deleted one when *is_live*."""
        conditions = _is_live(account_id, key_id)
        row = connection.execute(key_rows().where(*(conditions if is_live else conditions[:2]))).one_or_none()
        if row is None:
            raise NotFound
        return self._open(row)

    def check_known(self, connection: Connection, account_id: str, key_id: str) -> None:
        """Raises NotFound for an id that is unknown, malformed or of another account; a deleted key's is known."""
        known = select(keys.c.number).where(*_is_live(account_id, key_id)[:2])
        if connection.execute(known).one_or_none() is None:
            raise NotFound

    def iterate(
        self,
        connection: Connection,
        account_id: str,
        *,
        kind: KeyKind | None,
        is_live: bool,
        after_id: str | None = None,
    ) -> Iterator[Key]:
        """The account's live keys, or its deleted ones, of one *kind* or of all, oldest first, behind *after_id*."""
        # Mezmo: the order of keys is not documented; oldest first is the natural one of its store. mezmo-api 24 Q9
        conditions = [keys.c.account_id == account_id, keys.c.deleted_ms.is_(None) == is_live]
        if kind is not None:
            conditions.append(keys.c.kind == kind.value)
        if after_id is not None:
            after = keys.alias("after")
            place = select(after.c.number).where(after.c.account_id == account_id, after.c.id == after_id)
            conditions.append(keys.c.number > place.scalar_subquery())
        for row in connection.execute(key_rows().where(*conditions)):
            yield self._open(row)

    def snapshot(
        self, connection: Connection, *, since_ms: int, key_id: str | None = None, after_seq: int | None = None
    ) -> Snapshot:
        """What the keyring may know: live values, and those that ended *since_ms*.

        Of one key, of the keys that were changed *after_seq*, or of every key.

        A live value is believed only when its sealed form opens in its place and has the digest beside it: who can
        write to the database, but does not know the master secret, can neither plant a value nor move one to another
        key. Of a key with a row that was altered nothing is believed.
        """
        rows = value_rows().where((key_values.c.state != DEAD) | (key_values.c.valid_until_ms > since_ms))
        if key_id is not None:
            rows = rows.where(keys.c.id == key_id)
        if after_seq is not None:
            rows = rows.where(keys.c.revision > after_seq)
        standings: dict[bytes, Standing] = {}
        altered: set[str] = set()
        unreadable: set[str] = set()
        revisions: dict[str, int] = {}
        for row in connection.execute(rows):
            revisions[row.id] = row.revision
            try:
                if self._is_believed(row):
                    standings[row.digest] = _standing(row)
            except SealError:
                altered.add(row.id)
            except SecretOutdated:
                unreadable.add(row.id)
        left_out = altered | unreadable
        return Snapshot(
            standings={digest: known for digest, known in standings.items() if known.caller.key_id not in left_out},
            altered_key_ids=tuple(sorted(altered)),
            revisions=revisions,
            is_whole=not unreadable,
        )

    def lapsed(self, connection: Connection, now_ms: int) -> list[tuple[str, str]]:
        """Account and id of the keys whose old value has come to its end and is still kept."""
        rows = select(keys.c.account_id, keys.c.id).join(key_values, key_values.c.key_id == keys.c.id)
        ended = rows.where(key_values.c.state == RETIRING, key_values.c.valid_until_ms <= now_ms)
        return [(row.account_id, row.id) for row in connection.execute(ended)]

    def expiring(self, connection: Connection, *, after_ms: int, until_ms: int) -> list[Key]:
        """The live keys of all accounts that expire in that time, without their values."""
        near = keys.c.expires_at_ms.between(after_ms, until_ms)
        return [_key(row) for row in connection.execute(key_rows().where(keys.c.deleted_ms.is_(None), near))]

    def overlaps_that_may_end(self, connection: Connection) -> list[Overlap]:
        """The overlaps of all accounts whose policy ends them early."""
        retiring = select(keys.c.account_id, keys.c.id, key_values.c.generation, key_policies.c.overlap_idle_ms)
        rows = retiring.join(key_values, key_values.c.key_id == keys.c.id).join(
            key_policies, key_policies.c.account_id == keys.c.account_id
        )
        asked = rows.where(key_values.c.state == RETIRING, key_policies.c.overlap_idle_ms.is_not(None))
        return [
            Overlap(account_id=row.account_id, key_id=row.id, generation=row.generation, idle_ms=row.overlap_idle_ms)
            for row in connection.execute(asked)
        ]

    def find_holder(self, connection: Connection, value: str) -> tuple[str, str, int] | None:
        """Account, key and generation that *value* belongs to or belonged to, whatever pepper it was stored under.

        Raises SecretOutdated when that cannot be known.
        """
        self.follow(connection)
        rows = select(keys.c.account_id, keys.c.id, key_values.c.generation).join(
            key_values, key_values.c.key_id == keys.c.id
        )
        row = connection.execute(rows.where(key_values.c.digest.in_(self._vault.digests(value)))).first()
        return None if row is None else (row.account_id, row.id, row.generation)

    def find_data_key(self, connection: Connection, account_id: str) -> WrappedKey | None:
        """The account's wrapped data key, when it has one."""
        stored = select(data_keys.c.wrapped, data_keys.c.kek_version).where(data_keys.c.account_id == account_id)
        row = connection.execute(stored).one_or_none()
        return None if row is None else data_key_of(row)

    def insert_data_key(self, connection: Connection, account_id: str) -> None:
        """Give the account a data key. Raises IntegrityError when it has one, and for an unknown account.

        The state is kept as it is until the transaction ends, so that a rotation of the KEK misses no data key.
        """
        version = read_state(connection, is_locked=True).kek_version
        wrapped = self._vault.mint_data_key(account_id, version)
        connection.execute(insert(data_keys).values(account_id=account_id, **wrapped._asdict()))

    def _move_vault(self, connection: Connection, state: KeyringState) -> bool:
        checks = find_checks(connection)
        return self._vault.move_to(state.pepper_version, state.kek_version, checks.versions if checks else {})

    def _seal(self, key: Key, value: str, digest: bytes, data_key: WrappedKey) -> bytes:
        place = _place(key, key.generation)
        if key.reveal is Reveal.NEVER:
            return self._vault.bind(digest, data_key=data_key, place=place)
        return self._vault.seal(value, data_key=data_key, place=place)

    def _open(self, row: Row[Any]) -> Key:
        key = _key(row)
        value = None if key.state is KeyState.DELETED else self._open_value(row)
        if value is None:
            return key
        return replace(key, value=value if key.reveal is Reveal.ALWAYS else None, mask=mask(value))

    def _is_believed(self, row: Row[Any]) -> bool:
        """Whether the row is worth knowing. Raises SealError, SecretOutdated.

        An ended value whose pepper is gone cannot be recognised any more.
        """
        if row.value_state == DEAD:
            return self._vault.knows(Purpose.PEPPER, row.pepper_version)
        self._open_value(row)
        return True

    def _open_value(self, row: Row[Any]) -> str | None:
        """The value that the row keeps, None when it keeps none. Raises SealError, SecretOutdated."""
        return open_value(self._vault, row)


def _is_live(account_id: str, key_id: str) -> tuple[ColumnElement[bool], ...]:
    """Raises NotFound for a malformed id, which the database may refuse to look at."""
    if not is_key_id(key_id):
        raise NotFound
    return (keys.c.account_id == account_id, keys.c.id == key_id, keys.c.deleted_ms.is_(None))


def _place(key: Key, generation: int) -> Place:
    return Place(account_id=key.account_id, key_id=key.id, generation=generation, kind=key.kind)


def _changing_columns(key: Key) -> dict[str, Any]:
    return {
        "state": key.state.value,
        "name": key.name,
        "note": key.note,
        "labels": json.dumps(dict(key.labels)),
        "owner": key.owner,
        "reveal": key.reveal.value,
        "scopes": _json(render_scopes(key.scopes)),
        "narrowing": _json(render_term(key.narrowing)),
        "network": _json(render_term(key.network)),
        "limits": _json(render_term(key.limits)),
        "is_imported": key.is_imported,
        "held_until_ms": key.held_until_ms,
        "not_before_ms": key.not_before_ms,
        "expires_at_ms": key.expires_at_ms,
        "deleted_ms": key.deleted_ms,
        "expiry_warned_days": key.expiry_warned_days,
    }


def _key(row: Row[Any]) -> Key:
    return Key(
        id=row.id,
        account_id=row.account_id,
        kind=KeyKind(row.kind),
        name=row.name,
        created_ms=row.created_ms,
        created_by=row.created_by,
        state=KeyState(row.state),
        note=row.note,
        labels=json.loads(row.labels),
        owner=row.owner,
        held_until_ms=row.held_until_ms,
        not_before_ms=row.not_before_ms,
        expires_at_ms=row.expires_at_ms,
        deleted_ms=row.deleted_ms,
        format=KeyFormat(row.format),
        reveal=Reveal(row.reveal),
        scopes=read_scopes(row.scopes),
        narrowing=read_term(row.narrowing, Narrowing),
        network=read_term(row.network, Network),
        limits=read_term(row.limits, Limits),
        is_imported=row.is_imported,
        generation=row.generation,
        retiring_until_ms=row.retiring_until_ms,
        revision=row.revision,
        expiry_warned_days=row.expiry_warned_days,
        last_used_ms=row.last_used_ms,
    )


def _standing(row: Row[Any]) -> Standing:
    state, terms = KeyState(row.state), None
    try:
        terms = terms_of(row.narrowing, row.network, row.limits)
    except ValueError:  # what cannot be read must not count as no bound
        state = KeyState.DISABLED if state is not KeyState.DELETED else state
    caller = Caller(
        account_id=row.account_id,
        key_id=row.id,
        kind=KeyKind(row.kind),
        generation=row.generation,
        scopes=read_scopes(row.scopes),
        terms=terms,
    )
    return Standing(
        caller=caller,
        state=state,
        held_until_ms=row.held_until_ms,
        not_before_ms=row.not_before_ms,
        expires_at_ms=row.expires_at_ms,
        valid_until_ms=row.valid_until_ms,
        revision=row.revision,
        pepper_version=row.pepper_version,
    )


def _json(content: object | None) -> str | None:
    return None if content is None else json.dumps(content)


def _lowest_free_slot(kind: KeyKind, taken: Collection[int]) -> int:
    for slot in range(1, kind.keys_max + 1):
        if slot not in taken:
            return slot
    limit = kind.keys_max
    # Mezmo: the answer above the limit is not documented; it should name the kind and the limit. mezmo-api 24 Q1
    message = f"The account has {limit} of {limit} {kind.value} keys. Delete one that is not used any more."
    raise KeyLimitReached(Detail(message=message, key="type"))
