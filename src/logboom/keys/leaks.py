"""Tells the owners of keys where values of theirs were found, and does to those keys what their policy says.

All of it happens on a thread of its own, after the request: a leak neither delays nor fails the lines it stands in.
What cannot be written is kept and written later; a crash loses what was found in the last second.
"""

import threading
from collections.abc import Callable
from itertools import islice
from typing import Final

import structlog
from prometheus_client import Counter
from sqlalchemy import Connection, Engine

from logboom.database.engine import writing
from logboom.errors import KeyStateConflict, LogboomError, NotFound
from logboom.keys.change import SYSTEM
from logboom.keys.key import Caller, Key, KeyState, Reveal
from logboom.keys.keys import Keys
from logboom.keys.leak import DAY_MS, Leak, Tallies, Tally
from logboom.keys.leak_repository import LeakRepository
from logboom.keys.policies import Policies
from logboom.keys.policy import OnLeak
from logboom.keys.redaction import Redactor, Source
from logboom.keys.scan import Scanner
from logboom.limits import LEAK_HOLD_MS, LEAK_OVERLAP_MS, TOMBSTONE_MS

log = structlog.get_logger(__name__)

INTERVAL_S: Final = 1.0  # the first find is told at once, what follows is gathered for so long
RETRY_S: Final = 5.0
LEAKS_AT_ONCE: Final = 100  # in one transaction, which other writers wait for

RecordLeak = Callable[[Connection, Leak, OnLeak, int], None]


class Leaks:
    """What finds values, takes them out, and is done about those that were found.

    *record* adds a leak to the audit log within a transaction; *is_answered* tells whether the server has done
    something to a key by itself since it has its present value, as it does so once for each.
    """

    def __init__(
        self,
        database: Engine,
        scanner: Scanner,
        keys: Keys,
        policies: Policies,
        *,
        record: RecordLeak,
        is_answered: Callable[[Key], bool],
        redacted: Counter,
        now_ms: Callable[[], int],
    ) -> None:
        self.scanner = scanner
        self.redactor = Redactor(scanner, self.found)
        self.repository = LeakRepository(database)
        self._database, self._keys, self._policies = database, keys, policies
        self._record, self._is_answered, self._redacted, self._now_ms = record, is_answered, redacted, now_ms
        self._news = threading.Event()
        self._tallies = Tallies(now_ms=now_ms, on_news=self._news.set)
        self._unanswered: set[Caller] = set()
        self._forgotten_day_ms = 0
        self._writing = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="key-leaks", daemon=True)

    def found(self, caller: Caller, source: Source) -> None:
        """A value of *caller* was found in a line from there, and redacted. Any thread; it waits for nothing."""
        self._redacted.labels(caller.kind.value).inc()
        self._tallies.found(caller, source)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what is left and end."""
        self._stopping.set()
        self._news.set()
        self._thread.join()

    def flush(self) -> None:
        """Write what was found until now, and do what the policies say. Raises Unavailable, and keeps it then."""
        with self._writing:
            tallies = self._tallies.take()
            self._unanswered.update(leak.caller for leak in tallies)
            try:
                self._write(tallies)
            except Exception:
                self._tallies.add(tallies)
                raise
            for caller in [*self._unanswered]:
                self._answer(caller)
                self._unanswered.discard(caller)

    # -- the journal ---------------------------------------------------------------------------------------------------

    def _write(self, tallies: dict[Leak, Tally]) -> None:
        """Write all of *tallies*, taking out of it what is written."""
        policies = {caller: self._policy(caller) for caller in {leak.caller for leak in tallies}}
        ordered = iter(sorted(tallies.items(), key=lambda each: (each[0].caller.key_id, each[0].place_digest)))
        while part := dict(islice(ordered, LEAKS_AT_ONCE)):
            with writing(self._database) as connection:
                self._forget_old(connection)
                new = {}
                for leak, tally in part.items():
                    if place := self.repository.add(connection, leak, tally):
                        new[place] = policies[leak.caller]
                # The log comes last: its writers wait for each other, and nothing may wait while they do.
                for leak, policy in new.items():
                    self._record(connection, leak, policy, self._now_ms())
            for leak in part:
                del tallies[leak]
            for leak in new:
                log.warning("key.leaked", key_id=leak.caller.key_id, generation=leak.caller.generation)

    def _forget_old(self, connection: Connection) -> None:
        day_ms = self._now_ms() // DAY_MS * DAY_MS
        if day_ms != self._forgotten_day_ms:
            self.repository.forget(connection, before_ms=day_ms - TOMBSTONE_MS)
            self._forgotten_day_ms = day_ms

    def _policy(self, caller: Caller) -> OnLeak:
        return self._policies.get(caller.account_id).on_leak(caller.kind)

    # -- what the policy says ------------------------------------------------------------------------------------------

    def _answer(self, caller: Caller) -> None:
        policy = self._policy(caller)
        if policy is OnLeak.WARN:
            return
        try:
            key = self._keys.get(caller.account_id, caller.key_id)
            if not self._is_answered(key):
                self._apply(policy, caller, key)
        except NotFound:
            return  # deleted meanwhile
        except KeyStateConflict as error:
            log.warning("key.leak_not_answered", key_id=caller.key_id, policy=policy.value, reason=error.message)

    def _apply(self, policy: OnLeak, caller: Caller, key: Key) -> None:
        """Do what the *policy* says, unless the value that leaked has ended or the key has a newer one by now."""
        is_old = caller.generation == key.generation - 1 and key.retiring_until_ms is not None
        if key.state is not KeyState.ACTIVE or not (is_old or caller.generation == key.generation):
            return
        account_id, key_id, generation = key.account_id, key.id, key.generation
        if policy is OnLeak.HOLD:
            self._keys.hold(account_id, key_id, LEAK_HOLD_MS, actor=SYSTEM, generation=generation)
        elif policy is OnLeak.DISABLE and is_old:
            self._keys.end_overlap(account_id, key_id, actor=SYSTEM, generation=generation)
        elif policy is OnLeak.DISABLE:
            self._keys.disable(account_id, key_id, actor=SYSTEM, generation=generation)
        elif key.reveal is Reveal.NEVER:
            log.warning(
                "key.leak_not_answered", key_id=key_id, policy=policy.value, reason="nobody could read its value"
            )
        elif not is_old:  # an old value is on its way out already
            self._keys.rotate(account_id, key_id, overlap_ms=LEAK_OVERLAP_MS, actor=SYSTEM, generation=generation)

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        is_behind = False
        while not self._stopping.is_set():
            self._news.wait(RETRY_S if is_behind else None)
            self._news.clear()
            is_behind = not self._try_flush()
            self._stopping.wait(INTERVAL_S)
        self._try_flush()

    def _try_flush(self) -> bool:
        try:
            self.flush()
        except LogboomError as error:
            log.warning("leaks.not_written", error=type(error).__name__, effect="they are kept and written later")
            return False
        except Exception:  # the edge of this thread
            log.exception("leaks.not_written", effect="they are kept and written later")
            return False
        return True
