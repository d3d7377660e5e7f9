"""Proves at each start that values are found and redacted, with made-up ones on the very keyring that the door uses."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Final

from logboom.keys.formats import mint_value
from logboom.keys.key import Caller, KeyFormat, KeyKind, KeyState
from logboom.keys.keyring import Keyring
from logboom.keys.redaction import FOREIGN_MARK, Redactor, Source
from logboom.keys.scan import Scanner
from logboom.keys.vault import Vault
from logboom.keys.verdict import Standing

KEY_ID: Final = "canary"  # no key's: those are longer
CALLER: Final = Caller(account_id="", key_id=KEY_ID, kind=KeyKind.INGESTION)


def is_redaction_proven(keyring: Keyring, scanner: Scanner, vault: Vault, random_hex: Callable[[int], str]) -> bool:
    """Whether made-up values of each format are redacted in a few forms. Call it before anybody is let in."""
    values = [mint_value(KeyKind.INGESTION, shape, random_hex) for shape in KeyFormat]
    # It opens nothing even now.
    standing = Standing(caller=CALLER, state=KeyState.DISABLED, pepper_version=vault.pepper_version)
    keyring.put(KEY_ID, {vault.digest(value): standing for value in values}, 0)
    try:
        redactor = Redactor(scanner, lambda _caller, _source: None)
        texts = [text for value in values for text in _forms(value)]
        lines = json.dumps([{"line": text.format(written)} for text, written in texts]).encode()
        redacted = json.loads(redactor.redact_lines(lines, Source(account_id="-")))
        return [line["line"] for line in redacted] == [text.format(FOREIGN_MARK.decode()) for text, _ in texts]
    finally:
        keyring.put(KEY_ID, {}, 0)


def _forms(value: str) -> Iterator[tuple[str, str]]:
    """Lines with a place for the value, and how it is written there."""
    yield "apikey={}&now=1", value
    yield "Basic {}", base64.b64encode(f"{value}:".encode()).decode()
    yield "apikey%3D{}", value
    yield "{}", "".join(f"%{ord(character):02x}" for character in value)
    yield "{}", "".join(f"\\u{ord(character):04x}" for character in value)
