"""`logboom export`: every line that matches, as JSON Lines, to a file that is whole or absent."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

from cyclopts import Parameter
from cyclopts.validators import Number

from logboom.cli.connection import DEFAULT_CONNECTION, Connection
from logboom.cli.output import UsageError, counted, progress, say
from logboom.cli.selection import ALL_LINES, Lines
from logboom.client.client import Prefer


def export(
    *,
    query: Annotated[
        str, Parameter(allow_leading_hyphen=True, show_default=False, help="Only lines that match; all without it.")
    ] = "",
    prefer: Annotated[
        Prefer, Parameter(help="Oldest first (head) or newest first (tail); the end that --size keeps.")
    ] = "head",
    size: Annotated[int, Parameter(validator=Number(gte=0), help="How many lines at most, 0 for all.")] = 0,
    output: Annotated[
        str, Parameter(name=("--output", "-o"), allow_leading_hyphen=True, help="File to write, - for stdout.")
    ] = "-",
    lines: Lines = ALL_LINES,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Write every line that matches as JSON Lines. A file appears under its name only when it is complete."""
    selection = lines.select(query)
    with connection.connect_to_ask() as client, open_output(output) as file:
        written = _write(client.export_texts(prefer=prefer, size=size or None, **selection), file)
    say(f"exported {counted(written, 'line')} to {'stdout' if output == '-' else output}")


def _write(texts: Iterable[bytes], file: BinaryIO) -> int:
    written = 0
    with progress(of_bytes=False) as bar:
        task = bar.add_task("", total=None, lines=0)
        for text in texts:
            file.write(text + b"\n")
            written += 1
            bar.update(task, lines=written)
    file.flush()
    return written


@contextmanager
def open_output(output: str) -> Iterator[BinaryIO]:
    """A file that gets its name when it is complete, or stdout for `-`. Raises UsageError."""
    if output == "-":
        yield sys.stdout.buffer
        return
    path = Path(output)
    part = path.with_name(f"{path.name}.part")
    try:
        file = part.open("wb")
    except OSError as error:
        raise UsageError(f"Cannot write {part}: {error.strerror}.") from None
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
