"""Finds or makes the master secret, and refuses to start with one that does not fit the database.

A server that started with the wrong secret would answer "unknown key" to every sender, and many senders throw their
lines away on that answer. So all doubt ends the start, before the first request.
"""

import base64
import os
import re
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError

from logboom.database.engine import reading, writing
from logboom.database.tables import master_secret_checks
from logboom.errors import MasterSecretExposed, MasterSecretMissing, MasterSecretWrong, SettingsInvalid
from logboom.keys.vault import MASTER_SECRET_BYTES, Vault

FILE_NAME = "master.secret"
FILE_MODE = 0o600
OTHERS = 0o077
HEX = re.compile(r"[0-9A-Fa-f]{64}")


def open_vault(engine: Engine, *, folder: Path, given: str, random_bytes: Callable[[int], bytes]) -> Vault:
    """The vault of this database.

    The master secret is *given* (64 hex digits, or base64 of 32 bytes) or, when that is empty, in a file of *folder*;
    a fresh database makes one there. Raises SettingsInvalid, MasterSecretMissing, -Wrong and -Exposed.
    """
    known = _find_check_value(engine)
    if given:
        secret = _parse(given, SettingsInvalid("LOGBOOM_MASTER_SECRET must be 64 hex digits, or base64 of 32 bytes."))
    else:
        secret = _read_or_make(folder / FILE_NAME, is_fresh=known is None, random_bytes=random_bytes)
    vault = Vault(secret, random_bytes=random_bytes)
    if (known or _keep_check_value(engine, vault.check_value)) != vault.check_value:
        raise MasterSecretWrong
    return vault


def _read_or_make(file: Path, *, is_fresh: bool, random_bytes: Callable[[int], bytes]) -> bytes:
    text = _find_text(file)
    if text is None and not is_fresh:
        raise MasterSecretMissing(
            f"The database holds keys, but the master secret that protects them is missing. Put it back: {file}"
        )
    if text is None:
        text = _make(file, random_bytes)
    return _parse(text, MasterSecretWrong(f"The master secret's file does not hold 64 hex digits: {file}"))


def _find_text(file: Path) -> str | None:
    """The file's content, if there is one. The opened file is judged, so that it cannot be exchanged in between."""
    try:
        with file.open(encoding="ascii", errors="replace") as opened:
            if os.fstat(opened.fileno()).st_mode & OTHERS:
                raise MasterSecretExposed(
                    f"The master secret's file can be read by others. It must have mode 0600: {file}"
                )
            return opened.read(MASTER_SECRET_BYTES * 4)
    except FileNotFoundError:
        return None


def _make(file: Path, random_bytes: Callable[[int], bytes]) -> str:
    """Write a new master secret and return what *file* now holds.

    It gets its name only when it is complete and on disk, and never replaces a file that is there already. The mode is
    set at creation, so it is readable by others at no moment.
    """
    draft = file.with_name(f".{FILE_NAME}.{random_bytes(8).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        opened.write(random_bytes(MASTER_SECRET_BYTES).hex() + "\n")
        opened.flush()
        os.fsync(opened.fileno())
    try:
        file.hardlink_to(draft)
    except FileExistsError:  # another process was first: its secret counts
        pass
    finally:
        draft.unlink()
    _sync_folder(file.parent)
    return _find_text(file) or ""


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _parse(text: str, refusal: Exception) -> bytes:
    text = text.strip()
    if HEX.fullmatch(text):
        return bytes.fromhex(text)
    try:
        secret = base64.b64decode(text, validate=True)
    except ValueError:
        secret = b""
    if len(secret) != MASTER_SECRET_BYTES:
        raise refusal
    return secret


def _find_check_value(engine: Engine) -> bytes | None:
    with reading(engine) as connection:
        return connection.execute(select(master_secret_checks.c.check_value)).scalar_one_or_none()


def _keep_check_value(engine: Engine, check_value: bytes) -> bytes | None:
    """Keep *check_value* as the database's own, unless another start was faster; return the one that is kept."""
    try:
        with writing(engine) as connection:
            connection.execute(insert(master_secret_checks).values(id=1, check_value=check_value))
    except IntegrityError:
        return _find_check_value(engine)
    return check_value
