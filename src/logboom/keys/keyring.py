"""Answers "whose key is this, and does it open the door now" from memory, without I/O, on every request.

It holds digests only: whoever reads this process's memory finds no key value here. Ended values stay for a while as
tombstones, so that their later use can be named to who holds them.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from threading import Lock

import structlog

from logboom.keys.formats import is_broken
from logboom.keys.key import Caller
from logboom.keys.older import Older
from logboom.keys.vault import Vault
from logboom.keys.verdict import Refused, Standing, decide
from logboom.limits import KEY_VALUE_CHARACTERS_MAX, KEY_VALUE_CHARACTERS_MIN

log = structlog.get_logger(__name__)


def _tell_nobody(_older: Older) -> None:
    """What stands where nobody wants to know of older digests."""


class Keyring:
    """The standing of every value by its digest.

    Any thread may authenticate at any time, without a lock: the change of one value is one step that a reader sees
    whole or not at all. Several may bring news of one key; the newest revision counts, in whatever order they come.

    While a pepper is being rotated there are digests of two: a value that is not found by the newer is looked for by
    the older, as long as anything is known by that. *on_older* is told of it within the request: it must not wait.
    """

    def __init__(self, vault: Vault, on_older: Callable[[Older], None] = _tell_nobody) -> None:
        self._vault, self._on_older = vault, on_older
        self._standings: dict[bytes, Standing] = {}
        self._digests: dict[str, frozenset[bytes]] = {}
        self._revisions: dict[str, int] = {}
        self._counts: Counter[int] = Counter()  # of standings, by the version of their pepper
        self._versions: tuple[int, ...] = ()  # those with any
        self._is_blind = False
        self._writing = Lock()

    @property
    def is_blind(self) -> bool:
        """Whether there may be keys that this server cannot know, as its secret lacks a version: not found is no no."""
        return self._is_blind

    def set_blind(self, *, is_blind: bool) -> None:
        if is_blind and not self._is_blind:
            log.error(
                "secrets.outdated", effect="keys that are not found are answered 504; bring the secret up to date"
            )
        elif self._is_blind and not is_blind:
            log.info("secrets.up_to_date")
        self._is_blind = is_blind

    def authenticate(self, value: str, now_ms: int) -> Caller | Refused | None:
        """Who holds *value*, or why it is refused; None when nobody does.

        What cannot be a key, or is a native one with a mistake in it, is nobody's before any hashing.
        """
        if not is_plausible(value):
            return None
        standing = self._standings.get(self._vault.digest(value))
        if standing is None:
            return self._find_older(value, now_ms)
        return decide(standing, now_ms)

    def _find_older(self, value: str, now_ms: int) -> Caller | Refused | None:
        newest = self._vault.pepper_version
        for version in self._versions:
            digest = b"" if version == newest else self._vault.digest_under(version, value)
            standing = self._standings.get(digest)
            if standing is not None:
                found = decide(standing, now_ms)
                if isinstance(found, Caller):
                    newer = self._vault.digest_under(newest, value)
                    self._on_older(Older(key_id=found.key_id, digest=digest, newer=newer, newer_version=newest))
                return found
        return None

    def judge(self, caller: Caller, now_ms: int) -> Caller | Refused | None:
        """What has become of a *caller* who was admitted earlier; None when its key is not known any more."""
        for digest in self._digests.get(caller.key_id, ()):
            standing = self._standings.get(digest)
            if standing is not None and standing.caller.generation == caller.generation:
                return decide(standing, now_ms)
        return None

    def find_holders(self, values: Collection[bytes]) -> Mapping[bytes, Caller]:
        """Whose the *values* are, of those that are or were somebody's, whatever has become of their keys."""
        newest = self._vault.pepper_version
        found = self._holders_by(self._vault.digest_all(values), values)
        for version in self._versions:
            if version != newest:
                found |= self._holders_by(self._vault.digest_all_under(version, values), values)
        return found

    def _holders_by(self, digests: Collection[bytes], values: Collection[bytes]) -> dict[bytes, Caller]:
        standings = self._standings
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
            self._counts = Counter(standing.pepper_version for standing in standings.values())
            self._versions = tuple(self._counts)

    def put(self, key_id: str, standings: Mapping[bytes, Standing], revision: int) -> None:
        """Hold *standings* as all that is known of one key, unless a newer *revision* is known; none forgets it."""
        with self._writing:
            if revision < self._revisions.get(key_id, 0):
                return
            self._revisions[key_id] = revision
            before = self._digests.get(key_id, frozenset())
            self._count(standings, [self._standings[digest] for digest in before])
            self._standings.update(standings)
            for digest in before - standings.keys():
                self._standings.pop(digest, None)
            self._digests[key_id] = frozenset(standings)

    def _count(self, added: Mapping[bytes, Standing], removed: Iterable[Standing]) -> None:
        self._counts.update(standing.pepper_version for standing in added.values())
        self._counts.subtract(standing.pepper_version for standing in removed)
        self._versions = tuple(version for version, count in self._counts.items() if count > 0)

    def __len__(self) -> int:
        """How many values are known, tombstones included."""
        return len(self._standings)


def is_plausible(value: str) -> bool:
    """Whether *value* could be somebody's at all."""
    is_fitting = KEY_VALUE_CHARACTERS_MIN <= len(value) <= KEY_VALUE_CHARACTERS_MAX and value.isascii()
    return is_fitting and not is_broken(value)
