"""The life of keys: every change goes through here, to the database and to the memory of this process as one step.

A created key opens doors as soon as its creator is told of it, a deleted one is refused by the very next request.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from logboom.errors import Detail, KeyLimitReached, KeyNotRevealed, NotFound, Unavailable, ValidationFailed
from logboom.keys import life
from logboom.keys.allowance import Allowance
from logboom.keys.answers import Answers, Once
from logboom.keys.change import SYSTEM, Actor, ActorKind, KeyAction, KeyChange
from logboom.keys.draft import draft_key
from logboom.keys.formats import check_value, is_importable, mask, mint_value
from logboom.keys.key import Key, KeyKind, NewKey, Reveal, check_texts
from logboom.keys.keyring import Keyring
from logboom.keys.policies import find_policy
from logboom.keys.policy import check_lifetime
from logboom.keys.repository import KeyRepository, ValueTaken
from logboom.keys.rights import REVEALING, Rights, check_covers, check_giving, may_have
from logboom.keys.rows import ACTIVE, RETIRING, number_changes
from logboom.keys.vault import Vault, WrappedKey
from logboom.keys.verdict import Standing
from logboom.limits import IMPORTS_PER_HOUR_MAX, OVERLAP_DEFAULT_MS, TOMBSTONE_MS

# Each lost race means that another key was created; a hundred in a row is not a race but a fault.
RACES_MAX = 100

Rule = Callable[[Connection, Key, int], Key]


def _tell_nobody(_connection: Connection, _change: KeyChange) -> None:
    """What stands where nobody wants to know of changes."""


def _tell_nobody_of_reveals(_keys: Sequence[Key], _actor: Actor) -> None:
    """What stands where nobody wants to know of values that were shown."""


def _tell_nobody_of_refusals(_key: Key, _actor: Actor, _error: ValidationFailed) -> None:
    """What stands where nobody wants to know of keys that were not made."""


class Keys:
    """All that is done to keys. The methods wait for the database: call them from a thread.

    *on_change* is called with every change inside its transaction; when it raises, nothing has happened. *on_reveal* is
    called before values that were kept leave the server again; when it raises, they do not. *on_not_made* is told of a
    key that was one too many, or could not be imported, once nothing of it is left. *random_hex* is
    `secrets.token_hex` or its like. *following* has connections of its own for `catch_up`, so that no number of waiting
    requests keeps news out.

    Two requests that change one key at once may tell the keyring in the wrong order; the number that each change has
    from the database keeps the older one from counting.
    """

    def __init__(
        self,
        repository: KeyRepository,
        keyring: Keyring,
        vault: Vault,
        *,
        now_ms: Callable[[], int],
        random_hex: Callable[[int], str],
        on_change: Callable[[Connection, KeyChange], None] = _tell_nobody,
        on_reveal: Callable[[Sequence[Key], Actor], None] = _tell_nobody_of_reveals,
        on_not_made: Callable[[Key, Actor, ValidationFailed], None] = _tell_nobody_of_refusals,
        following: KeyRepository | None = None,
    ) -> None:
        self._repository = repository
        self._following = following or repository
        self._keyring = keyring
        self._now_ms = now_ms
        self._random_hex = random_hex
        self._on_change = on_change
        self._on_reveal, self._on_not_made = on_reveal, on_not_made
        self._answers = Answers(vault, now_ms=now_ms)
        self._rights = Rights(repository, now_ms=now_ms)
        self.seen_seq = 0  # the newest change that the keyring knows of
        self._imports = Allowance(IMPORTS_PER_HOUR_MAX, now_ms=now_ms)

    # -- the memory of this process ------------------------------------------------------------------------------------

    def load(self) -> tuple[str, ...]:
        """Fill the keyring. Returns the ids of keys left out because somebody altered their rows; say so loudly."""
        self.end_lapsed_overlaps()
        with self._repository.reading() as connection:
            self.seen_seq = self._repository.follow(connection).seq
            snapshot = self._repository.snapshot(connection, since_ms=self._now_ms() - TOMBSTONE_MS)
        self._keyring.replace(snapshot.standings)
        return snapshot.altered_key_ids

    def catch_up(self) -> int:
        """Learn what was changed since the last time, by whatever server; returns the number of the newest change.

        While the secret lacks a version that is used, the keyring is told that it may not know every key, and the
        number stays behind, so that the next call tries again. For one thread, the feed's. Raises Unavailable.
        """
        with self._following.reading() as connection:
            # First the number, then the keys: what is changed between the two is read now and once more.
            if self._following.newest_seq(connection) == self.seen_seq:
                return self.seen_seq
            state, has_followed = self._following.try_to_follow(connection)
            since_ms = self._now_ms() - TOMBSTONE_MS
            snapshot = self._following.snapshot(connection, since_ms=since_ms, after_seq=self.seen_seq)
        for key_id, standings in snapshot.by_key().items():
            self._keyring.put(key_id, standings, snapshot.revisions[key_id])
        self._keyring.set_blind(is_blind=not (has_followed and snapshot.is_whole))
        if not self._keyring.is_blind:
            self.seen_seq = state.seq
        return self.seen_seq

    def end_lapsed_overlaps(self) -> None:
        """Forget the old values whose overlap has ended. They are refused already; this takes them out of the rows."""
        with self._repository.reading() as connection:
            lapsed = self._repository.lapsed(connection, self._now_ms())
        for account_id, key_id in lapsed:
            self._change(account_id, key_id, KeyAction.RETIRED, SYSTEM, self._forget_lapsed, is_opened=False)

    def change_by_itself(self, account_id: str, key_id: str, action: KeyAction, rule: Rule) -> Key:
        """A change that nobody asked for but time. *rule* is given the locked key. Raises NotFound."""
        return self._change(account_id, key_id, action, SYSTEM, rule, is_opened=False)

    # -- reading -------------------------------------------------------------------------------------------------------

    def get(self, account_id: str, key_id: str, *, is_live: bool = True) -> Key:
        """The key, with its value if that is always revealed. Raises NotFound, with *is_live* for a deleted one too."""
        with self._repository.reading() as connection:
            return self._repository.get(connection, account_id, key_id, is_live=is_live).at(self._now_ms())

    def check_known(self, account_id: str, key_id: str) -> None:
        """Raises NotFound unless the account has or had this key. Its values are not looked at."""
        with self._repository.reading() as connection:
            self._repository.check_known(connection, account_id, key_id)

    def list_keys(
        self, account_id: str, kind: KeyKind | None = None, *, is_live: bool = True, after_id: str | None = None
    ) -> list[Key]:
        """The account's live keys, or its deleted ones, of one *kind* or of all, oldest first, behind *after_id*."""
        now_ms = self._now_ms()
        with self._repository.reading() as connection:
            found = self._repository.iterate(connection, account_id, kind=kind, is_live=is_live, after_id=after_id)
            return [key.at(now_ms) for key in found]

    def reveal(self, account_id: str, key_id: str, *, actor: Actor) -> Key:
        """The key with its value, and the showing told of. Raises NotFound, and KeyNotRevealed where none is shown."""
        with self._repository.reading() as connection:
            own = self._rights.scopes_of(connection, account_id, actor, REVEALING)
            key = self._repository.get(connection, account_id, key_id).at(self._now_ms())
        check_covers(own, key)
        if key.value is None:
            raise KeyNotRevealed
        self._on_reveal([key.without_value()], actor)
        return key

    def reveal_all(self, account_id: str, kind: KeyKind | None = None, *, actor: Actor) -> list[Key]:
        """The keys whose values may be shown to *actor*, with them; others are left out. Each showing is told of."""
        with self._repository.reading() as connection:
            own = self._rights.scopes_of(connection, account_id, actor, REVEALING)
        shown = [key for key in self.list_keys(account_id, kind) if key.value is not None and may_have(own, key)]
        self._on_reveal([key.without_value() for key in shown], actor)
        return shown

    # -- creating ------------------------------------------------------------------------------------------------------

    def create(
        self,
        account_id: str,
        kind: KeyKind,
        *,
        name: str = "",
        value: str | None = None,
        actor: Actor = SYSTEM,
    ) -> Key:
        """A new key; it works when this returns. A blank *name* becomes a generated one; *value* presets a value.

        Raises KeyLimitReached, and ValidationFailed for a bad name or a value that is bad or was used before.
        """
        if value is not None:
            check_value(value)
        new = NewKey(kind=kind, name=name, reveal=Reveal.ALWAYS)  # whoever asks here has to be able to read it back
        return self.create_key(account_id, new, value=value, actor=actor)

    def create_key(
        self, account_id: str, new: NewKey, *, value: str | None = None, actor: Actor, once: Once | None = None
    ) -> Key:
        """A new key with all that can be said of one; the same answer again when it was asked for *once* already."""
        key = self._new_key(account_id, new, value, actor)
        taken = ValidationFailed(Detail(message='"key" cannot be used', key="key"))
        return self._insert(key, KeyAction.CREATED, actor, once, if_taken=taken)

    def import_key(self, account_id: str, new: NewKey, value: str, *, actor: Actor) -> Key:
        """A key with the *value* it has elsewhere. The answer holds no value.

        Raises ValidationFailed, in the same words whether the value is weak or taken: a guess learns nothing.
        Raises TooManyRequests when an account tries too often.
        """
        self._imports.use(account_id)
        key = replace(self._new_key(account_id, new, value, actor), is_imported=True)
        unusable = ValidationFailed(Detail(message='"value" cannot be used as a key', key="value"))
        try:
            if not is_importable(value, new.kind):
                raise unusable
            return self._insert(key, KeyAction.IMPORTED, actor, if_taken=unusable).without_value()
        except ValidationFailed as error:
            if error is unusable:  # who tries values that others have looks like this, and is told nothing
                self._on_not_made(key.without_value(), actor, error)
            raise

    # -- changing ------------------------------------------------------------------------------------------------------

    def rename(self, account_id: str, key_id: str, name: str, *, actor: Actor = SYSTEM) -> Key:
        """The key under its new *name*, with its value; a blank one changes nothing.

        Raises NotFound, ValidationFailed, and KeyNotRevealed where the value may not be shown: then nothing changes.
        """

        def rule(_connection: Connection, key: Key, now_ms: int) -> Key:
            if key.value is None:
                raise KeyNotRevealed
            return life.edited(key, {"name": name} if name.strip() else {}, now_ms)

        check_texts({"name": name})
        key = self._change(account_id, key_id, KeyAction.RENAMED, actor, rule)
        self._on_reveal([key.without_value()], actor)
        return key

    def edit(self, account_id: str, key_id: str, changes: Mapping[str, Any], *, actor: Actor) -> Key:
        """The key with *changes* to name, note, labels, owner, not_before_ms, expires_at_ms, reveal and scopes."""

        def rule(connection: Connection, key: Key, now_ms: int) -> Key:
            after = life.edited(key, changes, now_ms)
            if after.expires_at_ms != key.expires_at_ms:
                check_lifetime(find_policy(connection, account_id), after.expires_at_ms, now_ms)
            if after.reveal is Reveal.NEVER and key.reveal is not Reveal.NEVER:
                self._repository.forget_values(connection, key)
                after = replace(after, mask=None)
            return after

        check_texts(changes)
        return self._change(account_id, key_id, KeyAction.CHANGED, actor, rule)

    def hold(self, account_id: str, key_id: str, for_ms: int, *, actor: Actor, generation: int | None = None) -> Key:
        """Tell the key's users to keep their lines (504), for that long at most.

        With a *generation*, here as below: nothing happens to a key that has another value by now.
        """
        rule = _if_at(generation, lambda _, key, now_ms: life.held(key, now_ms + for_ms))
        return self._change(account_id, key_id, KeyAction.HELD, actor, rule)

    def release(self, account_id: str, key_id: str, *, actor: Actor) -> Key:
        return self._change(account_id, key_id, KeyAction.RELEASED, actor, lambda _, key, __: life.released(key))

    def disable(self, account_id: str, key_id: str, *, actor: Actor, generation: int | None = None) -> Key:
        """Refuse the key until it is enabled. It keeps its slot: enabling can never exceed the limit."""
        rule = _if_at(generation, lambda _, key, __: life.disabled(key))
        return self._change(account_id, key_id, KeyAction.DISABLED, actor, rule)

    def enable(self, account_id: str, key_id: str, *, actor: Actor) -> Key:
        return self._change(account_id, key_id, KeyAction.ENABLED, actor, lambda _, key, __: life.enabled(key))

    def delete(self, account_id: str, key_id: str, *, actor: Actor = SYSTEM) -> Key:
        """Free the key's slot and forget its values; the key is refused when this returns. Raises NotFound."""
        return self._change(account_id, key_id, KeyAction.DELETED, actor, self._delete, is_opened=False)

    def delete_family(self, account_id: str, key_id: str, *, actor: Actor) -> list[Key]:
        """Delete the key and all live ones that go back to it, at once: whoever held it keeps nothing. It comes first.

        None of them creates another meanwhile, for whoever creates by a key waits for the account.
        """
        with self._repository.writing() as connection:
            self._rights.authorize(connection, account_id, KeyAction.DELETED, actor)
            now_ms = self._now_ms()
            children = self._repository.descendants(connection, account_id, key_id)
            # In the order of ids, as the writers of usage hold rows: no two wait for each other crosswise.
            family = sorted({key_id, *children})
            locked = [self._repository.lock(connection, account_id, one, is_opened=False) for one in family]
            before = sorted((key.at(now_ms) for key in locked), key=lambda key: key.id != key_id)
            after = [self._delete(connection, key, now_ms) for key in before]
            for key in after:
                self._repository.update(connection, key)
            seq = number_changes(connection, [key.id for key in after])
            after = [replace(key, revision=seq) for key in after]
            for was, key in zip(before, after, strict=True):
                self._tell(connection, KeyAction.DELETED, before=was, after=key, actor=actor)
            standings = [self._standings(connection, key.id) for key in after]
        for key, known in zip(after, standings, strict=True):
            self._keyring.put(key.id, known, key.revision)
        return after

    def children(self, account_id: str, key_id: str) -> list[str]:
        """The ids of the live keys that go back to this one."""
        with self._repository.reading() as connection:
            return self._repository.descendants(connection, account_id, key_id)

    def rotate(
        self,
        account_id: str,
        key_id: str,
        *,
        overlap_ms: int = OVERLAP_DEFAULT_MS,
        actor: Actor,
        once: Once | None = None,
        generation: int | None = None,
    ) -> Key:
        """The same key with a new value; the old one goes on until the overlap ends, and an older one ends at once.

        Raises KeyStateConflict for a key that is held, disabled or expired. It works with every slot taken.
        """
        answered: list[Key] = []

        def rule(connection: Connection, key: Key, now_ms: int) -> Key:
            data_key = self._repository.find_data_key(connection, account_id)
            if data_key is None:
                raise NotFound
            if once and (kept := self._answers.find(connection, account_id, once, data_key)):
                answered.append(kept)
                return key
            after = self._rotate(connection, key, now_ms, overlap_ms=overlap_ms, data_key=data_key)
            if once:
                self._answers.keep(connection, after, once, data_key)
            return after

        key = self._change(account_id, key_id, KeyAction.ROTATED, actor, _if_at(generation, rule))
        return answered[0] if answered else key

    def end_overlap(self, account_id: str, key_id: str, *, actor: Actor, generation: int | None = None) -> Key:
        """End the old value now. Nothing happens when there is none."""
        return self._change(account_id, key_id, KeyAction.RETIRED, actor, _if_at(generation, self._end_overlap))

    def end_exposed(self, value: str, *, actor: Actor) -> None:
        """End a *value* that has become known: the old one of an overlap alone, else the key with it.

        Who holds the value may do this without any other right. Returns in the same way for a value of nobody.
        """
        with self._repository.reading() as connection:
            holder = self._repository.find_holder(connection, value)
        if holder is None:
            return
        account_id, key_id, generation = holder

        def rule(connection: Connection, key: Key, now_ms: int) -> Key:
            if generation == key.generation:
                return self._delete(connection, key, now_ms)
            is_retiring = generation == key.generation - 1 and key.retiring_until_ms is not None
            return self._end_overlap(connection, key, now_ms) if is_retiring else key

        try:
            self._change(account_id, key_id, KeyAction.EXPOSED, actor, rule, is_opened=False)
        except NotFound:
            return

    # -- within a transaction ------------------------------------------------------------------------------------------

    def _change(
        self, account_id: str, key_id: str, action: KeyAction, actor: Actor, rule: Rule, *, is_opened: bool = True
    ) -> Key:
        """Do what *rule* says to the key as it is once it is locked, tell of it, commit, and tell the keyring."""
        with self._repository.writing() as connection:
            own = self._rights.authorize(connection, account_id, action, actor)
            row = self._repository.lock(connection, account_id, key_id, is_opened=is_opened)
            now_ms = self._now_ms()
            before = row.at(now_ms)
            check_giving(own, action, before)
            after = rule(connection, before, now_ms)
            check_giving(own, action, after)
            if after is not before:
                self._repository.update(connection, after)
                after = self._repository.number_change(connection, after)
                self._tell(connection, action, before=before, after=after, actor=actor)
            standings = self._standings(connection, key_id)
        self._keyring.put(key_id, standings, after.revision)
        return after

    def _insert(
        self, key: Key, action: KeyAction, actor: Actor, once: Once | None = None, *, if_taken: ValidationFailed
    ) -> Key:
        """Insert until a slot is won. Raises KeyLimitReached, and *if_taken* when the value was ever used."""
        data_key = self._data_key(key.account_id)
        for _ in range(RACES_MAX):
            try:
                return self._insert_once(key, action, actor, once, data_key=data_key)
            except ValueTaken as cause:
                raise if_taken from cause
            except IntegrityError as cause:  # the slot was taken at the same moment, or the value at any
                if self._is_taken(key.value or ""):
                    raise if_taken from cause
            except KeyLimitReached as error:
                self._on_not_made(key.without_value(), actor, error)
                raise
        raise Unavailable

    def _insert_once(
        self, key: Key, action: KeyAction, actor: Actor, once: Once | None, *, data_key: WrappedKey
    ) -> Key:
        with self._repository.writing() as connection:
            if actor.kind is ActorKind.SERVICE_KEY:
                own = self._rights.authorize(connection, key.account_id, action, actor)
                check_giving(own, action, key)
            if once and (kept := self._answers.find(connection, key.account_id, once, data_key)):
                return kept
            self._repository.insert(connection, key, key.value or "", data_key)
            if once:
                self._answers.keep(connection, key, once, data_key)
            key = self._repository.number_change(connection, key)
            self._tell(connection, action, before=None, after=key, actor=actor)
            standings = self._standings(connection, key.id)
        self._keyring.put(key.id, standings, key.revision)
        return key

    def _rotate(self, connection: Connection, key: Key, now_ms: int, *, overlap_ms: int, data_key: WrappedKey) -> Key:
        value = mint_value(key.kind, key.format, self._random_hex)
        after = replace(life.rotated(key, now_ms, overlap_ms), value=value, mask=mask(value))
        self._repository.end_values(connection, key.id, [RETIRING], now_ms)
        if after.retiring_until_ms is None:
            self._repository.end_values(connection, key.id, [ACTIVE], now_ms)
        else:
            self._repository.retire_value(connection, key.id, after.retiring_until_ms)
        self._repository.insert_value(connection, after, value, data_key)
        return after

    def _delete(self, connection: Connection, key: Key, now_ms: int) -> Key:
        self._repository.end_values(connection, key.id, [ACTIVE, RETIRING], now_ms)
        return life.deleted(key, now_ms)

    def _end_overlap(self, connection: Connection, key: Key, now_ms: int) -> Key:
        if key.retiring_until_ms is not None:
            self._repository.end_values(connection, key.id, [RETIRING], now_ms)
        return life.overlap_ended(key)

    def _forget_lapsed(self, connection: Connection, key: Key, now_ms: int) -> Key:
        return replace(key) if self._repository.forget_lapsed_value(connection, key.id, now_ms) else key

    def _tell(self, connection: Connection, action: KeyAction, *, before: Key | None, after: Key, actor: Actor) -> None:
        change = KeyChange(
            action=action,
            before=before and before.without_value(),
            after=after.without_value(),
            actor=actor,
            at_ms=self._now_ms(),
        )
        self._on_change(connection, change)

    def _standings(self, connection: Connection, key_id: str) -> Mapping[bytes, Standing]:
        since_ms = self._now_ms() - TOMBSTONE_MS
        return self._repository.snapshot(connection, since_ms=since_ms, key_id=key_id).standings

    def _data_key(self, account_id: str) -> WrappedKey:
        """The account's wrapped data key, made at its first use. Raises NotFound for an unknown account."""
        data_key = self._find_data_key(account_id)
        if data_key is not None:
            return data_key
        try:
            with self._repository.writing() as connection:
                self._repository.insert_data_key(connection, account_id)
        except IntegrityError as cause:  # another process was first, or there is no such account
            if self._find_data_key(account_id) is None:
                raise NotFound from cause
        return self._data_key(account_id)

    def _find_data_key(self, account_id: str) -> WrappedKey | None:
        with self._repository.reading() as connection:
            return self._repository.find_data_key(connection, account_id)

    def _is_taken(self, value: str) -> bool:
        with self._repository.reading() as connection:
            return self._repository.find_holder(connection, value) is not None

    def _new_key(self, account_id: str, new: NewKey, value: str | None, actor: Actor) -> Key:
        with self._repository.reading() as connection:
            policy = find_policy(connection, account_id)
        return draft_key(
            account_id, new, value, policy=policy, actor=actor, now_ms=self._now_ms(), random_hex=self._random_hex
        )


def _if_at(generation: int | None, rule: Rule) -> Rule:
    """The *rule* for a key at that *generation*; any other stays as it is."""

    def rule_at(connection: Connection, key: Key, now_ms: int) -> Key:
        return rule(connection, key, now_ms) if generation in (None, key.generation) else key

    return rule_at
