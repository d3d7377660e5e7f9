"""Any sequence of creating, renaming, deleting and restarting ends where a twenty-line model says."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from keys_house import open_keys_house

from logboom.errors import KeyLimitReached, NotFound
from logboom.keys.key import KeyKind

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=15)


class KeysModel(RuleBasedStateMachine):
    """*live* is the model: what each account should own, in order."""

    known = Bundle("known")

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.url = f"sqlite:///{Path(self.folder.name) / 'control.db'}"
        self.house = open_keys_house(self.url)
        self.account_ids = [self.house.accounts.create().id for _ in range(2)]
        self.live = {account_id: [] for account_id in self.account_ids}
        self.dead_values = []

    @rule(target=known, account=st.sampled_from([0, 1]), kind=st.sampled_from(KeyKind), name=NAMES)
    def create(self, account, kind, name):
        account_id = self.account_ids[account]
        is_full = len([key for key in self.live[account_id] if key.kind is kind]) == kind.keys_max
        if is_full:
            with pytest.raises(KeyLimitReached):
                self.house.keys.create(account_id, kind, name=name)
            return account_id, "0" * 24
        key = self.house.keys.create(account_id, kind, name=name)
        assert key.name == (name if name.strip() else key.name)
        self.live[account_id].append(key)
        return account_id, key.id

    @rule(target=known, kind=st.sampled_from(KeyKind))
    def fill(self, kind):
        account_id = self.account_ids[0]
        while len([key for key in self.live[account_id] if key.kind is kind]) < kind.keys_max:
            self.live[account_id].append(self.house.keys.create(account_id, kind))
        return account_id, self.live[account_id][-1].id

    @rule(key=known, name=NAMES)
    def rename(self, key, name):
        account_id, key_id = key
        owned = {key.id: number for number, key in enumerate(self.live[account_id])}
        if key_id in owned:
            self.live[account_id][owned[key_id]] = self.house.keys.rename(account_id, key_id, name)
        else:
            with pytest.raises(NotFound):
                self.house.keys.rename(account_id, key_id, name)

    @rule(key=consumes(known))
    def delete(self, key):
        account_id, key_id = key
        dying = [key for key in self.live[account_id] if key.id == key_id]
        if dying:
            self.house.keys.delete(account_id, key_id)
            self.live[account_id].remove(dying[0])
            self.dead_values.append(dying[0].value)
        else:
            with pytest.raises(NotFound):
                self.house.keys.delete(account_id, key_id)

    @rule(key=known)
    def delete_as_stranger(self, key):
        account_id, key_id = key
        stranger_id = next(other for other in self.account_ids if other != account_id)
        with pytest.raises(NotFound):
            self.house.keys.delete(stranger_id, key_id)

    @rule()
    def restart(self):
        self.house.engine.dispose()
        self.house = open_keys_house(self.url)
        assert self.house.keys.load() == ()

    @invariant()
    def database_and_memory_agree_with_the_model(self):
        for account_id, live in self.live.items():
            assert self.house.keys.list_keys(account_id) == live
            callers = [self.house.keyring.authenticate(key.value) for key in live]
            assert [(caller.account_id, caller.key_id, caller.kind) for caller in callers] == [
                (account_id, key.id, key.kind) for key in live
            ]
        assert not [value for value in self.dead_values if self.house.keyring.authenticate(value)]

    def teardown(self):
        self.house.engine.dispose()
        self.folder.cleanup()


TestKeysModel = KeysModel.TestCase
TestKeysModel.settings = settings(
    max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
