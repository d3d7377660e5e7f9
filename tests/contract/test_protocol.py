"""One connection at a time: what is mended, bounded, timed out and answered in order, by the protocol itself.

A real server on a loopback socket with a small application behind it, so that times and bounds can be short.
"""

import asyncio
import gc
import json
import re
import socket
import threading
import time

import pytest
import uvicorn
from anyio import sleep_forever
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import Response

from logboom.asgi.body import read_body
from logboom.asgi.edge import Edge
from logboom.asgi.network import Networks, TrustedProxies
from logboom.asgi.protocol import LenientProtocol
from logboom.asgi.respond import json_response
from logboom.errors import MissingCredentials
from logboom.metrics import Metrics

WITHIN_S = 20
STALL_S = 0.4
BIG = b"x" * 40_000_000


class QuickProtocol(LenientProtocol):
    """Patience and bounds that a test can wait for."""

    stall_s = STALL_S
    connections_max = 8
    connections_refused_max = 2


class Application:
    """Echoes the address and the body; `/refused` refuses, `/slow` waits for `/go`, `/big` answers at length."""

    def __init__(self):
        self.go = asyncio.Event()
        self.is_waiting = threading.Event()
        self.is_cut_off = threading.Event()

    async def __call__(self, scope, receive, send):
        await (await self.answer(Request(scope, receive)))(scope, receive, send)

    async def answer(self, request):
        match request.url.path:
            case "/refused":
                raise MissingCredentials
            case "/slow":
                self.is_waiting.set()
                await self.go.wait()
            case "/go":
                self.go.set()
            case "/big":
                return Response(BIG)
            case "/hung":
                self.is_waiting.set()
                await sleep_forever()
        body = await read_body(request, 1_000_000)
        headers = {name: value for name, value in request.headers.items() if name.startswith("x-")}
        query = request.url.query
        return json_response({"path": request.url.path, "query": query, "body": body.decode(), "headers": headers})


class Server:
    """Uvicorn on a free port in a thread."""

    def __init__(self):
        self.application = Application()
        app = Edge(self.application, Metrics(CollectorRegistry()).edge, TrustedProxies(Networks([])))
        config = uvicorn.Config(app, http=QuickProtocol, ws="none", loop="uvloop", lifespan="off", log_config=None)
        self.uvicorn = uvicorn.Server(config)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.uvicorn.run, kwargs={"sockets": [self.listener]})

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=WITHIN_S)


@pytest.fixture
def server():
    running = Server()
    running.thread.start()
    yield running
    running.uvicorn.should_exit = True
    running.uvicorn.force_exit = True
    running.thread.join(WITHIN_S)
    running.listener.close()
    gc.collect()
    assert not running.thread.is_alive()


def request(path, body=b"", *, method=b"POST", last=False):
    closing = b"Connection: close\r\n" if last else b""
    return b"%s %s HTTP/1.1\r\nHost: h\r\n%sContent-Length: %d\r\n\r\n%s" % (method, path, closing, len(body), body)


def read_all(connection):
    received = b""
    try:
        while chunk := connection.recv(1 << 20):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def answers(received):
    """Status and body of each answer that stands in *received*."""
    found = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head)[1])
        found.append((int(head.split(b" ")[1]), json.loads(rest[:length])))
        received = rest[length:]
    return found


def exchange(server, *pieces):
    with server.connect() as connection:
        for piece in pieces:
            connection.sendall(piece)
        return answers(read_all(connection))


def in_bytes(text):
    return [text[place : place + 1] for place in range(len(text))]


BLANKS = request(b"/a?hostname=my host name&x=1", b"body", last=True)
DELIVERIES = {
    "at once": [BLANKS],
    "within the address": [BLANKS[:20], BLANKS[20:]],
    "between CR and LF": [BLANKS[: BLANKS.index(b"\n")], BLANKS[BLANKS.index(b"\n") :]],
    "byte by byte": in_bytes(BLANKS),
}


@pytest.mark.parametrize("pieces", DELIVERIES.values(), ids=DELIVERIES)
def test_blanks_are_mended_however_the_request_comes(server, pieces):
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0)
        [(status, answer)] = answers(read_all(connection))
    assert (status, answer["query"], answer["body"]) == (200, "hostname=my%20host%20name&x=1", "body")


def test_blanks_are_mended_in_a_second_request(server):
    with server.connect() as connection:
        connection.sendall(request(b"/first"))
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        connection.sendall(BLANKS)
        assert answers(read_all(connection))[0][0] == 200


CHUNKED = b"POST /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
# A read takes up to 256 KB, and what follows a body within one read is not counted.
TOO_LONG = {
    "an address": b"GET /" + b"x" * 100_000,
    "an address of blanks": b"GET /" + b" " * 100_000,
    "a header": b"GET / HTTP/1.1\r\nA: " + b"x" * 100_000,
    "a trailer": CHUNKED + b"5\r\nhello\r\n0\r\nA: " + b"x" * 400_000,
    "many trailers": CHUNKED + b"5\r\nhello\r\n0\r\n" + b"A: b\r\n" * 70_000,
    "a chunk extension": CHUNKED + b"5;" + b"x" * 400_000,
}


@pytest.mark.parametrize("sent", TOO_LONG.values(), ids=TOO_LONG)
def test_what_surrounds_a_body_is_bounded(server, sent):
    with server.connect() as connection:
        for place in range(0, len(sent), 10_000):
            connection.sendall(sent[place : place + 10_000])
        [(status, answer)] = answers(read_all(connection))
    assert (status, answer["status"]) == (431, "error")


def test_trailers_do_not_become_headers(server):
    sent = CHUNKED.replace(b"Host", b"X-A: header\r\nHost") + b"5\r\nhello\r\n0\r\nX-B: trailer\r\n\r\n"
    [(status, answer)] = exchange(server, sent)
    assert (status, answer["body"], answer["headers"]) == (200, "hello", {"x-a": "header"})


STALLED = {
    "nothing": b"",
    "a method": b"PO",
    "an address": b"POST /a?hostname=my ho",
    "a head": b"POST /a HTTP/1.1\r\nHost:",
    "a body": b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhello",
    "a refused body": b"POST /refused HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhello",
    "empty lines": b"\r\n\r\n",
}


@pytest.mark.parametrize("sent", STALLED.values(), ids=STALLED)
def test_a_request_that_stalls_is_closed(server, sent):
    with server.connect() as connection:
        connection.sendall(sent)
        started = time.monotonic()
        assert read_all(connection) == b""
        assert STALL_S / 2 < time.monotonic() - started < WITHIN_S / 2


@pytest.mark.parametrize("start", ["", "GET /next HT"], ids=["alone", "with the next one begun"])
def test_an_answer_that_takes_its_time_is_waited_for(server, start):
    with server.connect() as connection:
        connection.sendall(request(b"/slow") + start.encode())
        assert server.application.is_waiting.wait(WITHIN_S)
        connection.settimeout(STALL_S * 4)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(WITHIN_S)
        assert exchange(server, request(b"/go", last=True))[0][0] == 200
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")


def test_an_idle_connection_is_kept(server):
    with server.connect() as connection:
        connection.sendall(request(b"/a"))
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        connection.settimeout(STALL_S * 4)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_a_reader_that_takes_nothing_is_cut_off(server):
    with server.connect() as connection:
        connection.sendall(request(b"/big"))
        assert connection.recv(1)
        deadline = time.monotonic() + WITHIN_S
        while server.uvicorn.server_state.connections:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert len(read_all(connection)) < len(BIG)


def test_a_slow_reader_is_not_cut_off(server):
    with server.connect() as connection:
        connection.sendall(request(b"/big", last=True))
        taken = 0
        while chunk := connection.recv(1 << 20):
            taken += len(chunk)
            time.sleep(STALL_S / 10)
    assert taken > len(BIG)


def test_connections_above_the_bound_are_told_to_come_back(server):
    held = [server.connect() for _ in range(QuickProtocol.connections_max)]
    for connection in held:
        connection.sendall(request(b"/slow"))
    assert server.application.is_waiting.wait(WITHIN_S)
    [(status, answer)] = exchange(server, request(b"/a", b"x" * 500_000))
    assert (status, answer["code"]) == (504, "Unavailable")
    refused = [server.connect() for _ in range(QuickProtocol.connections_refused_max)]
    assert exchange(server, request(b"/a")) == []
    for connection in held + refused:
        connection.close()


@pytest.mark.parametrize("first", [b"", b"x" * 100, b"x" * 300_000], ids=len)
def test_a_refused_request_does_not_spoil_the_next(server, first):
    sent = request(b"/refused", first) + request(b"/a", b"second") + request(b"/b?x=my host", b"third", last=True)
    refused, second = exchange(server, sent.replace(b"my host", b"my%20host"))[:2]
    assert (refused[0], second[0], second[1]["body"]) == (401, 200, "second")


def test_a_body_that_nobody_reads_does_not_spoil_the_next(server):
    sent = request(b"/go", b"GET /x HTTP/1.1\r\n\r\n" * 1000) + request(b"/a", b"second", last=True)
    assert [status for status, _ in exchange(server, sent)] == [200, 200]


BROKEN = {
    "no request": b"hello\r\n\r\n",
    "a broken body": b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a head without end": b"GET / HTTP/1.1\r\nA: " + b"x" * 200_000,
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_refusal_comes_after_the_answers_before_it(server, broken):
    with server.connect() as connection:
        connection.sendall(request(b"/slow", b"first") + request(b"/a", b"second"))
        assert server.application.is_waiting.wait(WITHIN_S)
        connection.sendall(broken)
        server.application.is_waiting.clear()
        assert exchange(server, request(b"/go", last=True))[0][0] == 200
        found = answers(read_all(connection))
    assert [status for status, _ in found] == [200, 200, 431 if len(broken) > 1000 else 400]


def test_what_is_left_of_too_long_a_refused_body_closes_the_connection(server, monkeypatch):
    monkeypatch.setattr("logboom.asgi.edge.REFUSED_BODY_DRAIN_BYTES_MAX", 100_000)
    with server.connect() as connection:
        connection.sendall(b"POST /refused HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 100_000)
        [(status, _)] = answers(read_all(connection))
    assert status == 401
