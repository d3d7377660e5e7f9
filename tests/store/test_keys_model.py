"""Any sequence of changes, restarts and passing time ends where a small model says: who is admitted, and why not."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from keys_house import Clock, open_keys_house

from logboom.errors import KeyLimitReached, KeyStateConflict, NotFound, TooManyRequests, ValidationFailed
from logboom.keys.change import Actor, ActorKind
from logboom.keys.key import KeyFormat, KeyKind, NewKey, Reveal

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=15)
SPANS_MS = st.sampled_from([1, 50, 100, 1_000])
ACTOR = Actor(kind=ActorKind.HOLDER, key_id="c" * 24)


@dataclass
class Model:
    """One key as it should be. *ends* has for each of its values when that ended or will; None for the active one."""

    account_id: str
    id: str
    kind: KeyKind
    name: str
    state: str = "active"
    held_until: int = 0
    expires_at: int | None = None
    ends: dict = field(default_factory=dict)

    @property
    def active(self):
        return next(value for value, end in self.ends.items() if end is None)

    def is_held(self, now):
        return self.state == "held" and self.held_until > now

    def is_expired(self, now):
        return self.expires_at is not None and self.expires_at <= now

    def end(self, now):
        """End every value that goes on by now."""
        self.ends = {value: now if end is None or end > now else end for value, end in self.ends.items()}

    def refusal(self, value, now):
        if self.state in ("deleted", "disabled"):
            return self.state.upper()
        if self.ends[value] is not None and self.ends[value] <= now:
            return "RETIRED"
        if self.is_expired(now):
            return "EXPIRED"
        return "HELD" if self.is_held(now) else None


class KeysModel(RuleBasedStateMachine):
    """*models* are all keys that ever were, in the order of their creation."""

    known = Bundle("known")

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.url = f"sqlite:///{Path(self.folder.name) / 'control.db'}"
        self.clock = Clock()
        self.house = open_keys_house(self.url, clock=self.clock)
        self.account_ids = [self.house.accounts.create().id for _ in range(2)]
        self.models = []
        self.told = 0

    def live(self, account_id, kind=None):
        return [
            m for m in self.models if m.account_id == account_id and m.state != "deleted" and kind in (None, m.kind)
        ]

    def remember(self, key, value):
        model = Model(account_id=key.account_id, id=key.id, kind=key.kind, name=key.name, ends={value: None})
        model.expires_at = key.expires_at_ms
        self.models.append(model)
        self.told += 1
        return model

    def change(self, model, does, *, allowed=True, changes=True):
        """Do it to the key of *model*; what is not allowed is refused and changes nothing."""
        if model.state == "deleted" or not allowed:
            with pytest.raises(NotFound if model.state == "deleted" else (KeyStateConflict, ValidationFailed)):
                does(model.account_id, model.id)
            return None
        self.told += changes
        return does(model.account_id, model.id) or True

    @rule(
        target=known,
        account=st.sampled_from([0, 1]),
        kind=st.sampled_from(KeyKind),
        name=NAMES,
        shape=st.sampled_from(KeyFormat),
        reveal=st.sampled_from(Reveal),
        expires_in=st.none() | SPANS_MS,
    )
    def create(self, *, account, kind, name, shape, reveal, expires_in):
        account_id = self.account_ids[account]
        expires_at_ms = None if expires_in is None else self.clock() + expires_in
        new = NewKey(kind=kind, name=name, format=shape, reveal=reveal, expires_at_ms=expires_at_ms)
        if len(self.live(account_id, kind)) == kind.keys_max:
            with pytest.raises(KeyLimitReached):
                self.house.keys.create_key(account_id, new, actor=ACTOR)
            return self.models[0]
        key = self.house.keys.create_key(account_id, new, actor=ACTOR)
        assert key.name == (name if name.strip() else key.name)
        return self.remember(key, key.value)

    @rule(target=known, kind=st.sampled_from(KeyKind))
    def fill(self, kind):
        while len(self.live(self.account_ids[0], kind)) < kind.keys_max:
            key = self.house.keys.create(self.account_ids[0], kind)
            self.remember(key, key.value)
        return self.models[-1]

    @rule(value=st.integers(2**127, 2**128 - 1).map("{:032x}".format))
    def import_one(self, value):
        account_id = self.account_ids[1]
        is_taken = any(value in model.ends for model in self.models)
        try:
            key = self.house.keys.import_key(account_id, NewKey(kind=KeyKind.INGESTION), value, actor=ACTOR)
        except KeyLimitReached:
            assert len(self.live(account_id, KeyKind.INGESTION)) == 10
        except ValidationFailed:
            assert is_taken or len(set(value)) < 7
        except TooManyRequests:
            self.clock.now_ms += 3_600_000
        else:
            assert not is_taken
            self.remember(key, value)

    @rule(model=known, name=NAMES.filter(str.strip))
    def rename(self, model, name):
        changes = name != model.name
        if self.change(model, lambda *key: self.house.keys.edit(*key, {"name": name}, actor=ACTOR), changes=changes):
            model.name = name

    @rule(model=known, for_ms=SPANS_MS)
    def hold(self, model, for_ms):
        allowed = model.state != "disabled"
        if self.change(model, lambda *key: self.house.keys.hold(*key, for_ms, actor=ACTOR), allowed=allowed):
            model.state, model.held_until = "held", self.clock() + for_ms

    @rule(model=known)
    def release(self, model):
        is_held = model.is_held(self.clock())
        release = self.house.keys.release
        if self.change(
            model, lambda *key: release(*key, actor=ACTOR), allowed=model.state != "disabled", changes=is_held
        ):
            model.state = "active"

    @rule(model=known)
    def disable(self, model):
        changes = model.state != "disabled"
        if self.change(model, lambda *key: self.house.keys.disable(*key, actor=ACTOR), changes=changes):
            model.state = "disabled"

    @rule(model=known)
    def enable(self, model):
        allowed = not model.is_held(self.clock())
        changes = model.state == "disabled"
        enable = self.house.keys.enable
        if self.change(model, lambda *key: enable(*key, actor=ACTOR), allowed=allowed, changes=changes) and changes:
            model.state = "active"

    @rule(model=known, overlap_ms=st.just(0) | SPANS_MS)
    def rotate(self, model, overlap_ms):
        now = self.clock()
        allowed = not (model.state == "disabled" or model.is_held(now) or model.is_expired(now))
        rotate = self.house.keys.rotate
        key = self.change(model, lambda *k: rotate(*k, overlap_ms=overlap_ms, actor=ACTOR), allowed=allowed)
        if key:
            before = model.active
            model.end(now)
            model.ends[before] = min(now + overlap_ms, model.expires_at or now + overlap_ms)
            model.ends[key.value] = None
            assert key.generation == len(model.ends)

    @rule(model=known)
    def end_overlap(self, model):
        now = self.clock()
        goes_on = [value for value, end in model.ends.items() if end is not None and end > now]
        if self.change(model, lambda *key: self.house.keys.end_overlap(*key, actor=ACTOR), changes=bool(goes_on)):
            model.ends |= dict.fromkeys(goes_on, now)

    @rule(model=known)
    def delete(self, model):
        if self.change(model, lambda *key: self.house.keys.delete(*key, actor=ACTOR)):
            model.state = "deleted"
            model.end(self.clock())

    @rule(model=known, place=st.integers(0, 3))
    def expose(self, model, place):
        now = self.clock()
        value = list(model.ends)[place % len(model.ends)]
        end = model.ends[value]
        self.house.keys.end_exposed(value, actor=ACTOR)
        if end is None:
            model.state = "deleted"
            model.end(now)
            self.told += 1
        elif end > now:
            model.ends[value] = now
            self.told += 1

    @rule(model=known)
    def change_as_stranger(self, model):
        stranger_id = next(other for other in self.account_ids if other != model.account_id)
        for door in (self.house.keys.delete, self.house.keys.rotate, self.house.keys.disable):
            with pytest.raises(NotFound):
                door(stranger_id, model.id, actor=ACTOR)

    @rule(span_ms=SPANS_MS)
    def pass_time(self, span_ms):
        self.clock.now_ms += span_ms

    @rule()
    def restart(self):
        self.house.engine.dispose()
        self.house = open_keys_house(self.url, clock=self.clock)
        assert self.house.keys.load() == ()
        self.told = len(self.house.changes)

    @invariant()
    def database_agrees_with_the_model(self):
        now = self.clock()
        for account_id in self.account_ids:
            listed = self.house.keys.list_keys(account_id)
            live = self.live(account_id)
            assert [(key.id, key.name, key.generation) for key in listed] == [(m.id, m.name, len(m.ends)) for m in live]
            states = ["active" if m.state == "held" and not m.is_held(now) else m.state for m in live]
            assert [key.state.value for key in listed] == states

    @invariant()
    def memory_agrees_with_the_model(self):
        now = self.clock()
        for model in self.models:
            for generation, value in enumerate(model.ends, 1):
                refusal = model.refusal(value, now)
                assert self.house.refusal(value) == refusal
                caller = self.house.caller(value)
                if refusal is None:
                    assert (caller.key_id, caller.account_id, caller.kind, caller.generation) == (
                        *(model.id, model.account_id, model.kind),
                        generation,
                    )

    @invariant()
    def every_change_is_told(self):
        assert len(self.house.changes) == self.told

    def teardown(self):
        self.house.engine.dispose()
        self.folder.cleanup()


TestKeysModel = KeysModel.TestCase
TestKeysModel.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
