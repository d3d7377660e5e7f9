"""`logboom search`: the newest lines that match, printed oldest first, like a log."""

from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.text import Text

from logboom.cli.connection import DEFAULT_CONNECTION, Connection
from logboom.cli.output import NOTHING_FOUND, UsageError, level_style, put, result_console, say, visible
from logboom.cli.selection import ALL_LINES, Lines
from logboom.cli.times import render_moment
from logboom.client import LogboomClient, Selection


def search(
    query: Annotated[str, Parameter(allow_leading_hyphen=True, show_default=False, help="What to look for.")] = "",
    /,
    *,
    limit: Annotated[int, Parameter(validator=Number(gte=1), help="How many lines at most.")] = 100,
    as_json: Annotated[bool, Parameter(name="--json", help="Print JSON Lines instead of text.")] = False,
    count: Annotated[bool, Parameter(help="Print only how many lines match.")] = False,
    lines: Lines = ALL_LINES,
    connection: Connection = DEFAULT_CONNECTION,
) -> int:
    """Find lines: the newest that match, oldest first. Exit code 4 when there is none."""
    if query.startswith(
        "--"
    ):  # a query may begin with one hyphen (`-level:debug`), an option that is misspelled with two
        raise UsageError(f"Unknown option {query}. See `logboom search --help`.")
    selection = lines.select(query)
    with connection.connect_to_ask() as client:
        found = _print_count(client, selection) if count else _print_lines(client, selection, limit, as_json=as_json)
    if not found:
        say("Nothing found.")
    return 0 if found else NOTHING_FOUND


def _print_count(client: LogboomClient, selection: Selection) -> int:
    found = client.count_lines(**selection)
    put(str(found))
    return found


def _print_lines(client: LogboomClient, selection: Selection, limit: int, *, as_json: bool) -> int:
    newest_first = list(client.export_texts(prefer="tail", size=limit, **selection))
    console = result_console()
    for text in reversed(newest_first):
        if as_json:
            put(text.decode())
        else:
            _print_line(console, msgspec.json.decode(text, type=dict[str, Any]))
    return len(newest_first)


def _print_line(console: Console, line: dict[str, Any]) -> None:
    moment, host, app, level, text = columns(line)
    if not console.is_terminal:
        put(f"{moment} {host} {app} {level} {text}")
        return
    style = level_style(level)
    parts = [(moment, "dim"), (host, "cyan"), (app, "blue"), (level, style or "bold"), (text, style)]
    shown = Text(" ").join(Text(visible(part), style=part_style) for part, part_style in parts)
    console.print(shown, soft_wrap=True)


def columns(line: dict[str, Any]) -> tuple[str, str, str, str, str]:
    """Moment, host, app, level and text of an exported line (mezmo-api 6.3); `-` stands for what it does not have."""
    ts = line.get("_ts")
    moment = render_moment(ts) if isinstance(ts, int) else "-"
    host, app, level = (str(line.get(name) or "-") for name in ("_host", "_app", "level"))
    return moment, host, app, level, str(line.get("_line", ""))
