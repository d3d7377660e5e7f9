"""The operator's work on the secrets of an installation: see them, replace them, give up what was replaced.

It works on the data folder and the database directly, as the server does: who may do this owns the machine, and needs
no key. Every step can be cut off and repeated, and servers may run meanwhile (`keys/rotation.py` says how).
"""

import fcntl
import getpass
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, func, make_url, select

from logboom.audit.event import Action, Actor, ActorKind, AuditEvent, Door, SubjectKind
from logboom.audit.repository import AuditLog
from logboom.database.engine import open_database, reading, writing
from logboom.database.migrate import is_current
from logboom.database.tables import accounts
from logboom.errors import RotationRefused, StartError
from logboom.keys import change
from logboom.keys.keyring import Keyring
from logboom.keys.keys import Keys
from logboom.keys.master_secret import SecretSource, open_known_vault
from logboom.keys.nodes import LIVE_MS, Nodes
from logboom.keys.repository import KeyRepository
from logboom.keys.rotation import Batch, Rotation, Waiting
from logboom.keys.secret_records import Census, Record, list_records
from logboom.keys.secret_text import SECRET_BYTES, VERSIONS_MAX, MasterSecret, Purpose, Version, render_line
from logboom.keys.vault import Vault
from logboom.keys.versions import dead_by_version, read_state, rows_by_version
from logboom.records import KeyRecords
from logboom.settings import Settings

PAUSE_S = 0.02  # between two batches, so that the writes of servers find their turn
SERVERS_WAIT_S = LIVE_MS / 1000 + 10  # a server that was killed counts as alive for a while
EVERY_SERVER = 2**62  # a change that nobody will ever make: nobody waits for this command to see one
ACTIONS = {
    Purpose.PEPPER: Action.PEPPER_ROTATED,
    Purpose.KEK: Action.KEK_ROTATED,
    Purpose.AUDIT: Action.AUDIT_KEY_ROTATED,
}

NAMES = {Purpose.PEPPER: "pepper", Purpose.KEK: "KEK", Purpose.AUDIT: "audit key"}

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What a rotation has done, and what it could not do."""

    version: int
    moved: int
    waiting: Sequence[Waiting] = ()
    altered: int = 0


@dataclass(frozen=True, kw_only=True)
class Finished:
    """Versions that were given up; where the secret is no file, the operator has to remove their lines.

    *waiting* values and *unwrapped* data keys still need an older version; *forgotten* values are those that had ended
    and cannot be recognised any more.
    """

    given_up: Mapping[str, Sequence[int]]
    is_file: bool
    waiting: Sequence[Waiting] = ()
    unwrapped: int = 0
    forgotten: int = 0


@dataclass(frozen=True, kw_only=True)
class Custody:
    """The parts of the work. *say* tells the operator how far it has come."""

    database: Engine
    source: SecretSource
    vault: Vault
    keys: Keys
    rotation: Rotation
    nodes: Nodes
    audit: AuditLog
    events: "CustodyEvents"
    now_ms: Callable[[], int]
    say: Say
    servers_wait_s: float

    # -- seeing --------------------------------------------------------------------------------------------------------

    def list_records(self) -> list[Record]:
        """Every version that the secret has or a row needs, oldest first."""
        secret = self._secret()
        with reading(self.database) as connection:
            begun_ms: int | None = connection.execute(select(func.min(accounts.c.created_ms))).scalar_one()
            census = Census(
                numbers=self._numbers(connection, secret),
                rows={purpose: rows_by_version(connection, purpose) for purpose in Purpose},
                ended=dead_by_version(connection),
                first_day="" if begun_ms is None else _day(begun_ms),
            )
        return list_records(secret, census)

    def list_waiting(self) -> list[Waiting]:
        """The values that still need an older pepper."""
        with reading(self.database) as connection:
            return self.rotation.waiting(connection)

    # -- rotating ------------------------------------------------------------------------------------------------------

    def prepare(self, purpose: Purpose) -> list[str]:
        """Add the next version to the secret, and use it for nothing yet. Returns the purpose's lines.

        Raises RotationRefused while two versions are alive.
        """
        with self._alone():
            secret, current = self._secret(), self._current(purpose)
            if secret.newest(purpose) > current:
                return self._lines(secret, purpose)
            if len(secret.of(purpose)) >= VERSIONS_MAX:
                raise RotationRefused(
                    f"Version {current} of the {NAMES[purpose]} is still being brought in. "
                    f"Run rotate-{purpose.value} and then finish; two versions can be alive at once, not three."
                )
            return self._lines(self._add(secret, purpose), purpose)

    def rotate(self, purpose: Purpose) -> Swept:
        """Bring the next version in, or go on where an earlier call was cut off.

        Raises RotationRefused where there is none, and when a running server does not know it.
        """
        with self._alone():
            secret, current = self._secret(), self._current(purpose)
            if len(secret.of(purpose)) == 1:
                if not self.source.is_file:
                    raise RotationRefused(
                        f"The secret comes from LOGBOOM_MASTER_SECRET. Run rotate-{purpose.value} --prepare first, and "
                        f"give the line that it prints to every server."
                    )
                secret = self._add(secret, purpose)
            number = max(secret.newest(purpose), current)
            self.vault.read_secret_again()
            if not self.vault.knows(purpose, number):
                raise RotationRefused(f"The secret lacks version {number} of the {NAMES[purpose]}. Is it up to date?")
            event = self.events.rotated(purpose, secret.of(purpose)[0].number, number)
            self._begin(purpose, number, event)
            self.say(f"Every server uses version {number} of the {NAMES[purpose]} for what is new.")
            if purpose is Purpose.AUDIT:
                self.audit.begin_newest(event)
                return Swept(version=number, moved=0)
            return self._wrap_anew(number) if purpose is Purpose.KEK else self._digest_anew(number)

    def finish(self, *, drop_waiting: bool) -> Finished:
        """Give up the versions that no row needs any more. What still waits is told, or ended with *drop_waiting*."""
        with self._alone():
            secret = self._secret()
            waiting = self.list_waiting()
            if drop_waiting:
                for value in waiting:
                    self._end(value)
                waiting = self.list_waiting()
            forgotten = 0 if waiting else self._forget_ended()
            return self._give_up(secret, waiting, forgotten)

    # -- within --------------------------------------------------------------------------------------------------------

    def _secret(self) -> MasterSecret:
        secret = self.source.find()
        if secret is None:
            raise RotationRefused("The master secret has gone away meanwhile.")
        return secret

    def _current(self, purpose: Purpose) -> int:
        with reading(self.database) as connection:
            return self._numbers(connection, self._secret())[purpose]

    def _numbers(self, connection: Connection, secret: MasterSecret) -> Mapping[Purpose, int]:
        """Which versions are used. Of the audit keys, the signature of the log's head tells it."""
        alive = secret.of(Purpose.AUDIT)
        is_newest = len(alive) == 1 or self.audit.is_signed_by_newest()
        return {**read_state(connection).numbers, Purpose.AUDIT: alive[-1 if is_newest else 0].number}

    def _add(self, secret: MasterSecret, purpose: Purpose) -> MasterSecret:
        fresh, today = secrets.token_bytes(SECRET_BYTES), _day(self.now_ms())
        version = Version(number=secret.newest(purpose) + 1, secret=fresh, made=today)
        secret = secret.with_version(purpose, version)
        if self.source.is_file:
            self.source.replace(secret, secrets.token_bytes)
            self.say(f"Wrote version {version.number} of the {NAMES[purpose]} to {self.source.file}.")
        return secret

    def _begin(self, purpose: Purpose, number: int, event: AuditEvent) -> None:
        """Have every server use the version, and return when all that live know it. Raises RotationRefused."""
        self.nodes.saw(EVERY_SERVER)
        self.nodes.join()  # a server tells what it has seen when there is somebody to be told
        try:
            seq = self.rotation.begin(purpose, number, lambda connection: self._tell(connection, purpose, event))
            until_s = time.monotonic() + self.servers_wait_s
            while behind := self.nodes.wait_for(seq).missing:
                if time.monotonic() > until_s:
                    raise RotationRefused(
                        f"Version {number} of the {NAMES[purpose]} is not known to {', '.join(behind)}. Nothing that "
                        f"was there has been changed. Give it the new secret, then run this again."
                    )
                self.say(f"Waiting for {', '.join(behind)} to take up the new secret.")
        finally:
            self.nodes.leave()

    def _tell(self, connection: Connection, purpose: Purpose, event: AuditEvent) -> None:
        if purpose is not Purpose.AUDIT:  # its event is the first one that the new key signs
            self.audit.append(connection, event)

    def _digest_anew(self, number: int) -> Swept:
        left = self.rotation.count_values()
        moved, altered = self._sweep(self.rotation.digest_anew, "values digested anew", left)
        return Swept(version=number, moved=moved, waiting=self.list_waiting(), altered=altered)

    def _wrap_anew(self, number: int) -> Swept:
        with reading(self.database) as connection:
            rows = rows_by_version(connection, Purpose.KEK)
        left = sum(count for version, count in rows.items() if version != number)
        moved, altered = self._sweep(self.rotation.wrap_anew, "data keys wrapped anew", left)
        return Swept(version=number, moved=moved, altered=altered)

    def _sweep(self, next_batch: Callable[..., Batch], what: str, left: int) -> tuple[int, int]:
        moved = altered = 0
        batch = next_batch(None)
        while batch.last is not None:
            moved, altered = moved + batch.moved, altered + batch.altered
            self.say(f"{moved} of {left} {what}")
            time.sleep(PAUSE_S)
            batch = next_batch(batch.last)
        return moved, altered

    def _end(self, value: Waiting) -> None:
        """Give a value up: with the key when it is its active one."""
        if value.is_active:
            self.keys.delete(value.account_id, value.key_id, actor=change.CLI)
        else:
            self.keys.end_overlap(value.account_id, value.key_id, actor=change.CLI)

    def _forget_ended(self) -> int:
        """Let servers look by one pepper again: nothing is recognised by an older one any more."""
        with reading(self.database) as connection:
            ended = dead_by_version(connection)
            left = sum(ended.values()) - ended.get(read_state(connection).pepper_version, 0)
        return self._sweep(self.rotation.forget_ended, "ended values forgotten", left)[0]

    def _give_up(self, secret: MasterSecret, waiting: Sequence[Waiting], forgotten: int) -> Finished:
        """First it is told, then the file is written: what was cut off in between is told twice, never not."""
        with writing(self.database) as connection:
            read_state(connection, is_locked=True)
            numbers = self._numbers(connection, secret)
            rows = {purpose: rows_by_version(connection, purpose) for purpose in Purpose}
            given_up = {
                purpose: [version for version in secret.of(purpose) if version.number < numbers[purpose]]
                for purpose in Purpose
                if not rows[purpose].keys() - {numbers[purpose]}
            }
            listed = {purpose.value: [version.number for version in old] for purpose, old in given_up.items() if old}
            if listed:
                self.audit.append(connection, self.events.finished(listed))
        for purpose, old in given_up.items():
            secret = secret.without(purpose, {version.number for version in old})
        if listed and self.source.is_file:
            self.source.replace(secret, secrets.token_bytes)
        return Finished(
            given_up=listed,
            is_file=self.source.is_file,
            waiting=waiting,
            unwrapped=sum(count for number, count in rows[Purpose.KEK].items() if number != numbers[Purpose.KEK]),
            forgotten=forgotten,
        )

    @staticmethod
    def _lines(secret: MasterSecret, purpose: Purpose) -> list[str]:
        return [render_line(purpose.value, version) for version in secret.of(purpose)]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keeps a second command off the folder. Raises RotationRefused."""
        descriptor = os.open(self.source.folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as cause:
                raise RotationRefused("Another command works on these secrets. Wait until it has ended.") from cause
            yield
        finally:
            os.close(descriptor)


class CustodyEvents:
    """What is told to the audit log. No account sees it; no secret stands in it."""

    def __init__(self, *, actor: str, now_ms: Callable[[], int]) -> None:
        self._actor, self._now_ms = actor, now_ms

    def rotated(self, purpose: Purpose, before: int, after: int) -> AuditEvent:
        name = f"{purpose.value}_version"
        return self._event(ACTIONS[purpose], {name: before}, {name: after})

    def finished(self, given_up: Mapping[str, Sequence[int]]) -> AuditEvent:
        return self._event(Action.SECRETS_FINISHED, {"versions": given_up}, None)

    def _event(
        self, action: Action, before: Mapping[str, object] | None, after: Mapping[str, object] | None
    ) -> AuditEvent:
        return AuditEvent(
            account_id=None,
            action=action,
            actor=Actor(kind=ActorKind.CLI, name=self._actor),
            door=Door.CLI,
            subject_kind=SubjectKind.SERVER,
            at_ms=self._now_ms(),
            before=before,
            after=after,
        )


@contextmanager
def open_custody(settings: Settings, say: Say, *, servers_wait_s: float = SERVERS_WAIT_S) -> Iterator[Custody]:
    """Everything that the commands need. Raises StartError where there is no installation of this release.

    *servers_wait_s* is how long running servers have to take up a new version.
    """
    _check_place(settings)
    database = open_database(settings.control_plane_url)
    try:
        if not is_current(database):
            raise StartError("The database is not of this release. Start a server of this release once.")
        yield _make_custody(settings, database, say, servers_wait_s)
    finally:
        database.dispose()


def _make_custody(settings: Settings, database: Engine, say: Say, servers_wait_s: float) -> Custody:
    source = SecretSource(folder=settings.data_dir, given=settings.master_secret)
    vault = open_known_vault(database, source, random_bytes=secrets.token_bytes)
    repository = KeyRepository(database, vault)
    audit = AuditLog(database, vault.audit_keys, now_ms)
    records = KeyRecords(
        audit, now_ms=now_ms, now_s=time.monotonic, woken=threading.Event(), on_dropped=lambda _number: None
    )
    keys = Keys(
        repository,
        Keyring(vault),
        vault,
        now_ms=now_ms,
        random_hex=secrets.token_hex,
        on_change=records.record_change,
    )
    name = f"{socket.gethostname()}:{os.getpid()}"
    return Custody(
        database=database,
        source=source,
        vault=vault,
        keys=keys,
        rotation=Rotation(repository, vault),
        nodes=Nodes(database, node_id=secrets.token_hex(8), name=name, now_ms=now_ms),
        audit=audit,
        events=CustodyEvents(actor=_user_name(), now_ms=now_ms),
        now_ms=now_ms,
        say=say,
        servers_wait_s=servers_wait_s,
    )


def now_ms() -> int:
    """The wall clock in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def _day(at_ms: int) -> str:
    return str(datetime.fromtimestamp(at_ms / 1000, UTC).date())


def _check_place(settings: Settings) -> None:
    """A mistyped folder must not become a new installation. Raises StartError."""
    if not settings.data_dir.is_dir():
        raise StartError(f"There is no data folder {settings.data_dir}. Name it with --data-dir.")
    if not settings.database_url and not Path(make_url(settings.control_plane_url).database or "").is_file():
        raise StartError(f"There is no database in {settings.data_dir}. Name the data folder with --data-dir.")


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        return str(os.getuid())
