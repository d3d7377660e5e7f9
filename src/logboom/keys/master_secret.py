"""Finds or makes the master secret, and refuses to start with one that does not fit the database.

A server that started with the wrong secret would answer "unknown key" to every sender, and many senders throw their
lines away on that answer. So all doubt ends the start, before the first request.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from sqlalchemy import Engine

from logboom.database.engine import reading
from logboom.errors import (
    MasterSecretExposed,
    MasterSecretMissing,
    MasterSecretOutdated,
    MasterSecretWrong,
    SettingsInvalid,
    StartError,
)
from logboom.keys.secret_text import (
    SECRET_BYTES,
    TEXT_BYTES_MAX,
    BadText,
    MasterSecret,
    Purpose,
    parse_secret,
    render_secret,
)
from logboom.keys.vault import Vault
from logboom.keys.versions import find_checks, keep_master_check, read_state, rows_by_version

log = structlog.get_logger(__name__)

FILE_NAME = "master.secret"
FILE_MODE = 0o600
OTHERS = 0o077


@dataclass(frozen=True, kw_only=True)
class SecretSource:
    """Where the master secret is: the text that was *given*, or, when that is empty, a file of *folder*."""

    folder: Path
    given: str = field(default="", repr=False)

    @property
    def file(self) -> Path:
        return self.folder / FILE_NAME

    @property
    def is_file(self) -> bool:
        return not self.given

    def find(self) -> MasterSecret | None:
        """The secret, if there is one. Raises SettingsInvalid, MasterSecretWrong and -Exposed."""
        text = self.given or _find_text(self.file)
        if text is None:
            return None
        try:
            return parse_secret(text)
        except BadText as cause:
            if self.is_file:
                raise MasterSecretWrong(f"The master secret's file cannot be read. {cause} {self.file}") from None
            raise SettingsInvalid(f"LOGBOOM_MASTER_SECRET cannot be read. {cause}") from None

    def read_again(self) -> MasterSecret | None:
        """The secret as it is now; None when it cannot be had. For a running server, which goes on without."""
        try:
            return self.find()
        except (StartError, OSError) as error:
            log.error("secrets.unreadable", error=str(error), effect="the server goes on with what it knows")
            return None

    def make(self, random_bytes: Callable[[int], bytes]) -> None:
        """Write a new master secret, unless another process was first: its secret counts."""
        draft = self._draft(MasterSecret(master=random_bytes(SECRET_BYTES)), random_bytes)
        try:
            self.file.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        _sync_folder(self.folder)

    def replace(self, secret: MasterSecret, random_bytes: Callable[[int], bytes]) -> None:
        """Put *secret* in the place of what the file holds: at any moment it is one or the other, whole and on disk."""
        draft = self._draft(secret, random_bytes)
        try:
            owner = self.file.stat()
            os.chown(draft, owner.st_uid, owner.st_gid)  # the operator may be another user than the server
            draft.replace(self.file)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        _sync_folder(self.folder)

    def _draft(self, secret: MasterSecret, random_bytes: Callable[[int], bytes]) -> Path:
        """A complete file beside the real one. Its mode is set at creation: others can read it at no moment."""
        draft = self.folder / f".{FILE_NAME}.{random_bytes(8).hex()}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            opened.write(render_secret(secret))
            opened.flush()
            os.fsync(opened.fileno())
        return draft


def open_vault(engine: Engine, *, folder: Path, given: str, random_bytes: Callable[[int], bytes]) -> Vault:
    """The vault of this database.

    The master secret is *given* or in a file of *folder*; a fresh database makes one there. Raises SettingsInvalid,
    MasterSecretMissing, -Wrong, -Outdated and -Exposed.
    """
    source = SecretSource(folder=folder, given=given)
    if source.find() is None:
        with reading(engine) as connection:
            if find_checks(connection) is not None:
                raise MasterSecretMissing(
                    f"The database holds keys, but the master secret that protects them is missing. "
                    f"Put it back: {source.file}"
                )
        source.make(random_bytes)
    return open_known_vault(engine, source, random_bytes=random_bytes)


def open_known_vault(engine: Engine, source: SecretSource, *, random_bytes: Callable[[int], bytes]) -> Vault:
    """The vault of a secret that is there. Raises as `open_vault` does."""
    secret = source.find()
    if secret is None:
        raise MasterSecretMissing(f"There is no master secret: {source.file}")
    vault = Vault(secret, random_bytes=random_bytes, read_again=source.read_again)
    used = {"pepper_version": vault.pepper_version, "kek_version": vault.kek_version}
    if keep_master_check(engine, vault.check_value, **used) != vault.check_value:
        raise MasterSecretWrong
    _check_versions(engine, vault)
    return vault


def _check_versions(engine: Engine, vault: Vault) -> None:
    """Raises MasterSecretOutdated and MasterSecretWrong unless the secret has every version that rows need."""
    with reading(engine) as connection:
        checks = find_checks(connection)
        state = read_state(connection)
        used = {of: {*rows_by_version(connection, of), number} for of, number in state.numbers.items()}
    known = checks.versions if checks else {}
    used[Purpose.AUDIT] = set(sorted(number for purpose, number in known if purpose is Purpose.AUDIT)[-1:])
    for purpose, numbers in used.items():
        for number in sorted(numbers):
            if not vault.knows(purpose, number):
                raise MasterSecretOutdated(
                    f"The master secret lacks version {number} of the {purpose.value}, which the database needs. "
                    f"Copy the file from a server that has it, or put the line back: {purpose.value}:{number}:..."
                )
            if not vault.is_right(purpose, number, known):
                raise MasterSecretWrong(
                    f"Version {number} of the {purpose.value} in the master secret is not the one that this database "
                    f"was given. Copy the file from a server that has it."
                )
    vault.move_to(state.pepper_version, state.kek_version, known)


def _find_text(file: Path) -> str | None:
    """The file's content, if there is one. The opened file is judged, so that it cannot be exchanged in between."""
    try:
        with file.open(encoding="ascii", errors="replace") as opened:
            if os.fstat(opened.fileno()).st_mode & OTHERS:
                raise MasterSecretExposed(
                    f"The master secret's file can be read by others. It must have mode 0600: {file}"
                )
            return opened.read(TEXT_BYTES_MAX)
    except FileNotFoundError:
        return None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
