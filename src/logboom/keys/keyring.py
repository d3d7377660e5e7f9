"""Answers "whose key is this, and does it open the door now" from memory, without I/O, on every request.

It holds digests only: whoever reads this process's memory finds no key value here. Ended values stay for a while as
tombstones, so that their later use can be named to who holds them.
"""

from collections.abc import Mapping

from logboom.keys.formats import is_broken
from logboom.keys.key import Caller
from logboom.keys.vault import Vault
from logboom.keys.verdict import Refused, Standing, decide
from logboom.limits import KEY_VALUE_CHARACTERS_MAX, KEY_VALUE_CHARACTERS_MIN


class Keyring:
    """The standing of every value by its digest.

    Any thread may authenticate at any time. Writers come one at a time (`Keys` sees to it), and the change of one value
    is one step that a reader sees whole or not at all.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._standings: dict[bytes, Standing] = {}
        self._digests: dict[str, frozenset[bytes]] = {}

    def authenticate(self, value: str, now_ms: int) -> Caller | Refused | None:
        """Who holds *value*, or why it is refused; None when nobody does.

        What cannot be a key, or is a native one with a mistake in it, is nobody's before any hashing.
        """
        if not KEY_VALUE_CHARACTERS_MIN <= len(value) <= KEY_VALUE_CHARACTERS_MAX or not value.isascii():
            return None
        if is_broken(value):
            return None
        standing = self._standings.get(self._vault.digest(value))
        return None if standing is None else decide(standing, now_ms)

    def replace(self, standings: Mapping[bytes, Standing]) -> None:
        """Hold *standings* (by digest) and nothing else."""
        digests: dict[str, set[bytes]] = {}
        for digest, standing in standings.items():
            digests.setdefault(standing.caller.key_id, set()).add(digest)
        self._standings = dict(standings)
        self._digests = {key_id: frozenset(own) for key_id, own in digests.items()}

    def put(self, key_id: str, standings: Mapping[bytes, Standing]) -> None:
        """Hold *standings* as all that is known of one key; none forgets it."""
        before = self._digests.get(key_id, frozenset())
        self._standings.update(standings)
        for digest in before - standings.keys():
            self._standings.pop(digest, None)
        if standings:
            self._digests[key_id] = frozenset(standings)
        else:
            self._digests.pop(key_id, None)

    def __len__(self) -> int:
        """How many values are known, tombstones included."""
        return len(self._standings)
