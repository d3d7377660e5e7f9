"""Lines go out: both versions of the export, and the count (mezmo-api 6)."""

import json
import threading
from urllib.parse import urlencode

import anyio
import pytest
from anyio import CapacityLimiter
from starlette.datastructures import QueryParams
from starlette.requests import Request

from logboom.errors import Unavailable
from logboom.export.routes import ExportRoutes
from logboom.export.wire import cut_page
from logboom.keys.key import Caller, KeyKind
from logboom.search.search import render_cursor
from logboom.search.turns import turn
from logboom.search.wire import parse_search
from logboom.store import Cursor

BASE_MS = 1_795_400_000_000
LINES = [
    {"line": "GET /a 200", "app": "web", "level": "INFO", "hostname": "h1", "timestamp": BASE_MS},
    {"line": "GET /b 500", "app": "web", "level": "error", "hostname": "h2", "timestamp": BASE_MS + 1000},
    {"line": "job done", "app": "cron", "level": "info", "hostname": "h1", "timestamp": BASE_MS + 2000},
    {"line": '{"message":"pay","level":"warn","amount":12.5,"user":{"id":"u1"}}', "app": "pay", "hostname": "h3",
     "timestamp": BASE_MS + 2000},
    {"line": "job failed", "app": "cron", "level": "ERROR", "hostname": "h1", "timestamp": BASE_MS + 3000},
]  # fmt: skip


@pytest.fixture
def filled(tester):
    """An account with the five lines above, tagged."""
    assert tester.send({"lines": LINES}, query="hostname=x&tags=blue,web").status_code == 200
    tester.lines(len(LINES))
    return tester


def texts(answer):
    assert answer.status_code == 200
    return [json.loads(row)["_line"] for row in answer.text.splitlines()]


ALL = [line["line"] for line in LINES]
FILTERS = {
    "all, newest first": ({}, [4, 3, 2, 1, 0]),
    "head": ({"prefer": "head"}, [0, 1, 2, 3, 4]),
    "tail and size": ({"prefer": "tail", "size": 2}, [4, 3]),
    "hosts": ({"hosts": "h1,h2"}, [4, 2, 1, 0]),
    "apps and hosts": ({"apps": "web", "hosts": "h1"}, [0]),
    "levels without case": ({"levels": "error"}, [4, 1]),
    "tags": ({"tags": "blue"}, [4, 3, 2, 1, 0]),
    "another tag": ({"tags": "green"}, []),
    "from and to in ms, both included": ({"from": BASE_MS + 1000, "to": BASE_MS + 2000}, [3, 2, 1]),
    "from in seconds": ({"from": (BASE_MS + 2000) // 1000}, [4, 3, 2]),
    "to of zero is open": ({"from": 0, "to": 0, "size": 1}, [4]),
    "query": ({"query": "job"}, [4, 2]),
    "q of the old command line": ({"q": "job -failed"}, [2]),
    "numeric field": ({"query": "amount:>=12.5"}, [3]),
    "text field": ({"query": "user.id:u1"}, [3]),
    "match all of the new command line": ({"query": "_account:*", "size": 1}, [4]),
    "everything at once": ({"query": "job", "hosts": "h1", "apps": "cron", "levels": "error", "tags": "web"}, [4]),
}


@pytest.mark.parametrize(("params", "expected"), FILTERS.values(), ids=FILTERS)
def test_both_versions_and_the_count_agree(filled, params, expected):
    assert texts(filled.get("/v1/export", **params)) == [ALL[index] for index in expected]
    page = filled.get("/v2/export", **params).json()
    assert [line["_line"] for line in page["lines"]] == [ALL[index] for index in expected]
    if "size" not in params:
        assert filled.get("/api/search/count", **params).json() == {"count": len(expected)}


def test_an_exported_line_has_mezmos_members(filled):
    line = json.loads(filled.get("/v1/export", apps="pay").text)
    expected = {
        "_account": filled.account_id, "_app": "pay", "_host": "h3", "_ts": BASE_MS + 2000, "_tag": ["blue", "web"],
        "_logtype": "json", "level": "warn", "message": "pay", "amount": 12.5, "_user": {"id": "u1"},
        "_line": LINES[3]["line"], "_mezmo_line_size": len(LINES[3]["line"]), "_ingester": "testclient",
        "__key": f"logline:{filled.account_id}:pay:h3:logboom",
    }  # fmt: skip
    assert {name: line[name] for name in expected} == expected
    assert line["_id"].isdigit()
    assert not {"_env", "_file"} & set(line)


def test_reserved_names_of_a_json_line_get_an_underscore(tester):
    line = tester.send_line(line='{"status":404,"_account":"spoof","_id":"spoof","x":1}', app="a")
    assert (line["_status"], line["_account"], line["x"]) == (404, tester.account_id, 1)
    assert line["_id"] != "spoof"


META = {
    "object": ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 2]}}),
    "JSON text (NODE and PY default)": ('{"a":1}', {"a": 1}),
    "JSON text over lines": ('{\n "a": 1\n}', {"a": 1}),
    "other text": ("no json", "no json"),
}


@pytest.mark.parametrize(("sent", "exported"), META.values(), ids=META)
def test_meta_comes_back(tester, sent, exported):
    assert tester.send_line(line="x", meta=sent)["_meta"] == exported


@pytest.mark.parametrize("sent", ["", "{}", {}], ids=["blank", "empty object as text", "empty object"])
def test_empty_meta_is_absent(tester, sent):
    assert "_meta" not in tester.send_line(line="x", meta=sent)


STAMPS = {
    "milliseconds": (BASE_MS, BASE_MS),
    "seconds": (BASE_MS // 1000, BASE_MS),
    "float seconds": (BASE_MS / 1000 + 0.25, BASE_MS + 250),
    "microseconds": (BASE_MS * 1000, BASE_MS),
    "nanoseconds": (BASE_MS * 1_000_000, BASE_MS),
    "text of milliseconds (LaunchDarkly)": (str(BASE_MS), BASE_MS),
    "RFC 3339 (Vector)": ("2026-11-23T02:13:20.5Z", BASE_MS + 500),
    "RFC 3339 with offset": ("2026-11-23T04:13:20+02:00", BASE_MS),
}


@pytest.mark.parametrize(("sent", "expected"), STAMPS.values(), ids=STAMPS)
def test_every_unit_of_time_is_understood(tester, sent, expected):
    assert tester.send_line(line="x", timestamp=sent)["_ts"] == expected


@pytest.mark.parametrize("sent", [None, "", "soon", -5, 1e300, "2999-01-01T00:00:00Z", {}, True], ids=repr)
def test_a_time_that_makes_no_sense_is_the_arrival(tester, sent):
    line = tester.send_line(line="x", timestamp=sent)
    assert line["_bid"].split(":")[0] == str(int(line["_id"]) >> 21)
    assert tester.get("/api/search/count", **{"from": BASE_MS}).json()["count"] == 1
    assert line["_ts"] < BASE_MS + 10 * 365 * 86_400_000


LEVELS = {
    "as sent": ({"line": "x", "level": "Verbose"}, "Verbose"),
    "of the JSON": ({"line": '{"level":"warn"}', "level": "info"}, "warn"),
    "found in capitals": ({"line": "2026-11-23 10:00:00,000 ERROR [main] boom"}, "ERROR"),
    "found in brackets": ({"line": "[Sun Dec 04] [error] mod_jk"}, "error"),
    "found as level=": ({"line": "ts=1 level=warn msg=x"}, "warn"),
    "no word of it": ({"line": "an error in a sentence"}, None),
    "part of a word": ({"line": "TERRORS"}, None),
}


@pytest.mark.parametrize(("sent", "level"), LEVELS.values(), ids=LEVELS)
def test_the_level_is_found(tester, sent, level):
    assert tester.send_line(**sent).get("level") == level


def test_pages_cover_everything_once_in_order_even_within_one_millisecond(tester):
    lines = [{"line": f"{number}", "timestamp": BASE_MS + number // 40} for number in range(100)]
    assert tester.send({"lines": lines}).status_code == 200
    tester.lines(100)
    for prefer, expected in (("head", list(range(100))), ("tail", list(range(99, -1, -1)))):
        assert pages(tester, prefer=prefer, size=7) == expected


def pages(tester, **params):
    found, cursor = [], "None"
    while cursor:
        page = tester.get("/v2/export", pagination_id=cursor, **params).json()
        found += [int(line["_line"]) for line in page["lines"]]
        cursor = page["pagination_id"]
    return found


def test_the_last_page_says_so(filled):
    assert filled.get("/v2/export").json()["pagination_id"] is None
    assert filled.get("/v2/export", size=5).json()["pagination_id"]


def test_a_page_of_another_query_or_account_is_refused(filled, make_tester):
    cursor = filled.get("/v2/export", size=1).json()["pagination_id"]
    assert filled.get("/v2/export", size=3, pagination_id=cursor).status_code == 200
    for refused in (filled.get("/v2/export", query="job", pagination_id=cursor),
                    make_tester().get("/v2/export", pagination_id=cursor)):  # fmt: skip
        assert (refused.status_code, refused.json()["details"][0]["key"]) == (400, "pagination_id")


BAD = {
    "from": ({"from": "yesterday"}, "from"),
    "to": ({"to": "1e5"}, "to"),
    "size": ({"size": "many"}, "size"),
    "size of zero": ({"size": "0"}, "size"),
    "size of zeros": ({"size": "0" * 5_000}, "size"),
    "size of other digits": ({"size": "\u0665"}, "size"),
    "size with a blank inside": ({"size": "1 0"}, "size"),
    "negative size": ({"size": "-1"}, "size"),
    "fractional size": ({"size": "1.5"}, "size"),
    "from of other digits": ({"from": "\u0661\u0662"}, "from"),
    "to without end": ({"to": "9" * 5_000}, "to"),
    "page of other letters": ({"pagination_id": "\u00e9" * 32}, "pagination_id"),
    "page without end": ({"pagination_id": "A" * 30_000}, "pagination_id"),
    "prefer": ({"prefer": "middle"}, "prefer"),
    "query": ({"query": "(open"}, "query"),
    "one character": ({"query": "a"}, "query"),
    "long query": ({"query": "x" * 20_001}, "query"),
    "garbage page": ({"pagination_id": "%%%"}, "pagination_id"),
}


@pytest.mark.parametrize(("params", "key"), BAD.values(), ids=BAD)
def test_bad_parameters_are_named(tester, params, key):
    answer = tester.get("/v2/export", **params)
    assert answer.status_code == 400
    body = answer.json()
    assert (body["code"], body["status"], body["details"][0]["key"]) == ("BadRequest", "error", key)
    assert body["error"] == body["details"][0]["message"]


SIZES = {
    "blanks before": (" " * 18 + "2", 2),
    "zeros before": ("0" * 18 + "2", 2),
    "more zeros before": ("0" * 20 + "1", 1),
    "without end": ("9" * 5_000, 5),
    "beyond 64 bits": ("9" * 19, 5),
}


@pytest.mark.parametrize(("size", "count"), SIZES.values(), ids=SIZES)
def test_any_spelling_of_a_size_is_understood(filled, size, count):
    assert len(filled.get("/v2/export", size=size).json()["lines"]) == count
    assert len(texts(filled.get("/v1/export", size=size))) == count


TIMES = {
    "18 digits": ("9" * 18, 10_413_791_999_999),
    "before 1900": ("-" + "9" * 18, -2_208_988_800_000),
    "zeros before": ("000001795400000", 1_795_400_000_000),
    "to the millisecond": ("1795400000.123", 1_795_400_000_123),
    "milliseconds": ("1795400000123", 1_795_400_000_123),
}


@pytest.mark.parametrize(("text", "ms"), TIMES.values(), ids=TIMES)
def test_times_are_read_to_the_millisecond(text, ms):
    search = parse_search(QueryParams({"from": text, "to": text}), account_id="a", lines_max=1)
    assert (search.from_ms, search.to_ms) == (ms, ms)


@pytest.mark.parametrize("ts_ms", [-(2**63), 2**63 - 1, 10_413_792_000_000, -2_208_988_800_001])
def test_a_forged_page_of_another_age_is_refused(tester, ts_ms):
    search = parse_search(QueryParams({}), account_id=tester.account_id, lines_max=10)
    answer = tester.get("/v2/export", pagination_id=render_cursor(search, Cursor(ts_ms=ts_ms, line_id=2**64 - 1)))
    assert (answer.status_code, answer.json()["details"][0]["key"]) == (400, "pagination_id")


@pytest.mark.parametrize("ts_ms", [10_413_791_999_999, -2_208_988_800_000])
def test_a_page_of_any_age_that_a_line_can_have_is_read(tester, ts_ms):
    search = parse_search(QueryParams({}), account_id=tester.account_id, lines_max=10)
    cursor = render_cursor(search, Cursor(ts_ms=ts_ms, line_id=2**64 - 1))
    assert tester.get("/v2/export", pagination_id=cursor).json() == {"lines": [], "pagination_id": None}


CUTS = {
    "by lines": ({"lines_max": 2, "bytes_max": 100}, ["aaaa", "bbbb"], Cursor(2, 12)),
    "by bytes": ({"lines_max": 9, "bytes_max": 5}, ["aaaa", "bbbb"], Cursor(2, 12)),
    "one long line": ({"lines_max": 9, "bytes_max": 1}, ["aaaa"], Cursor(1, 11)),
    "not at all": ({"lines_max": 9, "bytes_max": 100}, ["aaaa", "bbbb", "cccc"], None),
}


@pytest.mark.parametrize(("bounds", "lines", "last"), CUTS.values(), ids=CUTS)
def test_a_page_is_cut(bounds, lines, last):
    page = cut_page([b"1\t11\taaaa\n2\t12\tbbbb\n", b"", b"3\t13\tcccc\n"], **bounds)
    assert ([line.decode() for line in page.lines], page.last) == (lines, last)


def test_a_page_of_long_lines_ends_early_and_says_where_to_go_on(filled):
    parts = filled.parts
    routes = ExportRoutes(store=parts.store, threads=CapacityLimiter(1), recheck=parts.gate.recheck, page_bytes_max=1)
    caller = Caller(account_id=filled.account_id, key_id="k", kind=KeyKind.SERVICE)
    found, cursor = [], ""
    while cursor is not None:
        query = urlencode({"prefer": "head", "pagination_id": cursor}).encode()
        request = Request({"type": "http", "query_string": query, "headers": []})
        page = json.loads(anyio.run(routes.export_page, request, caller).body)
        found += [line["_line"] for line in page["lines"]]
        cursor = page["pagination_id"]
    assert found == ALL


def test_searches_wait_their_turn_without_a_thread():
    order = []

    async def search(number, threads):
        try:
            async with turn(threads, wait_s=0.2 if number == 2 else 20) as thread:
                await anyio.to_thread.run_sync(order.append, number, limiter=thread)
                if number == 1:
                    await anyio.to_thread.run_sync(refused.wait, 10, limiter=thread)
        except Unavailable:
            order.append("refused")
            refused.set()

    async def all_of_them():
        threads = CapacityLimiter(1)
        async with anyio.create_task_group() as tasks:
            for number in (1, 2, 3):
                tasks.start_soon(search, number, threads)
        assert threads.borrowed_tokens == 0

    refused = threading.Event()
    anyio.run(all_of_them)
    assert order == [1, "refused", 3]


DOORS = ["/v1/export", "/v2/export", "/api/search/count", "/v1/config/keys"]


@pytest.mark.parametrize("path", DOORS)
def test_only_a_service_key_reads(tester, path):
    statuses = {
        "none": tester.client.get(path).status_code,
        "unknown": tester.client.get(path, headers={"servicekey": "0" * 32}).status_code,
        "ingestion": tester.client.get(path, headers={"servicekey": tester.ingestion_key}).status_code,
        "token": tester.client.get(path, headers={"Authorization": f"Token {tester.service_key}"}).status_code,
    }
    assert statuses == {"none": 401, "unknown": 401, "ingestion": 403, "token": 200}


def test_the_key_in_the_query_opens_version_1_only(tester):
    answers = [tester.client.get(path, params={"servicekey": tester.service_key}).status_code for path in DOORS]
    assert answers == [200, 401, 401, 401]


def test_nothing_found_is_an_empty_body(tester):
    assert tester.get("/v1/export").text == ""


def test_the_email_variant_says_what_to_do(tester):
    answer = tester.get("/v1/export", email="a@b.example")
    assert (answer.status_code, answer.json()["details"][0]["key"]) == (400, "email")
