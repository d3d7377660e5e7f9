"""The proof at the start passes when values are redacted, and fails when anything of it does not work."""

import secrets

import pytest

from logboom.keys.canary import is_redaction_proven
from logboom.keys.keyring import Keyring
from logboom.keys.scan import Scanner
from logboom.keys.vault import Vault


@pytest.fixture
def vault():
    return Vault(b"m" * 32, random_bytes=secrets.token_bytes)


def test_it_passes_and_leaves_nothing_behind(vault):
    keyring = Keyring(vault)
    assert is_redaction_proven(keyring, Scanner(keyring.find_holders), vault, secrets.token_hex)
    assert len(keyring) == 0


def test_it_fails_when_values_are_not_known(vault):
    assert not is_redaction_proven(Keyring(vault), Scanner(lambda _values: {}), vault, secrets.token_hex)


class PlainScanner(Scanner):
    """One that does not know escapes."""

    def _find_escaped(self, _text):
        return []


def test_it_fails_when_one_form_is_not_found(vault):
    keyring = Keyring(vault)
    assert not is_redaction_proven(keyring, PlainScanner(keyring.find_holders), vault, secrets.token_hex)


def test_it_fails_when_digests_do_not_agree(vault):
    other = Keyring(Vault(b"n" * 32, random_bytes=secrets.token_bytes))
    assert not is_redaction_proven(other, Scanner(other.find_holders), vault, secrets.token_hex)
