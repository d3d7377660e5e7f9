#!/usr/bin/env python3
"""Collects every comment `Mezmo: ...` of the source into docs/compatibility.md.

A quirk is written down once, beside the line of code that serves it; this page is how a reader finds them all.
Without arguments it writes the page. With `--check` it writes nothing and exits 1 when the page is stale.
"""

import argparse
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
SOURCE: Final = "src/logboom"
PAGE: Final = "docs/compatibility.md"
MARK: Final = "Mezmo:"
SQL_COMMENT: Final = re.compile(r"(?P<code>(?:[^'\n]|'[^']*')*?)--\s?(?P<text>.*)")
EVIDENCE: Final = re.compile(r"(?P<quirk>.*?)\.?\s+(?P<evidence>(?:mezmo-api|product|clients|keys)(?:\.md)? \d.*?)\.?")
HEAD: Final = """\
# Compatibility, quirk by quirk

This page is generated from the comments `Mezmo: ...` of the source by `tools/gen_compatibility.py`; do not edit it.
[Compatibility notes](guide/compatibility-notes.md) tell the same from the user's side.
The evidence names a section of the project's notes on Mezmo's documentation and clients.

| file | what Mezmo does | evidence |
| --- | --- | --- |
"""


@dataclass(frozen=True)
class Comment:
    """One row of a comment; *is_alone* says that no code stands before it."""

    row: int
    text: str
    is_alone: bool


@dataclass(frozen=True)
class Quirk:
    """One behaviour of Mezmo's, the file that serves it, and where it is known from."""

    path: str
    text: str
    evidence: str


def main() -> int:
    """Write the page, or with `--check` compare it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page is stale")
    is_check = parser.parse_args().check
    page, text = ROOT / PAGE, render_page(collect(ROOT))
    if not is_check:
        page.write_text(text, encoding="utf-8")
        return 0
    if page.exists() and page.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{PAGE} is stale; run tools/gen_compatibility.py\n")
    return 1


def collect(root: Path) -> list[Quirk]:
    """Every quirk below the source folder, by file and then by place in it."""
    quirks = []
    for path in sorted((root / SOURCE).rglob("*")):
        if path.suffix in {".py", ".sql"}:
            source = path.read_text(encoding="utf-8")
            comments = python_comments(source) if path.suffix == ".py" else sql_comments(source)
            quirks += [parse_quirk(path.relative_to(root).as_posix(), text) for text in marked_texts(comments)]
    return quirks


def python_comments(source: str) -> Iterator[Comment]:
    """The comments of a Python module; a text that looks like one is none."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            is_alone = not token.line[: token.start[1]].strip()
            yield Comment(row=token.start[0], text=token.string.lstrip("#").strip(), is_alone=is_alone)


def sql_comments(source: str) -> Iterator[Comment]:
    """The `--` comments of a SQL file, those inside quotes aside."""
    for row, line in enumerate(source.splitlines(), 1):
        if found := SQL_COMMENT.fullmatch(line):
            yield Comment(row=row, text=found["text"].strip(), is_alone=not found["code"].strip())


def marked_texts(comments: Iterable[Comment]) -> Iterator[str]:
    """The texts that begin with the mark, each with the comment rows that continue it."""
    parts: list[str] = []
    last_row = 0
    for comment in comments:
        continues = parts and comment.is_alone and comment.row == last_row + 1
        if parts and (not continues or comment.text.startswith(MARK)):
            yield " ".join(parts)
            parts = []
        if parts or comment.text.startswith(MARK):
            parts.append(comment.text)
            last_row = comment.row
    if parts:
        yield " ".join(parts)


def parse_quirk(path: str, text: str) -> Quirk:
    """What is known, apart from where it is known from."""
    stated = text.removeprefix(MARK).strip()
    found = EVIDENCE.fullmatch(stated)
    if not found:
        return Quirk(path=path, text=stated, evidence="")
    return Quirk(path=path, text=found["quirk"] + ".", evidence=found["evidence"])


def render_page(quirks: Iterable[Quirk]) -> str:
    """The page as it should be."""
    return HEAD + "".join(_row(quirk) for quirk in quirks)


def _row(quirk: Quirk) -> str:
    name = quirk.path.removeprefix(f"{SOURCE}/")
    text = quirk.text.replace("|", "\\|")
    return f"| [{name}](../{quirk.path}) | {text} | {quirk.evidence} |\n"


if __name__ == "__main__":
    sys.exit(main())
