"""Settings: where the server listens, and what must never be printed."""

import pytest

from logboom.cli.main import run
from logboom.errors import SettingsInvalid
from logboom.settings import Settings

LISTEN = {"127.0.0.1:8080": ("127.0.0.1", 8080), "[::1]:80": ("::1", 80), "logs.example:0": ("logs.example", 0)}


@pytest.mark.parametrize(("text", "address"), LISTEN.items(), ids=LISTEN)
def test_listen_addresses(text, address):
    assert Settings(listen=text).listen_address == address


@pytest.mark.parametrize("text", ["", "8080", ":8080", "host:", "host:port", "host:99999", "host:-1"])
def test_bad_listen_addresses_are_told(text):
    with pytest.raises(SettingsInvalid):
        _ = Settings(listen=text).listen_address


def test_the_repr_keeps_secrets_to_itself():
    canary = "canary"
    settings = Settings(master_secret=canary, bootstrap_ingestion_key=canary, bootstrap_service_key=canary,
                        bootstrap_owner_password=canary, database_url=canary)  # fmt: skip
    assert canary not in repr(settings)


@pytest.mark.parametrize("flag", ["--master-secret", "--bootstrap-service-key", "--database-url"])
@pytest.mark.parametrize("join", [" ", "="])
def test_a_secret_is_refused_as_a_flag_and_not_repeated(flag, join, capsys):
    assert run(["serve", *f"{flag}{join}canary".split(" ")]) == 2
    output = capsys.readouterr()
    assert "LOGBOOM_" in output.err
    assert "canary" not in output.out + output.err
