"""The door: carriers of the key, forms of the body, limits and answers (mezmo-api 2.2 and 5, clients.md 1)."""

import base64
import gzip
import json

import pytest

ONE = {"lines": [{"line": "one line", "app": "a"}]}


def b64(text):
    return base64.b64encode(text.encode()).decode()


CARRIERS = {
    "header of NODE and PY": lambda k: ({"apikey": k}, ""),
    "header in capitals": lambda k: ({"ApiKey": k}, ""),
    "header of IBM": lambda k: ({"ingestionkey": k}, ""),
    "Basic, key as user": lambda k: ({"Authorization": "Basic " + b64(k + ":")}, ""),
    "Basic, key as password (RUBY)": lambda k: ({"Authorization": "Basic " + b64("username:" + k)}, ""),
    "Basic without colon": lambda k: ({"Authorization": "Basic " + b64(k)}, ""),
    "Token": lambda k: ({"Authorization": "Token " + k}, ""),
    "Bearer": lambda k: ({"Authorization": "Bearer " + k}, ""),
    "query (LOGSTASH)": lambda k: ({}, "&apikey=" + k),
    "header and the same in the query": lambda k: ({"apikey": k}, "&apikey=" + k),
}


@pytest.mark.parametrize("carrier", CARRIERS.values(), ids=CARRIERS)
def test_every_carrier_of_the_key_is_accepted(tester, carrier):
    headers, query = carrier(tester.ingestion_key)
    answer = tester.client.post("/logs/ingest?hostname=h" + query, json=ONE, headers=headers)
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert tester.lines(1)[0]["_line"] == "one line"


def test_key_and_sender_in_the_body_are_accepted_as_logdna_go_sends_them(tester):
    body = {**ONE, "apikey": tester.ingestion_key, "hostname": "go-host", "ip": "10.0.0.1", "mac": "", "tags": "x,y"}
    assert tester.client.post("/logs/ingest", json=body).status_code == 200
    line = tester.lines(1)[0]
    assert (line["_host"], line["_ip"], line["_tag"]) == ("go-host", "10.0.0.1", ["x", "y"])


REFUSED = {
    "no key (RDME)": (lambda _: {}, 401, "Missing Credentials"),
    "unknown key (RDME)": (lambda _: {"apikey": "0" * 32}, 403, "Account not found or inactive"),
    "service key (Q12)": (lambda t: {"apikey": t.service_key}, 403, "Account not found or inactive"),
    "two different keys": (
        lambda t: {"apikey": t.ingestion_key, "Authorization": "Token " + "0" * 32},
        403,
        "Account not found or inactive",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("path", ["/logs/ingest", "/logs/agent"])
def test_bad_keys_are_refused_and_store_nothing(tester, case, path):
    headers, status, error = case[0](tester), case[1], case[2]
    answer = tester.client.post(f"{path}?hostname=h", json=ONE, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert tester.send(ONE).status_code == 200
    assert len(tester.lines(1)) == 1


def test_a_bad_key_in_the_body_is_refused(tester):
    answer = tester.client.post("/logs/ingest?hostname=h", json={**ONE, "apikey": "f" * 32})
    assert answer.status_code == 403


def test_a_stranger_cannot_have_bodies_mended(tester):
    body = b'{"lines":[{"line":"caf\xe9"}],"apikey":"%s"}' % tester.ingestion_key.encode()
    assert tester.client.post("/logs/ingest?hostname=h", content=body).status_code == 401
    assert tester.send(body).status_code == 200


def test_vectors_health_check_without_key_and_body_is_told_401(tester):
    assert tester.client.post("http://testserver//logs/ingest?").status_code == 401


FORMS = {
    "documented": json.dumps({"lines": [{"line": "a"}, {"line": "b"}]}),
    "NODE and PY": json.dumps({"e": "ls", "ls": [{"line": "a"}, {"line": "b"}]}),
    "pretty": json.dumps({"lines": [{"line": "a"}, {"line": "b"}]}, indent=2),
    "array": json.dumps([{"line": "a"}, {"line": "b"}]),
    "agent v1 names": json.dumps(
        {"e": "ls", "ls": [{"l": "a", "t": 1795400000000, "f": "/var/log/x.log"}, {"l": "b"}]}
    ),
    "lines as text": json.dumps({"lines": ["a", "b"]}),
    "byte order mark": "\ufeff" + json.dumps({"lines": [{"line": "a"}, {"line": "b"}]}),
}


@pytest.mark.parametrize("body", FORMS.values(), ids=FORMS)
def test_every_form_of_body_gives_its_lines(tester, body):
    assert tester.send(body.encode()).status_code == 200
    assert sorted(line["_line"] for line in tester.lines(2)) == ["a", "b"]


def test_a_single_object_is_one_line(tester):
    assert tester.send({"line": "alone", "app": "x"}).status_code == 200
    assert tester.lines(1)[0]["_app"] == "x"


def test_plain_text_is_one_line(tester):
    assert tester.send(b"just text", **{"content-type": "text/plain"}).status_code == 200
    assert tester.lines(1)[0]["_line"] == "just text"


def test_gzip_in_several_members_is_accepted(tester):
    text = json.dumps({"lines": [{"line": "a"}, {"line": "b"}]}).encode()
    body = gzip.compress(text[:20]) + gzip.compress(text[20:])
    assert tester.send(body, **{"content-encoding": "gzip"}).status_code == 200
    assert len(tester.lines(2)) == 2


MALFORMED = {
    "empty": b"",
    "no JSON": b"hello",
    "JSON without lines": b'{"a":1}',
    "null": b"null",
    "lines of a wrong type": b'{"lines":5}',
    "cut off": b'{"lines":[{"line":"a"}',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_malformed_bodies_are_told_so(tester, body):
    answer = tester.send(body)
    assert answer.status_code == 400
    assert answer.json() == {"error": "Bad or missing parameters.", "code": "BadRequest", "status": "error"}


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(b"{}")[:-4]], ids=["no gzip", "cut off"])
def test_broken_gzip_is_told_so(tester, body):
    answer = tester.send(body, **{"content-encoding": "gzip"})
    assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest")


def test_an_unknown_encoding_is_told_so(tester):
    assert tester.send(b"x", **{"content-encoding": "zstd"}).status_code == 400


def test_a_missing_hostname_is_told_so(tester):
    answer = tester.send(ONE, query="")
    assert (answer.status_code, answer.json()["error"]) == (400, "Missing param hostname.")


def test_an_empty_batch_is_fine_as_the_opentelemetry_exporter_sends_it(tester):
    assert tester.send({"lines": []}).status_code == 200


def test_a_body_above_the_limit_is_refused_before_and_after_gzip(tester):
    body = json.dumps({"lines": [{"line": "x" * 1000}] * 11_600}).encode()
    assert tester.send(body).status_code == 413
    assert tester.send(gzip.compress(body), **{"content-encoding": "gzip"}).status_code == 413


def test_a_body_of_ten_million_bytes_is_accepted(tester):
    lines = [{"line": "x" * 970, "app": "a"}] * 10_000
    assert tester.send({"lines": lines}).status_code == 200
    assert len(tester.lines(10_000, size=5)) == 5


SURROUNDED = {
    "surrogate": b'{"lines":[{"line":"good 1"},{"line":"half \\ud800 pair"},{"line":"good 2"}]}',
    "invalid UTF-8": b'{"lines":[{"line":"good 1"},{"line":"caf\xe9"},{"line":"good 2"}]}',
    "NUL": b'{"lines":[{"line":"good 1"},{"line":"a\\u0000b"},{"line":"good 2"}]}',
    "raw control character": b'{"lines":[{"line":"good 1"},{"line":"a\tb"},{"line":"good 2"}]}',
    "NaN": b'{"lines":[{"line":"good 1"},{"line":"x","meta":{"n":NaN}},{"line":"good 2"}]}',
    "huge number": b'{"lines":[{"line":"good 1"},{"line":"x","meta":{"n":1e999}},{"line":"good 2"}]}',
    "deep meta": b'{"lines":[{"line":"good 1"},{"line":"x","meta":'
    + b'{"a":' * 5000
    + b"1"
    + b"}" * 5000
    + b'},{"line":"good 2"}]}',
    "deep, but for fewer levels": b'{"lines":[{"line":"good 1"},{"line":"x","meta":'
    + b"[" * 900
    + b"]" * 900
    + b'},{"line":"good 2"}]}',
    "wrong types": b'{"lines":[{"line":"good 1"},{"line":{"a":1},"app":7,"timestamp":[],"meta":5},{"line":"good 2"}]}',
    "no object": b'{"lines":[{"line":"good 1"},null,{"line":"good 2"}]}',
    "no line": b'{"lines":[{"line":"good 1"},{"app":"x"},{"line":"good 2"}]}',
    "lines named twice": b'{"lines":[],"lines":[{"line":"good 1"},{"line":"x"},{"line":"good 2"}]}',
    "an empty line": b'{"lines":[{"line":"good 1"},{"line":""},{"line":"good 2"}]}',
    "long paths": b'{"lines":[{"line":"good 1"},{"line":"x","meta":{"%s":{%s}}},{"line":"good 2"}]}'
    % (b"k" * 15_000, b",".join(b'"k%d":1' % number for number in range(1350))),
}


@pytest.mark.parametrize("body", SURROUNDED.values(), ids=SURROUNDED)
def test_a_strange_line_costs_no_good_line_beside_it(tester, body):
    assert tester.send(body).status_code == 200
    texts = [line["_line"] for line in tester.lines(3)]
    assert {"good 1", "good 2"} <= set(texts)
    assert len(texts) == 3


def test_what_a_line_says_wins_over_what_its_request_says(tester):
    batch = {"lines": [{"line": "x", "hostname": "inner", "timestamp": 1795400000}]}
    assert (
        tester.send(batch, query="hostname=outer&tags=a,b&tags=c&ip=10.1.2.3&mac=02:00:00:00:00:01").status_code == 200
    )
    line = tester.lines(1)[0]
    expected = {"_host": "inner", "_tag": ["a", "b", "c"], "_ip": "10.1.2.3", "_mac": "02:00:00:00:00:01"}
    assert {name: line[name] for name in expected} == expected
    assert line["_ts"] == 1795400000000


def test_long_values_are_cut_and_marked_never_refused(tester):
    sent = {
        "line": "é" * 20_000,
        "app": "a" * 600,
        "level": "l" * 90,
        "hostname": "h" * 300,
        "meta": {"m": "x" * 40_000},
    }
    line = tester.send_line(**sent)
    sizes = {name: len(line[name]) for name in ("_line", "_app", "level", "_host")}
    assert sizes == {"_line": 8192, "_app": 512, "level": 80, "_host": 256}
    assert sorted(line["_cut"]) == ["app", "host", "level", "line", "meta"]
    assert line["_mezmo_line_size"] == 40_000


def test_an_accepted_batch_names_itself(tester):
    answer = tester.send(ONE).json()
    assert tester.lines(1)[0]["_bid"] == answer["batchID"]


def test_another_accounts_lines_look_absent(make_tester):
    one, other = make_tester(), make_tester()
    assert one.send(ONE).status_code == 200
    assert one.lines(1)
    assert other.get("/api/search/count").json() == {"count": 0}
    assert other.get("/v1/export").text == ""


@pytest.mark.parametrize("end", ["F", "}", "ý", "€", "𝄞", "\ufffd"])
def test_a_cut_leaves_whole_characters_and_nothing_less(tester, end):
    for padding in range(4):
        text = "x" * (16_384 - len(end.encode()) + padding) + end + "y" * 10
        cut = make_cut(text)
        assert tester.send({"lines": [{"line": text}]}).status_code == 200
        assert tester.lines(padding + 1, prefer="tail", size=1)[0]["_line"] == cut


def make_cut(text):
    return text.encode()[:16_384].decode(errors="ignore")


def test_long_paths_do_not_multiply_in_memory(tester):
    """One line's meta of 32 KB would become 20 MB of paths if each inner name repeated the long outer one."""
    meta = {"k" * 15_000: {f"k{number}": 1 for number in range(1350)}}
    assert tester.send({"lines": [{"line": f"{number}", "meta": meta} for number in range(300)]}).status_code == 200
    assert len(tester.lines(300, size=1)) == 1


def test_everything_of_a_line_is_bounded(tester):
    sent = {"env": "e" * 90, "file": "f" * 5000, "label": {"l": "x" * 40_000}, "annotation": {"a": "x" * 40_000}}
    fields = json.dumps({f"k{number}": number for number in range(1200)})
    line = tester.send_line(line=fields, **sent)
    assert (len(line["_env"]), len(line["_file"])) == (80, 4096)
    assert sorted(line["_cut"]) == ["annotation", "app", "env", "fields", "file", "label"]
    assert tester.get("/api/search/count", query="k999:999").json() == {"count": 1}


JSON_LINES = {
    "tail": ('at 10:00 {"a":1}', {"a": 1}),
    "tail after braces": ('ctx {x} {"a":1}', {"a": 1}),
    "blanks after the brace": ('{ "a": {"b": 1} }', {"a": {"b": 1}}),
    "its own _id and _ts, as a database writes them": ('{"_id":{"$oid":"x"},"_ts":"y","a":1}', {"a": 1}),
    "a name twice": ('{"a":1,"a":2}', {"a": 1}),
    "numbered level": ('{"level":30,"a":1}', {"a": 1, "level": "30"}),
}


@pytest.mark.parametrize(("text", "members"), JSON_LINES.values(), ids=JSON_LINES)
def test_json_lines_are_parsed_and_paged(tester, text, members):
    line = tester.send_line(line=text)
    assert {name: line[name] for name in members} == members
    assert line["_id"].isdigit()
    assert tester.get("/v2/export", size=1).status_code == 200
    assert tester.get("/api/search/count", query="a:*").json() == {"count": 1}


def test_tags_of_a_line_in_any_form(tester):
    for tags in (["a", "b"], "a,b", "[a],b", '["a","b"]'):
        assert tester.send({"lines": [{"line": "x", "tags": tags}]}).status_code == 200
    assert [line["_tag"] for line in tester.lines(4)] == [["a", "b"], ["a", "b"], ["[a]", "b"], ["a", "b"]]
