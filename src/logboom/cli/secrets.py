"""`logboom secrets`: see and replace the secrets of an installation, at its machine.

These commands work on the data folder and the database, not through the server: they take the same flag and variables
as `serve`, and need no key. A secret is printed only where the operator must put it somewhere by hand.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.table import Table

from logboom.cli.key_output import AsJson, put_json
from logboom.cli.output import INTERRUPTED, UsageError, ask, counted, put, result_console, say, visible
from logboom.settings import Settings

if TYPE_CHECKING:
    from logboom.custody import Custody, Swept
    from logboom.keys.rotation import Waiting
    from logboom.keys.secret_text import Purpose

COLUMNS: Final = ("SECRET", "VERSION", "STATE", "MADE", "DUE", "ROWS", "ENDED")
UNFINISHED: Final = 1  # the exit code when something still needs an older version

Prepare = Annotated[bool, Parameter(help="Only write the new version, to be copied to every server; use it later.")]

Wait = Annotated[
    float, Parameter(validator=Number(gte=0), help="Seconds that running servers have to take up the new version.")
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Installation:
    """Which installation a command is about: the settings that `serve` has."""

    data_dir: Annotated[Path, Parameter(env_var="LOGBOOM_DATA_DIR", help="The data folder of the server.")] = Path(
        "data"
    )

    def open(self, *, servers_wait_s: float = 0) -> AbstractContextManager["Custody"]:
        from logboom.cli.serve import configure_log
        from logboom.custody import open_custody

        os.umask(0o077)  # whatever is written belongs to its user alone
        configure_log("warning")
        settings = Settings(
            data_dir=self.data_dir,
            database_url=os.environ.get("LOGBOOM_DATABASE_URL", ""),
            master_secret=os.environ.get("LOGBOOM_MASTER_SECRET", ""),
        )
        return open_custody(settings, say, servers_wait_s=servers_wait_s)


HERE: Final = Installation()


def show(*, as_json: AsJson = False, installation: Installation = HERE) -> None:
    """Show the versions of each secret, since when it is there, and how many rows need it. Never a secret."""
    with installation.open() as custody:
        records = custody.list_records()
        waiting = custody.list_waiting()
    if as_json:
        put_json({"secrets": [asdict(record) for record in records], "waiting": [asdict(value) for value in waiting]})
        return
    table = Table(*COLUMNS, box=None, pad_edge=False, header_style="bold")
    for record in records:
        days = (record.made or "-", record.due or "-")
        table.add_row(record.purpose, str(record.version), record.state, *days, str(record.rows), str(record.ended))
    result_console().print(table)
    if any(record.state not in ("active", "kept") for record in records):
        say("A rotation is not finished.")
    _tell_waiting(waiting)


def rotate_pepper(*, prepare: Prepare = False, wait_s: Wait = 40, installation: Installation = HERE) -> int:
    """Digest every key value under a new pepper. Servers go on meanwhile; it can be cut off and run again."""
    from logboom.keys.secret_text import Purpose

    return _rotate(Purpose.PEPPER, installation, is_prepared_only=prepare, wait_s=wait_s)


def rotate_kek(*, prepare: Prepare = False, wait_s: Wait = 40, installation: Installation = HERE) -> int:
    """Wrap every data key under a new key-encryption key. Servers go on meanwhile; it can be cut off and run again."""
    from logboom.keys.secret_text import Purpose

    return _rotate(Purpose.KEK, installation, is_prepared_only=prepare, wait_s=wait_s)


def rotate_audit(*, prepare: Prepare = False, wait_s: Wait = 40, installation: Installation = HERE) -> int:
    """Sign the audit log with a new key from now on. What is signed already stays and is held fast by what follows."""
    from logboom.keys.secret_text import Purpose

    return _rotate(Purpose.AUDIT, installation, is_prepared_only=prepare, wait_s=wait_s)


def finish(
    *,
    drop_waiting: Annotated[
        bool, Parameter(help="End the values that still need an older pepper; an active one ends with its key.")
    ] = False,
    yes: Annotated[bool, Parameter(help="Do not ask. Needed where there is no terminal.")] = False,
    installation: Installation = HERE,
) -> int:
    """Give up the older versions, once nothing needs them any more."""
    with installation.open() as custody:
        if drop_waiting and (waiting := custody.list_waiting()):
            _tell_waiting(waiting)
            if not _confirmed(len(waiting), yes=yes):
                say("Nothing was changed.")
                return INTERRUPTED
        finished = custody.finish(drop_waiting=drop_waiting)
    for purpose, numbers in finished.given_up.items():
        say(f"Gave up {purpose} {', '.join(map(str, numbers))}.")
    if finished.forgotten:
        say(f"{counted(finished.forgotten, 'ended value')} cannot be recognised any more.")
        for number in numbers if not finished.is_file else ():
            line = f"{purpose}:{number}:..."
            what = (
                f"In the place of {line} put audited:{number}:... into" if purpose == "audit" else f"Remove {line} from"
            )
            say(f"{what} LOGBOOM_MASTER_SECRET of every server, and its backup.")
    if finished.given_up and finished.is_file:
        say("Copy the file to the other servers, and make a new backup of it.")
    _tell_waiting(finished.waiting)
    if finished.unwrapped:
        say(f"{counted(finished.unwrapped, 'data key')} still there under an older KEK. Run rotate-kek again.")
    if not finished.given_up and not finished.waiting and not finished.unwrapped:
        say("There is nothing to finish.")
    return UNFINISHED if finished.waiting or finished.unwrapped else 0


def _rotate(purpose: "Purpose", installation: Installation, *, is_prepared_only: bool, wait_s: float) -> int:
    with installation.open(servers_wait_s=wait_s) as custody:
        if is_prepared_only:
            lines = custody.prepare(purpose)
            if custody.source.is_file:
                say(f"Copy {custody.source.file} to every server, then run rotate-{purpose.value}. Back it up, too.")
            else:
                say("Put this behind what is in LOGBOOM_MASTER_SECRET of every server, in the place of lines for the")
                say(f"{purpose.value} if it has any. Restart them one by one, then run rotate-{purpose.value} with the")
                say("same variable. It is a secret:")
                put("".join(f",{line}" for line in lines))
            return 0
        swept = custody.rotate(purpose)
    return _tell_swept(swept, purpose.value)


def _tell_swept(swept: "Swept", name: str) -> int:
    if swept.altered:
        say(f"{swept.altered} rows were changed outside of the server and stay as they are; they open no door.")
    _tell_waiting(swept.waiting)
    if not swept.waiting and not swept.altered:
        say(f"Nothing new needs the older {name} any more: run `logboom secrets finish`, and make a new backup.")
    return 0


def _tell_waiting(waiting: "Sequence[Waiting]") -> None:
    if not waiting:
        return
    say(f"{counted(len(waiting), 'value')} of keys still there under an older pepper, until used or ended:")
    for value in waiting:
        about = f"generation {value.generation}" + ("" if value.is_active else ", the old value of a rotation")
        why = ", changed outside of the server" if value.is_altered else ""
        say(f"  {value.account_id} {value.kind} key {value.key_id} {visible(value.name)!r}, {about}{why}")


def _confirmed(number: int, *, yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("Nobody is here to confirm. Say --yes to end these values without being asked.")
    ask(f"End {counted(number, 'value')}? Who uses them is refused from then on. [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")
