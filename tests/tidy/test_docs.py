"""The guide is complete: every setting, error, command and route has its row, read from the code."""

import ast
import dataclasses
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from cyclopts import App
from sources import ROOT

from logboom import errors
from logboom.audit.event import Action
from logboom.cli.main import build_app
from logboom.settings import Settings


def rows(page: str) -> str:
    """The table rows of a page of the guide."""
    text = (ROOT / "docs" / "guide" / page).read_text(encoding="utf-8")
    return "\n".join(row for row in text.splitlines() if row.startswith("|"))


def is_in(rows_text: str, code: str) -> bool:
    """Whether a row shows *code* as code, alone or with what follows it."""
    return re.search(rf"`{re.escape(code)}(?:`|[ ?])", rows_text) is not None


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Settings)])
def test_every_setting_has_a_row(name: str) -> None:
    assert is_in(rows("settings.md"), f"LOGBOOM_{name.upper()}")


# A value that is kept out of the settings' repr is refused as a flag too: other people can read a command line.
@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Settings) if field.repr])
def test_every_flag_has_a_row(name: str) -> None:
    assert is_in(rows("settings.md"), f"--{name.replace('_', '-')}")


def error_classes(above: type[errors.LogboomError]) -> Iterator[type[errors.LogboomError]]:
    """The classes that are raised: those below which there is none, and the one that is both."""
    for error in above.__subclasses__():
        if error is errors.ValidationFailed or not error.__subclasses__():
            yield error
        yield from error_classes(error)


@pytest.mark.parametrize("error", sorted({error.__name__ for error in error_classes(errors.LogboomError)}))
def test_every_error_has_a_row(error: str) -> None:
    assert is_in(rows("errors.md"), error)


def commands(app: App, prefix: str) -> Iterator[str]:
    """Every command's full name, of groups only what is in them."""
    for name in app:
        if not name.startswith("-"):
            inner = list(commands(app[name], f"{prefix} {name}"))
            yield from inner or [f"{prefix} {name}"]


@pytest.mark.parametrize("command", sorted(commands(build_app(), "logboom")))
def test_every_command_has_a_row(command: str) -> None:
    assert is_in(rows("command-line.md"), command)


@pytest.mark.parametrize("action", list(Action))
def test_every_audited_action_has_a_row(action: Action) -> None:
    assert is_in(rows("audit.md"), action.value)


def routes() -> list[str]:
    """Every route as `METHOD /path`, read from the table in server.py as it stands there."""
    table = ast.parse((ROOT / "src" / "logboom" / "server.py").read_text(encoding="utf-8"))
    return sorted(
        f"{method} {path}"
        for node in ast.walk(table)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Route"
        for method, path in [[str(ast.literal_eval(argument)) for argument in node.args[:2]]]
    )


def without_names(text: str) -> str:
    """Path parameters by their place only: the guide may call an `{id}` what it likes."""
    return re.sub(r"\{\w+\}", "{}", text)


def test_every_route_has_a_row() -> None:
    api = without_names(rows("api.md"))
    assert routes() != []
    assert [route for route in routes() if not is_in(api, without_names(route))] == []


def test_the_compatibility_page_is_not_stale() -> None:
    check = subprocess.run(
        [sys.executable, ROOT / "tools" / "gen_compatibility.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stderr or check.stdout
