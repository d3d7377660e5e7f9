"""What `logboom serve` says of itself: its messages and its help."""

import json
import subprocess
import sys

import pytest

from logboom.cli.main import SECRETS, run

SAY = """
import logging, structlog
from logboom.cli.serve import configure_log
configure_log("info")
logging.getLogger("library").warning('a "quoted" %s', "text\\nover rows")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("library").exception("failed")
structlog.get_logger("ours").info("started")
"""


def test_every_message_is_one_json_object():
    said = subprocess.run([sys.executable, "-c", SAY], capture_output=True, check=True).stderr.decode()
    warning, failure, ours = [json.loads(row) for row in said.splitlines()]
    assert warning["event"] == 'a "quoted" text\nover rows'
    assert (warning["level"], warning["logger"]) == ("warning", "library")
    assert failure["event"] == "failed"
    assert "ZeroDivisionError" in failure["exception"]
    assert set(ours) < set(warning)


@pytest.fixture
def help_text(capsys):
    assert run(["serve", "--help"]) == 0
    return capsys.readouterr().out


def test_the_help_offers_flags(help_text):
    assert "--data-dir" in help_text


@pytest.mark.parametrize("name", SECRETS)
def test_the_help_offers_secrets_as_variables_only(help_text, name):
    assert f"--{name.replace('_', '-')}" not in help_text
    assert f"LOGBOOM_{name.upper()}" in help_text


@pytest.mark.parametrize("command", [["serve"], ["secrets", "show"]])
@pytest.mark.parametrize("flag", ["--master-secret", "--database-url"])
def test_a_secret_is_refused_as_a_flag_and_not_repeated(command, flag, capsys):
    assert run([*command, flag, "canary"]) == 2
    said = capsys.readouterr().err
    assert f"LOGBOOM_{flag[2:].upper().replace('-', '_')}" in said
    assert "canary" not in said
