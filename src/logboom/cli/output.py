"""What the commands print: results on stdout, everything else on stderr, nothing that could steer the terminal."""

import re
import sys
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn

NOTHING_FOUND: Final = 4
INTERRUPTED: Final = 130
# Everything a terminal would obey but a line break and a tab.
CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
ERROR_LEVELS: Final = frozenset({"EMERGENCY", "EMERG", "ALERT", "CRITICAL", "CRIT", "FATAL", "SEVERE", "ERROR", "ERR"})
WARNING_LEVELS: Final = frozenset({"WARN", "WARNING"})
FAINT_LEVELS: Final = frozenset({"DEBUG", "TRACE"})
# Ids and values are copied from tables, and read by grep and awk: no column may be shortened to fit a terminal.
TABLE_WIDTH: Final = 400


class UsageError(Exception):
    """The command was not given what it needs; exit code 2."""


def say(message: str) -> None:
    """One line for the person, on stderr."""
    sys.stderr.write(f"{visible(message)}\n")


def ask(question: str) -> None:
    """A question to the person, who answers on the same line."""
    sys.stderr.write(visible(question))
    sys.stderr.flush()


def put(text: str) -> None:
    """One line of result, on stdout."""
    sys.stdout.write(f"{text}\n")


def visible(text: str) -> str:
    r"""*text* with control characters spelled out (`\x1b`), so that a log line cannot drive the terminal."""
    return CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def counted(number: int, noun: str) -> str:
    """`1 line`, `2 lines`, `2 batches`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}es" if noun.endswith("ch") else f"{number} {noun}s"


def level_style(level: str) -> str:
    """The Rich style of a line of this level."""
    name = level.upper()
    if name in ERROR_LEVELS:
        return "red"
    if name in WARNING_LEVELS:
        return "yellow"
    return "dim" if name in FAINT_LEVELS else ""


def result_console() -> Console:
    """Stdout; Rich leaves colours out when it is no terminal or NO_COLOR is set."""
    return Console(highlight=False, markup=False, emoji=False, width=TABLE_WIDTH)


def progress(*, of_bytes: bool) -> Progress:
    """A progress display on stderr, shown only on a terminal: of bytes, or of lines without a known end."""
    shown = (BarColumn(), DownloadColumn()) if of_bytes else (SpinnerColumn(),)
    console = Console(stderr=True)
    lines = TextColumn("{task.fields[lines]} lines")
    return Progress(*shown, lines, console=console, transient=True, disable=not console.is_terminal)
