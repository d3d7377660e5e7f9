"""Any bad input: never a 5xx, never a lost good line, always the wire's error shape.

Tables of what is known to break servers, then what hypothesis finds on its own; all against one live server.
"""

import json
import secrets
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from hostile_input import (
    BAD_NEIGHBOURS,
    EXPORT_PARAMETERS,
    KEY_BODIES,
    QUERIES,
    ROUTES,
    WHOLE_BODIES,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recording import send_raw
from running_server import RunningServer

SEARCHES = ("/v1/export", "/v2/export", "/api/search/count")
ONE_KEY = "/v1/config/keys/0123456789abcdef01234567"
hostile = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)


def table(cases: dict[str, Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", list(cases.values()), ids=list(cases))


def assert_in_shape(answer: httpx2.Response) -> None:
    """No answer above 499, and every refusal as a JSON object with a text under `error`."""
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert isinstance(answer.json(), dict), answer.text
        assert isinstance(answer.json()["error"], str)


def post_lines(server: RunningServer, body: bytes, path: str = "/logs/ingest", **headers: str) -> httpx2.Response:
    return server.request("POST", f"{path}?hostname=hostile", key=server.ingestion_key, content=body, headers=headers)


def search(server: RunningServer, path: str, parameters: dict[str, Any]) -> httpx2.Response:
    known = {"from": "1000000000000", "to": "9000000000000"}
    return server.request("GET", path, key=server.service_key, params=known | parameters)


@pytest.mark.parametrize("path", ["/logs/ingest", "/logs/agent"])
@table(WHOLE_BODIES)
def test_bodies(module_server: RunningServer, path: str, case: tuple[bytes, dict[str, str]]) -> None:
    body, headers = case
    assert_in_shape(post_lines(module_server, body, path, **headers))


@pytest.mark.parametrize("name", ["too large", "too large, of blanks", "gzip: a bomb"])
def test_too_large_a_body_is_said_to_be(module_server: RunningServer, name: str) -> None:
    body, headers = WHOLE_BODIES[name]
    assert post_lines(module_server, body, **headers).status_code == 413


@table(BAD_NEIGHBOURS)
def test_good_lines_survive_bad_neighbours(module_server: RunningServer, case: bytes) -> None:
    mark = "good" + secrets.token_hex(6)
    good = b'{"line":"%s"}' % mark.encode()
    answer = post_lines(module_server, b'{"lines":[' + b",".join([good, case, good]) + b"]}")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    module_server.wait_for_count(2, mark)
    assert [line["_line"] for line in module_server.export(mark)] == [mark, mark]


@pytest.mark.parametrize("path", SEARCHES)
@table(QUERIES)
def test_queries(module_server: RunningServer, path: str, case: str) -> None:
    assert_in_shape(search(module_server, path, {"query": case}))


@pytest.mark.parametrize("path", SEARCHES)
@table(EXPORT_PARAMETERS)
def test_export_parameters(module_server: RunningServer, path: str, case: dict[str, Any]) -> None:
    assert_in_shape(search(module_server, path, case))


@table(KEY_BODIES)
def test_key_bodies(module_server: RunningServer, case: bytes) -> None:
    for method, path in (("POST", "/v1/config/keys?type=ingestion"), ("PUT", ONE_KEY)):
        assert_in_shape(module_server.request(method, path, key=module_server.service_key, content=case))


@pytest.mark.parametrize(
    "identifier", ["0", "z" * 24, "%00", "..%2f..", "%ff", "a" * 5_000, "%F0%9F%98%80", "'", "null"]
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_key_identifiers(module_server: RunningServer, method: str, identifier: str) -> None:
    answer = module_server.request(method, f"/v1/config/keys/{identifier}", key=module_server.service_key)
    assert_in_shape(answer)
    assert answer.status_code in {400, 404}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", sorted({path for _, path in ROUTES} | {"/", "/no/such/path", "/v1", "/%00", "/%ff"}))
def test_methods(module_server: RunningServer, method: str, path: str) -> None:
    answer = module_server.request(method, path, key=module_server.service_key)
    assert_in_shape(answer)
    if (method, path) not in ROUTES:
        assert answer.status_code in {403, 404, 405}, answer.text


CREDENTIALS: dict[str, dict[str, Any]] = {
    "none": {},
    "empty headers": {"headers": {"apikey": "", "servicekey": "", "Authorization": ""}},
    "basic without base64": {"headers": {"Authorization": "Basic !!!"}},
    "basic, no UTF-8": {"headers": {"Authorization": "Basic //8="}},
    "basic without a colon": {"headers": {"Authorization": "Basic YWJj"}},
    "an unknown scheme": {"headers": {"Authorization": "Negotiate abc"}},
    "no ASCII": {"headers": {"apikey": b"\xff\xfe", "servicekey": b"\xff\xfe"}},
    "long": {"headers": {"apikey": "a" * 5_000, "servicekey": "a" * 5_000}},
    "several that differ": {
        "headers": {"apikey": "a" * 32, "Authorization": "Basic YWJjOg=="},
        "params": {"apikey": "b" * 32},
    },
    "NUL in the query": {"params": {"apikey": "\0", "servicekey": "\0"}},
}


@table(CREDENTIALS)
def test_credentials(module_server: RunningServer, case: dict[str, Any]) -> None:
    for method, path in ROUTES:
        answer = module_server.request(method, path, **case)
        assert_in_shape(answer)
        is_public = path in {"/healthz", "/readyz", "/metrics"}
        assert answer.status_code in ({200} if is_public else {400, 401, 403}), (path, answer.text)


RAW_REQUESTS: dict[str, bytes] = {
    "a huge header": b"POST /logs/ingest HTTP/1.1\r\nHost: x\r\nX: "
    + b"a" * 200_000
    + b"\r\nContent-Length: 0\r\n\r\n",
    "a thousand headers": b"POST /logs/ingest HTTP/1.1\r\nHost: x\r\n"
    + b"X: a\r\n" * 1_000
    + b"Content-Length: 0\r\n\r\n",
    "a huge query": b"GET /v2/export?query=" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n",
    "a negative length": b"POST /logs/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    "two lengths": b"POST /logs/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "a broken chunk": b"POST /logs/ingest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
    "an unknown method": b"BREW /logs/ingest HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "an old version": b"GET /healthz HTTP/0.9\r\n\r\n",
    "bare line feeds": b"GET /healthz HTTP/1.1\nHost: x\nConnection: close\n\n",
    "a path of raw bytes": b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
}


@table(RAW_REQUESTS)
def test_broken_http(module_server: RunningServer, case: bytes) -> None:
    closing = (
        case.replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n", 1) if b"Connection:" not in case else case
    )
    status, body = send_raw(module_server.url, closing)
    assert status < 500
    if status >= 400:
        assert isinstance(json.loads(body)["error"], str)
    assert module_server.request("GET", "/readyz").status_code == 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
members = st.sampled_from(
    [
        "line",
        "timestamp",
        "level",
        "app",
        "env",
        "file",
        "host",
        "hostname",
        "meta",
        "tags",
        "label",
        "annotation",
        "t",
        "f",
    ]
)
any_text = st.text(st.characters(exclude_categories=()), max_size=60)


def test_lines_that_hypothesis_makes(module_server: RunningServer) -> None:
    mark = "good" + secrets.token_hex(6)
    sent = 0

    @hostile
    @given(st.lists(st.dictionaries(members, json_values, max_size=6) | json_values, max_size=5))
    def post(bad: list[Any]) -> None:
        nonlocal sent
        answer = post_lines(module_server, json.dumps({"lines": [*bad, {"line": mark}]}).encode())
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")
        sent += 1

    post()
    module_server.wait_for_count(sent, mark)
    assert module_server.count(mark) == sent


def test_bodies_that_hypothesis_makes(module_server: RunningServer) -> None:
    @hostile
    @given(st.binary(max_size=300) | json_values.map(lambda value: json.dumps(value).encode()), st.booleans())
    def post(body: bytes, is_gzip: bool) -> None:  # noqa: FBT001
        headers = {"Content-Encoding": "gzip"} if is_gzip else {}
        for path in ("/logs/ingest", "/logs/agent"):
            assert_in_shape(post_lines(module_server, body, path, **headers))

    post()


def test_searches_that_hypothesis_makes(module_server: RunningServer) -> None:
    names = ("query", "from", "to", "size", "prefer", "pagination_id", "hosts", "apps", "levels", "tags")
    parts = [
        "(",
        ")",
        '"',
        "AND",
        "OR",
        "-",
        "app",
        ":",
        "*",
        ">=",
        "5",
        "[",
        "]",
        ",",
        " ",
        "=",
        "meta.a",
        "\\",
        "'",
        "%",
    ]
    queries = st.lists(st.sampled_from(parts) | any_text, max_size=12).map("".join)

    @hostile
    @given(queries, st.dictionaries(st.sampled_from(names), any_text, max_size=3))
    def ask(query: str, others: dict[str, str]) -> None:
        # Lone surrogates cannot be percent-encoded as UTF-8; they go out as bytes, as from a careless client.
        parts = [f"{name}={quote(value, errors='surrogatepass')}" for name, value in {"query": query, **others}.items()]
        for path in SEARCHES:
            answer = module_server.request("GET", f"{path}?{'&'.join(parts)}", key=module_server.service_key)
            assert_in_shape(answer)

    ask()


def test_key_requests_that_hypothesis_makes(module_server: RunningServer) -> None:
    @hostile
    @given(st.sampled_from(["POST", "PUT", "DELETE", "GET"]), any_text, json_values)
    def ask(method: str, text: str, body: object) -> None:
        escaped = quote(text, safe="", errors="surrogatepass")
        # Nothing is created: a type made of any text is none of the two, and an identifier of any text names no key.
        path = f"/v1/config/keys?type={escaped}x" if method == "POST" else f"/v1/config/keys/{escaped}x"
        content = json.dumps(body).encode() if method in {"POST", "PUT"} else None
        assert_in_shape(module_server.request(method, path, key=module_server.service_key, content=content))

    ask()
