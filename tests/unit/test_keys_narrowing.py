"""What an ingestion key may send for. Whether the mill reads lines alike: tests/contract. Evidence: keys.md 5.11."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logboom.keys.narrowing import Allowed, Ambiguous, Narrowing, places_of

PATTERNS = st.lists(st.text("ab*", max_size=3).map(lambda text: text.replace("*", "") + "*" * text.endswith("*")))


@given(PATTERNS, st.text("ab*", max_size=5))
def test_a_text_is_allowed_by_an_equal_one_or_by_its_beginning(patterns, text):
    def fits(pattern):
        return text[: len(pattern) - 1] == pattern[:-1] if pattern.endswith("*") else text == pattern

    assert (text in Allowed(patterns)) is any(map(fits, patterns))


def misfit(narrowing, *lines, app="", host="web-1", tags=()):
    return narrowing.find_misfit(json.dumps(lines).encode(), app=app, host=host, tags=tags)


WEB = Narrowing(apps=("web", "edge-*"))


@pytest.mark.parametrize(
    ("line", "app"),
    [
        pytest.param({"line": "x", "app": "web"}, "", id="exact"),
        pytest.param({"line": "x", "app": "edge-7"}, "", id="beginning"),
        pytest.param({"line": "x", "app": "edge-"}, "", id="the beginning alone"),
        pytest.param({"line": "x"}, "web", id="of the request"),
        pytest.param("a bare line", "web", id="no object"),
        pytest.param({"line": "x", "app": None, "file": "/var/log/web"}, "", id="of the file"),
        pytest.param({"l": "x", "f": "C:\\logs\\web"}, "", id="of the agent's file"),
        pytest.param({"line": "x", "app": "web", "file": "/var/log/other.log"}, "", id="the file has no say"),
        pytest.param({"line": "x", "app": "web", "meta": {"note": "app"}}, "", id="the word elsewhere"),
        pytest.param({"line": "caf\u00e9", "app": "web"}, "", id="with an escape"),
    ],
)
def test_what_fits_is_sent(line, app):
    assert misfit(WEB, line, app=app) is None


@pytest.mark.parametrize(
    ("line", "app", "reason"),
    [
        pytest.param({"line": "x", "app": "db"}, "", 'The key may not send for the app "db".', id="another"),
        pytest.param({"line": "x", "app": "Web"}, "", 'The key may not send for the app "Web".', id="case"),
        pytest.param({"line": "x", "app": "edge"}, "", 'The key may not send for the app "edge".', id="too short"),
        pytest.param({"line": "x"}, "", 'The key may not send for the app "".', id="none"),
        pytest.param({"line": "x", "app": "web"}, "db", 'The key may not send for the app "db".', id="of the request"),
        pytest.param({"line": "x", "file": "/web/"}, "web", 'The key may not send for the app "".', id="of a folder"),
        pytest.param({"line": "x", "file": "/a/b.log"}, "web", 'The key may not send for the app "b.log".', id="file"),
        pytest.param({"line": "x", "app": 5}, "web", 'The "app" of a line is no text.', id="number"),
        pytest.param({"line": "x", "app": ["web"]}, "web", 'The "app" of a line is no text.', id="array"),
        pytest.param({"line": "x", "app": "n" * 99}, "", f'The key may not send for the app "{"n" * 80}".', id="long"),
    ],
)
def test_what_does_not_fit_is_named(line, app, reason):
    assert misfit(WEB, {"line": "first", "app": "web"}, line, app=app) == reason


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b'{"app":"web","app":"db"}', id="the second is other"),
        pytest.param(b'{"app":"db","app":"web"}', id="the first is other"),
        pytest.param(b'{"app":"web","\\u0061pp":"db"}', id="escaped"),
        pytest.param(b'{"\\u0061pp":"db","app":"web"}', id="escaped first"),
        pytest.param(b'{"file":"web","file":"db"}', id="file"),
    ],
)
def test_a_member_that_is_there_twice_fits_nothing(line):
    assert (
        WEB.find_misfit(b"[%s]" % line, app="", host="", tags=()) == "A line names its app, file, host or tags twice."
    )


def test_hosts_are_those_of_the_line_or_else_of_the_request():
    narrowing = Narrowing(hosts=("web-*",))
    assert misfit(narrowing, {"line": "x"}) is None
    assert misfit(narrowing, {"line": "x", "host": "web-2"}) is None
    assert misfit(narrowing, {"line": "x", "hostname": "web-2", "host": "db"}) is None
    assert misfit(narrowing, {"line": "x", "host": "db-1"}) == 'The key may not send for the host "db-1".'
    assert misfit(narrowing, {"line": "x", "host": "web-1"}, host="db") == 'The key may not send for the host "db".'


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        pytest.param(None, None, id="none"),
        pytest.param("", None, id="empty"),
        pytest.param("prod, eu", None, id="text"),
        pytest.param(["prod", " eu "], None, id="array"),
        pytest.param('["prod"]', None, id="array in a text"),
        pytest.param("prod,dev", 'The key may not send for the tag "dev".', id="one other"),
        pytest.param(["prod,eu"], 'The key may not send for the tag "prod,eu".', id="a comma in an array"),
        pytest.param('["dev"]', 'The key may not send for the tag "dev".', id="other array in a text"),
        pytest.param("[dev", 'The "tags" of a line cannot be read.', id="half an array"),
        pytest.param([["prod"]], 'The "tags" of a line are no texts.', id="nested"),
        pytest.param({"prod": 1}, 'The "tags" of a line are no texts.', id="object"),
        pytest.param("[" * 99_999, 'The "tags" of a line cannot be read.', id="deep"),
    ],
)
def test_every_tag_must_fit_and_none_is_needed(tags, reason):
    narrowing = Narrowing(tags=("prod", "eu*"))
    assert misfit(narrowing, {"line": "x", "tags": tags}) == reason


def test_tags_of_the_request_count_too():
    assert misfit(Narrowing(tags=("prod",)), {"line": "x"}, tags=("dev",)) == 'The key may not send for the tag "dev".'


def test_a_list_that_is_not_there_allows_all():
    line = {"line": "x", "app": "any", "host": "any", "tags": "any"}
    assert misfit(Narrowing(tags=("*",)), line, app="any", tags=("any",)) is None
    assert misfit(Narrowing(apps=("*",)), {"line": "x"}) is None


NAMES = st.sampled_from(["app", "file", "f", "host", "hostname"])


@given(st.lists(st.tuples(NAMES, st.sampled_from(["", "a", "b"])), max_size=6), st.booleans())
def test_a_name_that_is_there_twice_is_found_however_it_is_written(members, is_escaped):
    def spell(name):
        return f"\\u{ord(name[0]):04x}{name[1:]}" if is_escaped else name

    line = "{" + ",".join(f'"{spell(name)}":"{text}"' for name, text in members) + "}"
    known = dict(members)
    if len(known) < len(members):
        with pytest.raises(Ambiguous, match="twice"):
            places_of(line.encode(), app="", host="")
        return
    app = known.get("app") or known.get("file") or known.get("f") or "x"
    host = known.get("hostname") or known.get("host") or "y"
    assert places_of(line.encode(), app="x", host="y") == [("app", app), ("host", host)]


@pytest.mark.parametrize("member", ["app", "file", "f", "hostname", "host"])
def test_a_member_that_is_no_text_is_named(member):
    with pytest.raises(Ambiguous, match=f'The "{member}" of a line is no text.'):
        places_of(json.dumps({member: 1}).encode(), app="", host="")


def test_blanks_around_tags_are_left_out_and_nothing_else():
    line = json.dumps({"tags": [" a ", "\tb", "X c X", " ", ""]}).encode()
    assert [text for member, text in places_of(line, app="", host="") if member == "tag"] == ["a", "\tb", "X c X"]


def test_a_star_is_one_at_the_end_only():
    assert "aX" not in Allowed(["a*X"])
    assert "X*X" in Allowed(["X*X"])
    assert "web*XX*XX" in Allowed(["web*XX*XX"])
