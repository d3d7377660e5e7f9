"""`logboom send`: a file or a stream becomes log lines, one per line of text, acknowledged batch by batch."""

import os
import socket
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from logboom.cli.connection import DEFAULT_CONNECTION, Connection
from logboom.cli.output import UsageError, counted, progress, say
from logboom.cli.reading import LineSplitter, read_chunks

Line = dict[str, Any]


def send(
    file: Annotated[str, Parameter(allow_leading_hyphen=True, help="File to send, - for stdin.")],
    /,
    *,
    app: Annotated[str | None, Parameter(help="App of the lines. Without it: the file's name.")] = None,
    host: Annotated[str | None, Parameter(help="Host of the lines. Without it: this machine's name.")] = None,
    level: Annotated[
        str | None, Parameter(help="Level of the lines. Without it the server looks for one in the text.")
    ] = None,
    env: Annotated[str | None, Parameter(help="Environment of the lines, such as production.")] = None,
    tags: Annotated[list[str] | None, Parameter(name="--tag", help="Tag of the lines; repeat for more.")] = None,
    json_lines: Annotated[
        bool, Parameter(help="Each line of input is a JSON object: line, timestamp, level, app, meta and so on.")
    ] = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Send each line of a file or of stdin as a log line. Empty lines are skipped."""
    if file == connection.key_file == "-":
        raise UsageError("Stdin cannot be both the lines and the key. Put the key into LOGBOOM_INGESTION_KEY.")
    defaults = {"app": app or _file_name(file), "level": level, "env": env}
    members = {name: value for name, value in defaults.items() if value}
    reading = Reading(parse=parse_json_line if json_lines else parse_text_line, members=members, name=file)
    tally = Tally()
    hostname = host or socket.gethostname()
    with connection.connect_to_send() as client, _open_input(file) as descriptor, tally.told(reading):
        for group in _with_progress(reading.groups(descriptor), descriptor, reading, tally):
            client.send_lines(group, hostname, tags=tags or (), on_batch=tally.add)


@dataclass
class Tally:
    """What the server has acknowledged so far."""

    lines: int = 0
    batches: int = 0

    def add(self, lines: int) -> None:
        self.lines += lines
        self.batches += 1

    @contextmanager
    def told(self, reading: "Reading") -> Iterator[None]:
        """The summary comes also when sending ends early: it says from where to go on."""
        try:
            yield
        finally:
            notes = [f"sent {counted(self.lines, 'line')} in {counted(self.batches, 'batch')}"]
            if reading.blank:
                notes.append(f"skipped {counted(reading.blank, 'empty line')}")
            if reading.splitter.cut:
                notes.append(f"cut {counted(reading.splitter.cut, 'line')} to 1 MiB")
            say(", ".join(notes))


class Reading:
    """Turns input into groups of lines and counts what it met: bytes, lines of input, empty ones."""

    def __init__(self, *, parse: Callable[[bytes, Line], Line | None], members: Line, name: str) -> None:
        self.splitter = LineSplitter()
        self.bytes = 0
        self.blank = 0
        self._number = 0
        self._parse = parse
        self._members = members
        self._name = name

    def groups(self, descriptor: int) -> Iterator[list[Line]]:
        """The lines of each chunk. A line that cannot be read ends it, after the lines before it were handed on."""
        for chunk in read_chunks(descriptor):
            self.bytes += len(chunk)
            yield from self._group(self.splitter.feed(chunk))
        yield from self._group(self.splitter.finish())

    def _group(self, raws: Iterable[bytes]) -> Iterator[list[Line]]:
        group: list[Line] = []
        for raw in raws:
            self._number += 1
            if not raw.strip():
                self.blank += 1
                continue
            line = self._parse(raw, self._members)
            if line is None:
                yield group
                raise UsageError(
                    f"{self._name}, line {self._number}: not a JSON object with a member `line`. "
                    "The lines before it were sent; mend it and send from there on."
                )
            group.append(line)
        yield group


def parse_text_line(raw: bytes, members: Line) -> Line:
    return {"line": raw.decode("utf-8", errors="replace"), **members}


def parse_json_line(raw: bytes, members: Line) -> Line | None:
    """The object's members over *members*, their values kept as they were written; None when it is no such object."""
    try:
        text = raw.decode("utf-8", errors="replace")
        line = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except msgspec.MsgspecError:
        return None
    return {**members, **line} if "line" in line else None


def _file_name(file: str) -> str | None:
    return None if file == "-" else Path(file).name


@contextmanager
def _open_input(file: str) -> Iterator[int]:
    if file == "-":
        yield sys.stdin.fileno()
        return
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError as error:
        raise UsageError(f"Cannot read {file}: {error.strerror}.") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _with_progress(
    groups: Iterable[list[Line]], descriptor: int, reading: Reading, tally: Tally
) -> Iterator[list[Line]]:
    """*groups* as they are, with a display of how far they were sent."""
    status = os.fstat(descriptor)
    size = status.st_size if stat.S_ISREG(status.st_mode) else None
    with progress(of_bytes=size is not None) as bar:
        task = bar.add_task("", total=size, lines=0)
        for group in groups:
            yield group
            bar.update(task, completed=reading.bytes, lines=tally.lines)
