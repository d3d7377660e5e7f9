#!/usr/bin/env python3
"""Tells how many mutants of the key code the unit tests kill, after `mutmut run`; fails below 95 %.

A mutant is one small change of one line. Some change nothing that anybody could see; those are listed, each with its
reason, in equivalent_mutants.toml, and do not count. `make mutate` runs it.
"""

import ast
import difflib
import json
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
MUTANTS: Final = ROOT / "mutants"
EQUIVALENT: Final = Path(__file__).with_name("equivalent_mutants.toml")
SCORE_MIN: Final = 0.95
# mutmut's exit codes; any other has ended the mutant, even if by taking too long.
SURVIVED: Final = 0
NO_TESTS: Final = (5, 33)
NOT_KILLED: Final = (SURVIVED, *NO_TESTS, 34, None)  # skipped, not tried yet


@dataclass(frozen=True)
class Mutant:
    """One mutant: where it is, what its line became, and how its tests ended."""

    module: str
    function: str
    line: str
    exit_code: int | None

    @property
    def is_killed(self) -> bool:
        return self.exit_code not in NOT_KILLED

    @property
    def place(self) -> tuple[str, str]:
        return f"{self.module}.{self.function}", self.line


def main() -> int:
    mutants = [mutant for path in sorted(MUTANTS.glob("src/**/*.meta")) for mutant in read_mutants(path)]
    if not mutants:
        raise SystemExit("There are no mutants: run `mutmut run` first.")
    harmless = read_equivalents()
    counted = [mutant for mutant in mutants if mutant.is_killed or mutant.place not in harmless]
    alive = [mutant for mutant in counted if not mutant.is_killed]
    score = 1 - len(alive) / len(counted)
    rows = [*map(render_mutant, alive), *render_modules(counted)]
    outdated = sorted(harmless - {mutant.place for mutant in mutants if not mutant.is_killed})
    rows += [f"not needed any more in {EQUIVALENT.name}: {' '.join(place)}" for place in outdated]
    rows.append(f"{score:.1%} of {len(counted)} mutants killed; {len(mutants) - len(counted)} more change nothing")
    sys.stdout.write("\n".join(rows) + "\n")
    return int(score < SCORE_MIN)


def read_equivalents() -> set[tuple[str, str]]:
    listed = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))["mutant"]
    return {(each["function"], line) for each in listed for line in each["lines"]}


def render_mutant(mutant: Mutant) -> str:
    untested = "  (no test comes here)" if mutant.exit_code in NO_TESTS else ""
    return f"{mutant.module}.{mutant.function}{untested}\n    {mutant.line}"


def render_modules(counted: list[Mutant]) -> Iterator[str]:
    made = Counter(mutant.module for mutant in counted)
    killed = Counter(mutant.module for mutant in counted if mutant.is_killed)
    for module in sorted(made):
        yield f"  {module:16} {killed[module]:4} of {made[module]:4}  {killed[module] / made[module]:6.1%}"


def read_mutants(meta: Path) -> Iterator[Mutant]:
    """The mutants of one module, from what mutmut keeps beside its mutated text."""
    module = meta.name.partition(".")[0]
    for name, exit_code in json.loads(meta.read_text())["exit_code_by_key"].items():
        function = name.rpartition(".")[2]
        original, _, _ = function.rpartition("__mutmut_")
        line = changed_line(meta.with_suffix(""), f"{original}__mutmut_orig", function)
        yield Mutant(module, original.removeprefix("x_").replace("xǁ", "").replace("ǁ", "."), line, exit_code)


def changed_line(path: Path, original: str, mutated: str) -> str:
    """What the changed lines of a function became, without the blanks around them."""
    texts = functions(path)
    before, after = (texts[name].splitlines()[1:] for name in (original, mutated))
    changes = difflib.ndiff([line.strip() for line in before], [line.strip() for line in after])
    return " / ".join(change[2:] for change in changes if change.startswith("+ ")) or "(a line is gone)"


@cache
def functions(path: Path) -> Mapping[str, str]:
    """The text of every function and method of a module by its name."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    return {
        node.name: "\n".join(lines[node.lineno - 1 : node.end_lineno])
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


if __name__ == "__main__":
    sys.exit(main())
