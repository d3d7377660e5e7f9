"""A batch beside its lines: tags, addresses, clocks, and what is looked for where."""

import pytest
from starlette.datastructures import QueryParams

from logboom.errors import MissingHostname
from logboom.ingest.wire import find_batch, mend, parse_envelope, split_tags

BODY = b'{"lines":[{"line":"x"}]}'
FACTS = {"account_id": "a", "key_id": "k", "received_ms": 1, "ip_remote": "127.0.0.1", "user_agent": "test"}


def envelope(query="hostname=h", body=BODY):
    return parse_envelope(find_batch(body) or mend(body, is_text=False), QueryParams(query), **FACTS)


TAGS = {
    "comma list": (["a,b"], ("a", "b")),
    "repeated (PY)": (["a", "b"], ("a", "b")),
    "blanks and doubles": ([" a , a ,,b "], ("a", "b")),
    "text of nothing (BROWSER)": (["undefined"], ()),
}


@pytest.mark.parametrize(("values", "tags"), TAGS.values(), ids=TAGS)
def test_tags(values, tags):
    assert split_tags(values) == tags


HOSTS = {
    "query": ("hostname=q", b'{"lines":[{"line":"x"}],"hostname":"b"}', "q"),
    "body (GO)": ("", b'{"lines":[{"line":"x"}],"hostname":"b"}', "b"),
    "body to be mended": ("", b'{"lines":[{"line":"caf\xe9"}],"hostname":"b"}', "b"),
    "blank in the query": ("hostname=%20", b'{"lines":[{"line":"x"}],"hostname":"b"}', "b"),
    "in the lines": ("", b'{"lines":[{"line":"x","host":"l"}]}', ""),
    "long": ("hostname=" + "h" * 300, BODY, "h" * 256),
}


@pytest.mark.parametrize(("query", "body", "hostname"), HOSTS.values(), ids=HOSTS)
def test_the_host_of_a_request(query, body, hostname):
    assert envelope(query, body).hostname == hostname


@pytest.mark.parametrize("body", [BODY, b'{"lines":[]}', b'{"lines":[{"line":"x","host":5}]}'])
def test_a_missing_host_is_told(body):
    with pytest.raises(MissingHostname):
        envelope("", body)


@pytest.mark.parametrize(
    ("query", "ip", "mac"),
    [
        ("ip=10.0.0.1&mac=02:00:00:00:00:01", "10.0.0.1", "02:00:00:00:00:01"),
        ("ip=&mac=", "", ""),
        ("ip=<x>&mac=mac", "", "mac"),
    ],
)
def test_strange_addresses_are_left_out(query, ip, mac):
    found = envelope("hostname=h&" + query)
    assert (found.ip, found.mac) == (ip, mac)


FORMS = {
    "documented": (BODY, b'[{"line":"x"}]', 1),
    "NODE and PY": (b'{"e":"ls","ls":[{"line":"a"} , {"line":"b"}]}', b'[{"line":"a"},{"line":"b"}]', 2),
    "both": (b'{"lines":[{"line":"a"}],"ls":[{"line":"b"}]}', b'[{"line":"a"},{"line":"b"}]', 2),
    "as it was sent": (b'{"lines":[{ "line" : "a\\u00e9" , "n":1.50 }]}', b'[{ "line" : "a\\u00e9" , "n":1.50 }]', 1),
    "empty": (b'{"lines":[]}', b"[]", 0),
}


@pytest.mark.parametrize(("body", "lines", "count"), FORMS.values(), ids=FORMS)
def test_the_lines_alone_go_on_as_they_were_sent(body, lines, count):
    batch = find_batch(body)
    assert (batch.lines, batch.lines_count) == (lines, count)


def test_a_key_in_the_body_does_not_go_on():
    canary = "0123456789abcdef0123456789abcdef"
    body = b'{"apikey":"%s","lines":[{"line":"x"}]}' % canary.encode()
    batch = find_batch(body)
    assert batch.sender.apikey == canary
    assert canary.encode() not in batch.lines


LONG = {
    "tag": ("tags=" + "x" * 81, ("tags",)),
    "tags": ("tags=" + ",".join(map(str, range(51))), ("tags",)),
    "app": ("app=" + "a" * 513, ("app",)),
    "host": ("hostname=" + "h" * 257, ("host",)),
    "nothing": ("tags=a&app=b", ()),
}


@pytest.mark.parametrize(("query", "cut"), LONG.values(), ids=LONG)
def test_what_is_cut_is_named(query, cut):
    found = envelope(query if query.startswith("hostname") else "hostname=h&" + query)
    assert found.cut == cut
    assert max(map(len, [found.hostname, found.app, *found.tags])) <= 512
    assert len(found.tags) <= 50
