"""The helpers around a request that know no word of the domain."""

import gzip
import time

import pytest

from logboom.asgi.body import gunzip
from logboom.asgi.protocol import encode_blanks
from logboom.errors import BodyTooLarge, MalformedBatch


def test_gzip_is_bounded_while_it_is_opened():
    bomb = gzip.compress(b"0" * 50_000_000)
    with pytest.raises(BodyTooLarge):
        gunzip(bomb, 1_000_000)


@pytest.mark.parametrize("size", [0, 1, 999_999, 1_000_000])
def test_gzip_up_to_the_bound_is_opened(size):
    assert gunzip(gzip.compress(b"0" * size), 1_000_000) == b"0" * size


@pytest.mark.parametrize("body", [b"x", gzip.compress(b"x")[:-1], gzip.compress(b"x") + b"trailing"])
def test_broken_gzip_is_malformed(body):
    with pytest.raises(MalformedBatch):
        gunzip(body, 100)


LINES = {
    "blank in the address (Fluent Bit)": (b"POST /logs/ingest?hostname=my host&x=1 HTTP/1.1\r\nA: b\r\n",
                                          b"POST /logs/ingest?hostname=my%20host&x=1 HTTP/1.1\r\nA: b\r\n"),
    "as it should be": (b"POST /logs/ingest HTTP/1.1\r\nA: b c\r\n", b"POST /logs/ingest HTTP/1.1\r\nA: b c\r\n"),
    "no request line": (b"hello there you\r\n", b"hello there you\r\n"),
    "many blanks": (b"GET /  a  b HTTP/1.0\r\n", b"GET /%20%20a%20%20b HTTP/1.0\r\n"),
    "a line feed within": (b"GET / HTTP/1.1\nA: b HTTP/1.1\r\n", b"GET / HTTP/1.1\nA: b HTTP/1.1\r\n"),
    "a carriage return within": (b"GET /a\rb c HTTP/1.1\r\n", b"GET /a\rb c HTTP/1.1\r\n"),
    "no version": (b"GET /a b\r\n", b"GET /a b\r\n"),
    "cut off": (b"POST /logs/ingest?hostname=my host", b"POST /logs/ingest?hostname=my host"),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "read"), LINES.values(), ids=LINES)
def test_blanks_in_a_request_line(sent, read):
    assert encode_blanks(sent) == read


@pytest.mark.parametrize("end", [b"", b" HTTP/1.1\r\n", b" HTTP/9\r\n"], ids=["cut off", "sound", "unsound"])
def test_blanks_are_mended_in_linear_time(end):
    seconds = {}
    for size in (8_000, 16_000, 32_000, 64_000):
        started = time.perf_counter()
        encode_blanks(b"GET /" + b" " * size + end)
        seconds[size] = time.perf_counter() - started
    assert max(seconds.values()) < 0.05, seconds
