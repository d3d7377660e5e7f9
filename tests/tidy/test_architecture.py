"""The rules of architecture that a tool can read: imports point one way, settings stay on top, SQL binds accounts."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sources import ROOT, Source, our_sources, python_sources

READS_LINES = re.compile(r"\b(?:FROM|JOIN|UPDATE|DELETE FROM)\s+lines\b")
BINDS_ACCOUNT = re.compile(r"account_id = \{account_id:String\}|/\*where\*/|\{where\}")
TOP = ("logboom.server", "logboom.custody", "logboom.bootstrap", "logboom.cli", "logboom.settings")


def test_imports_point_one_way() -> None:
    lint_imports = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([lint_imports, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def imported(source: Source) -> set[str]:
    names = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return names


@pytest.mark.parametrize("source", python_sources("src/"), ids=str)
def test_settings_are_read_at_the_top_only(source: Source) -> None:
    if not source.module.startswith(TOP):
        assert "logboom.settings" not in imported(source)


def statements(source: Source) -> list[str]:
    """The SQL of a file: a `.sql` file whole, in Python each text with the comment above it."""
    if not source.is_python:
        return [source.text]
    rows = source.text.splitlines()
    return [
        "\n".join(rows[max(0, node.lineno - 4) : node.end_lineno])
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and READS_LINES.search(node.value)
    ]


@pytest.mark.parametrize("source", [found for found in our_sources() if found.path.startswith("src/")], ids=str)
def test_every_statement_over_lines_binds_the_account(source: Source) -> None:
    """`/*where*/` and `{where}` stand for the condition that store/statement.py builds, and that binds it first.

    A statement that rightly reads lines of every account says so in a comment that begins with `No account:`.
    """
    reading = [text for text in statements(source) if READS_LINES.search(text)]
    assert [text for text in reading if not BINDS_ACCOUNT.search(text) and "No account:" not in text] == []


def test_the_condition_of_every_search_binds_the_account() -> None:
    statement = (ROOT / "src/logboom/store/statement.py").read_text(encoding="utf-8")
    assert re.search(r'WHERE: Final = """account_id = \{account_id:String\}', statement)
    assert "conditions = [WHERE]" in statement
