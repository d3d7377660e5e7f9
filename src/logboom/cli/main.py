"""The door of the `logboom` command: every command, and the place where a failure becomes a message.

Exit codes: 0 done, 1 the server refused or failed, 2 wrong usage, 3 no server answers, 4 nothing found,
130 interrupted or not confirmed.
"""

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Env

from logboom import __version__
from logboom.cli.audit import build_audit_app
from logboom.cli.export import export
from logboom.cli.keys import build_keys_app
from logboom.cli.output import INTERRUPTED, UsageError, say
from logboom.cli.search import search
from logboom.cli.send import send
from logboom.client import ClientError
from logboom.errors import LogboomError
from logboom.settings import Settings

if TYPE_CHECKING:
    from cyclopts.help import HelpPanel
    from rich.console import Console, ConsoleOptions

HELP: Final = "A self-hosted log platform that speaks Mezmo's (formerly LogDNA's) wire protocol."
EPILOGUE: Final = """\
The commands read LOGBOOM_URL, LOGBOOM_INGESTION_KEY (send) and LOGBOOM_SERVICE_KEY (the rest).
Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no server answers, 4 nothing found, 130 interrupted."""

SERVE_HELP: Final = """\
Run the server until it is told to stop (Ctrl-C or SIGTERM).

The first start creates an account with its owner, an ingestion key and a service key, and prints them once."""

SECRETS: Final = tuple(name for name, knob in Settings.__dataclass_fields__.items() if not knob.repr)
SECRET_FLAGS: Final = frozenset(f"--{name.replace('_', '-')}" for name in SECRETS)
SECRETS_HELP: Final = {
    "show": "Show the versions of pepper, KEK and audit key, since when each is there, and how many rows need it.",
    "rotate-pepper": "Digest every key value under a new pepper, while servers go on; it can be cut off and run again.",
    "rotate-kek": "Wrap every data key under a new key-encryption key, while servers go on; it can be run again.",
    "rotate-audit": "Sign the audit log with a new key from now on, while servers go on; it can be run again.",
    "finish": "Give up the older versions, once nothing needs them any more.",
}
SERVE_EPILOGUE: Final = f"""\
As variables only, since a flag shows in the list of processes:
{", ".join(f"LOGBOOM_{name.upper()}" for name in SECRETS)}.

Example: logboom serve --listen 0.0.0.0:8080 --data-dir /var/lib/logboom"""


def main() -> None:
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; failures are one line on stderr, never a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a line of any language must not stop a plain terminal
    try:
        refuse_secrets(arguments)
        code = build_app()(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        return _hang_up()
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 the edge of the program: a person gets a sentence, not a traceback
        message, code = explain(error)
        say("logboom: " + " ".join(message.split()))
    return code if isinstance(code, int) else 0


def refuse_secrets(arguments: Sequence[str]) -> None:
    """Raises UsageError for a setting that is a secret and stands among the arguments, where `ps` shows it."""
    if arguments[:1] not in (["serve"], ["secrets"]):
        return
    for argument in arguments[1:]:
        flag = argument.partition("=")[0]
        if flag in SECRET_FLAGS:
            variable = "LOGBOOM_" + flag.strip("-").upper().replace("-", "_")
            raise UsageError(f"Give {flag} as the variable {variable}: a flag shows in the list of processes.")


def explain(error: Exception) -> tuple[str, int]:
    """What to tell the person, and the exit code."""
    match error:
        case CycloptsError():
            return f"{error} See `logboom --help`.", 2
        case UsageError():
            return str(error), 2
        case ClientError():
            return error.message, error.exit_code
        case LogboomError():
            return error.message, 1
        case OSError():
            return f"The system refused: {error.strerror or type(error).__name__}.", 1
        case _:
            return f"This is a defect of logboom: {type(error).__name__} at {_place(error)}.", 1


def build_app() -> App:
    """Every command. `serve` is imported only when it runs: the others need none of the server."""
    app = App(
        name="logboom",
        version=__version__,
        help=HELP,
        help_format="plaintext",
        help_epilogue=EPILOGUE,
        default_parameter=Parameter(negative=()),
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    app.command(
        "logboom.cli.serve:serve",
        name="serve",
        help=SERVE_HELP,
        help_epilogue=SERVE_EPILOGUE,
        help_formatter=render_panel,
        config=Env("LOGBOOM_", command=False),  # every setting is also a variable: --data-dir is LOGBOOM_DATA_DIR
    )
    app.command(build_keys_app())
    app.command(build_secrets_app())
    app.command(build_audit_app())
    app.command(send, help_epilogue="Example: tail -f app.log | logboom send - --app web --tag prod")
    app.command(search, help_epilogue="Example: logboom search 'level:error timeout' --from 2h --app web")
    app.command(export, help_epilogue="Example: logboom export --from 1d --query level:error --output errors.jsonl")
    return app


def build_secrets_app() -> App:
    """What the operator does at the server's machine; imported only when it runs, as it needs all of the server."""
    app = App(name="secrets", help="See and replace the secrets of an installation, at its machine.")
    for name, text in SECRETS_HELP.items():
        function = f"logboom.cli.secrets:{name.replace('-', '_')}"
        example = f"Example: logboom secrets {name} --data-dir /var/lib/logboom"
        app.command(function, name=name, help=text, help_epilogue=example)
    return app


def render_panel(console: "Console", options: "ConsoleOptions", panel: "HelpPanel") -> None:
    """A panel of `serve --help`, without the flags that are refused."""
    from cyclopts.help import DefaultFormatter  # it imports what only a help page needs

    shown = [row for row in panel.entries if SECRET_FLAGS.isdisjoint(row.names)]
    DefaultFormatter()(console, options, panel.copy(entries=shown))


def _hang_up() -> int:
    """Whoever read our output has enough (`| head`). Python's own flush at exit must not fail on the closed pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "an unknown place" if trace is None else f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
