"""The parameters that every address over lines takes, from Mezmo's spelling to a Search. Pure."""

import re
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import QueryParams

from logboom.errors import Detail, ValidationFailed
from logboom.limits import QUERY_CHARACTERS_MAX
from logboom.search.search import EARLIEST_MS, LATEST_MS, Search

SECONDS_BELOW: Final = 10**11  # smaller numbers are seconds. mezmo-api 6.1
NUMBER: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,9})?")
COUNT: Final = re.compile(r"0*([1-9][0-9]*)")
COUNT_DIGITS_MAX: Final = 18  # longer numbers are beyond every bound, and slow to read
ENDS: Final = {"head": False, "tail": True, "": True}


def parse_search(query: QueryParams, *, account_id: str, lines_max: int) -> Search:
    """The search of an export or a count. Raises ValidationFailed naming every bad parameter."""
    problems: list[Detail] = []
    search = Search(
        account_id=account_id,
        # Mezmo: the old command line sends `q` for `query`. mezmo-api 6.1
        query=_query_text(query.get("query") or query.get("q") or "", problems),
        from_ms=_time_ms(query, "from", 0, problems),
        to_ms=_time_ms(query, "to", LATEST_MS, problems),
        hosts=_list(query, "hosts"),
        apps=_list(query, "apps"),
        levels=_list(query, "levels"),
        tags=_list(query, "tags"),
        newest_first=_newest_first(query.get("prefer", ""), problems),
        lines_max=_size(query.get("size", ""), lines_max, problems),
    )
    if problems:
        raise ValidationFailed(*problems)
    return search


def _query_text(text: str, problems: list[Detail]) -> str:
    if len(text) > QUERY_CHARACTERS_MAX:
        message = f'"query" length must be less than or equal to {QUERY_CHARACTERS_MAX} characters long'
        problems.append(Detail(message, "query"))
    return text.encode("utf-8", errors="replace").decode()


def _time_ms(query: QueryParams, name: str, default: int, problems: list[Detail]) -> int:
    """Seconds or milliseconds since 1970, told apart by size."""
    text = query.get(name, "").strip()
    if not text:
        return default
    if not NUMBER.fullmatch(text):
        problems.append(Detail(f'"{name}" must be a number of seconds or milliseconds since 1970', name))
        return default
    value = float(text)
    value_ms = round(value * 1000) if abs(value) < SECONDS_BELOW else int(value)
    # Mezmo: callers send 0 for an end that is open. mezmo-api 6.2
    return default if name == "to" and value_ms == 0 else max(EARLIEST_MS, min(value_ms, LATEST_MS))


def _list(query: QueryParams, name: str) -> tuple[str, ...]:
    values = (item.strip() for value in query.getlist(name) for item in value.split(","))
    return tuple(value.encode("utf-8", errors="replace").decode() for value in values if value)


def _newest_first(text: str, problems: list[Detail]) -> bool:
    if text not in ENDS:
        problems.append(Detail('"prefer" must be one of [head, tail]', "prefer"))
    return ENDS.get(text, True)


def _size(text: str, lines_max: int, problems: list[Detail]) -> int:
    """The asked number of lines, at most *lines_max*, which is also what is taken when nothing is asked."""
    asked = text.strip()
    found = COUNT.fullmatch(asked)
    if asked and not found:
        problems.append(Detail('"size" must be a positive number', "size"))
    if not found or len(found[1]) > COUNT_DIGITS_MAX:
        return lines_max
    return min(int(found[1]), lines_max)


def render_count(count: int) -> Mapping[str, int]:
    """The answer of /api/search/count."""
    return {"count": count}
