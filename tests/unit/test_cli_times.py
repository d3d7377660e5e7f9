"""Moments in every form that `--from` and `--to` take, and how a moment is shown."""

import time

import pytest

from logboom.cli.output import UsageError
from logboom.cli.times import parse_moment, render_moment

NOW_MS = 1_700_000_000_000


@pytest.fixture(autouse=True)
def in_berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "moment_ms"),
    [
        pytest.param("now", NOW_MS, id="now"),
        pytest.param("30s", NOW_MS - 30_000, id="seconds ago"),
        pytest.param("15m", NOW_MS - 900_000, id="minutes ago"),
        pytest.param("2h", NOW_MS - 7_200_000, id="hours ago"),
        pytest.param("1d", NOW_MS - 86_400_000, id="a day ago"),
        pytest.param("2w", NOW_MS - 1_209_600_000, id="weeks ago"),
        pytest.param("0", 0, id="epoch zero"),
        pytest.param("1700000000", NOW_MS, id="epoch seconds"),
        pytest.param("1700000000123", NOW_MS + 123, id="epoch milliseconds"),
        pytest.param("2023-11-14T22:13:20Z", NOW_MS, id="utc"),
        pytest.param("2023-11-14T22:13:20.123456+00:00", NOW_MS + 123, id="below a millisecond is dropped"),
        pytest.param("2023-11-14T23:13:20", NOW_MS, id="winter in local time"),
        pytest.param("2023-07-01T12:00", 1_688_205_600_000, id="summer in local time"),
        pytest.param("2023-07-01", 1_688_162_400_000, id="a date is its local midnight"),
    ],
)
def test_a_moment_is_read(text, moment_ms):
    assert parse_moment(text, option="--from", now_ms=NOW_MS) == moment_ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "-5m",
        "5y",
        "999999999w",
        "1.5h",
        "2023-13-01",
        "1969-12-31T00:00Z",
        "999999999999999",
        "\u0661m h",
    ],
)
def test_what_is_no_moment_is_refused_with_the_option_named(text):
    with pytest.raises(UsageError, match=r"--to .*not a time"):
        parse_moment(text, option="--to", now_ms=NOW_MS)


@pytest.mark.parametrize(
    ("moment_ms", "text"),
    [
        pytest.param(NOW_MS + 7, "2023-11-14T23:13:20.007+01:00", id="winter"),
        pytest.param(1_688_205_600_999, "2023-07-01T12:00:00.999+02:00", id="summer"),
    ],
)
def test_a_moment_is_shown_in_local_time_with_its_offset(moment_ms, text):
    assert render_moment(moment_ms) == text
