"""Answers "whose key is this, and does it open the door now" from memory, without I/O, on every request.

It holds digests only: whoever reads this process's memory finds no key value here. Ended values stay for a while as
tombstones, so that their later use can be named to who holds them.
"""

from collections.abc import Collection, Mapping
from threading import Lock

from logboom.keys.formats import is_broken
from logboom.keys.key import Caller
from logboom.keys.vault import Vault
from logboom.keys.verdict import Refused, Standing, decide
from logboom.limits import KEY_VALUE_CHARACTERS_MAX, KEY_VALUE_CHARACTERS_MIN


class Keyring:
    """The standing of every value by its digest.

    Any thread may authenticate at any time, without a lock: the change of one value is one step that a reader sees
    whole or not at all. Several may bring news of one key; the newest revision counts, in whatever order they come.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._standings: dict[bytes, Standing] = {}
        self._digests: dict[str, frozenset[bytes]] = {}
        self._revisions: dict[str, int] = {}
        self._writing = Lock()

    def authenticate(self, value: str, now_ms: int) -> Caller | Refused | None:
        """Who holds *value*, or why it is refused; None when nobody does.

        What cannot be a key, or is a native one with a mistake in it, is nobody's before any hashing.
        """
        if not is_plausible(value):
            return None
        standing = self._standings.get(self._vault.digest(value))
        return None if standing is None else decide(standing, now_ms)

    def judge(self, caller: Caller, now_ms: int) -> Caller | Refused | None:
        """What has become of a *caller* who was admitted earlier; None when its key is not known any more."""
        for digest in self._digests.get(caller.key_id, ()):
            standing = self._standings.get(digest)
            if standing is not None and standing.caller.generation == caller.generation:
                return decide(standing, now_ms)
        return None

    def find_holders(self, values: Collection[bytes]) -> Mapping[bytes, Caller]:
        """Whose the *values* are, of those that are or were somebody's, whatever has become of their keys."""
        standings, digests = self._standings, self._vault.digest_all(values)
        if standings.keys().isdisjoint(digests):
            return {}
        pairs = zip(values, map(standings.get, digests), strict=True)
        return {value: standing.caller for value, standing in pairs if standing}

    def replace(self, standings: Mapping[bytes, Standing]) -> None:
        """Hold *standings* (by digest) and nothing else."""
        digests: dict[str, set[bytes]] = {}
        for digest, standing in standings.items():
            digests.setdefault(standing.caller.key_id, set()).add(digest)
        with self._writing:
            self._standings = dict(standings)
            self._digests = {key_id: frozenset(own) for key_id, own in digests.items()}
            self._revisions = {standing.caller.key_id: standing.revision for standing in standings.values()}

    def put(self, key_id: str, standings: Mapping[bytes, Standing], revision: int) -> None:
        """Hold *standings* as all that is known of one key, unless a newer *revision* is known; none forgets it."""
        with self._writing:
            if revision < self._revisions.get(key_id, 0):
                return
            self._revisions[key_id] = revision
            before = self._digests.get(key_id, frozenset())
            self._standings.update(standings)
            for digest in before - standings.keys():
                self._standings.pop(digest, None)
            self._digests[key_id] = frozenset(standings)

    def __len__(self) -> int:
        """How many values are known, tombstones included."""
        return len(self._standings)


def is_plausible(value: str) -> bool:
    """Whether *value* could be somebody's at all."""
    is_fitting = KEY_VALUE_CHARACTERS_MIN <= len(value) <= KEY_VALUE_CHARACTERS_MAX and value.isascii()
    return is_fitting and not is_broken(value)
