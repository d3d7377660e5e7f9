"""The repository's own files, as the tidy tests read them: what git tracks or would track."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS = ("LICENSE", "requirements/runtime.txt", "requirements/dev.txt")  # written by others: no style of ours


@dataclass(frozen=True)
class Source:
    """One text file: its path from the root, and its text."""

    path: str
    text: str

    def __str__(self) -> str:
        return self.path

    @property
    def is_python(self) -> bool:
        return self.path.endswith(".py")

    @property
    def module(self) -> str:
        """The dotted name of a module in src."""
        return self.path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def tree(self) -> ast.Module:
        return _parse(self.text)


@cache
def _parse(text: str) -> ast.Module:
    return ast.parse(text)


@cache
def all_sources() -> tuple[Source, ...]:
    """Every text file, in the order of paths."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return tuple(_read(path) for path in sorted(set(listed)) if (ROOT / path).is_file() and _is_text(ROOT / path))


def our_sources() -> tuple[Source, ...]:
    """The files that were written here."""
    return tuple(source for source in all_sources() if source.path not in NOT_OURS)


def python_sources(folder: str = "") -> tuple[Source, ...]:
    """The Python modules below *folder*."""
    return tuple(source for source in our_sources() if source.is_python and source.path.startswith(folder))


def functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a module, methods and inner ones too."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _read(path: str) -> Source:
    return Source(path=path, text=(ROOT / path).read_text(encoding="utf-8"))


def _is_text(path: Path) -> bool:
    return b"\0" not in path.read_bytes()[:8_192]
