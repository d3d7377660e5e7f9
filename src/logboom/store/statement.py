"""Builds the statements that find lines. Every one binds the account, and every value travels as a parameter."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from logboom.query import Parameter
from logboom.store.port import Selection

# The condition on the account and the time stands first: it is the prefix of the table's order.
WHERE: Final = """account_id = {account_id:String}
    AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}) AND ts <= fromUnixTimestamp64Milli({to_ms:Int64})"""
FILTERS: Final = {
    "hosts": "host IN {hosts:Array(String)}",
    "apps": "app IN {apps:Array(String)}",
    "levels": "lower(level) IN {levels:Array(String)}",  # Mezmo: levels are compared without case. product.md 2.4
    "tags": "hasAny(tags, {tags:Array(String)})",
}
AFTER: Final = {
    True: "ts <= fromUnixTimestamp64Milli({after_ts_ms:Int64})"
    " AND (ts < fromUnixTimestamp64Milli({after_ts_ms:Int64}) OR line_id < {after_line_id:UInt64})",
    False: "ts >= fromUnixTimestamp64Milli({after_ts_ms:Int64})"
    " AND (ts > fromUnixTimestamp64Milli({after_ts_ms:Int64}) OR line_id > {after_line_id:UInt64})",
}
PLACE: Final = "toUnixTimestamp64Milli(ts), line_id,"  # the cursor of the line, as two columns before its text
COUNT: Final = "SELECT count() FROM lines WHERE {where}"
TS_MS_MIN: Final = -2_208_988_800_000  # 1900 and 2299, between which the engine's times lie
TS_MS_MAX: Final = 10_413_791_999_999


@dataclass(frozen=True, kw_only=True)
class Statement:
    """SQL text with `{name:Type}` placeholders, and the value of each."""

    sql: str
    parameters: Mapping[str, Parameter]


def select_statement(selection: Selection) -> Statement:
    """The lines as JSON, one a row, in time order from the chosen end on."""
    order = "DESC" if selection.newest_first else "ASC"
    where, parameters = _where(selection)
    template = files("logboom.store").joinpath("select.sql").read_text(encoding="utf-8")
    place = PLACE if selection.with_place else ""
    sql = template.replace("/*where*/", where).replace("/*order*/", order).replace("/*place*/", place)
    return Statement(sql=sql, parameters=parameters | {"lines_max": selection.lines_max})


def count_statement(selection: Selection) -> Statement:
    """The number of lines."""
    where, parameters = _where(selection)
    return Statement(sql=COUNT.replace("{where}", where), parameters=parameters)


def _where(selection: Selection) -> tuple[str, dict[str, Parameter]]:
    conditions = [WHERE]
    parameters: dict[str, Parameter] = {
        "account_id": selection.account_id,
        "from_ms": max(selection.from_ms, TS_MS_MIN),
        "to_ms": min(selection.to_ms, TS_MS_MAX),
    }
    for name, condition in FILTERS.items():
        if values := getattr(selection, name):
            conditions.append(condition)
            parameters[name] = tuple(value.lower() for value in values) if name == "levels" else values
    if selection.after:
        conditions.append(AFTER[selection.newest_first])
        parameters |= {"after_ts_ms": selection.after.ts_ms, "after_line_id": selection.after.line_id}
    conditions.append(f"({selection.predicate.sql})")
    return "\n    AND ".join(conditions), parameters | dict(selection.predicate.parameters)
