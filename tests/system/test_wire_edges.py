"""The edges of HTTP itself against a live server: what is no request, what never ends, and readers that leave."""

import json
import socket
import time

import pytest


def exchange(server, data: bytes) -> tuple[int, dict]:
    """Send raw bytes; the status and JSON body of the answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(data)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body)


RAW = {
    "no HTTP": (b"hello\r\n\r\n", 400),
    "a header without end": (b"GET / HTTP/1.1\r\nA: " + b"x" * 100_000, 431),
    "an address without end": (b"GET /" + b"x" * 100_000, 431),
    "a length that is no number": (b"POST /logs/ingest HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", 400),
}


@pytest.mark.parametrize(("data", "status"), RAW.values(), ids=RAW)
def test_what_is_no_request_is_refused_in_the_wires_shape(module_server, data, status):
    answer = exchange(module_server, data)
    assert (answer[0], answer[1]["status"]) == (status, "error")


def test_a_blank_in_the_address_is_taken_byte_by_byte(module_server):
    server = module_server
    body = b'{"lines":[{"line":"bytewise"}]}'
    head = f"POST /logs/ingest?hostname=my host HTTP/1.1\r\nHost: h\r\napikey: {server.ingestion_key}\r\n"
    request = head.encode() + b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place in range(len(request)):
            connection.sendall(request[place : place + 1])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert server.export_when(1, "bytewise")[0]["_host"] == "my host"


@pytest.mark.parametrize("size", [15_000, 30_000, 60_000])
def test_an_address_of_blanks_does_not_hold_others_up(module_server, size):
    started = time.monotonic()
    assert exchange(module_server, b"GET /" + b" " * size + b" HTTP/1.1 \r\nConnection: close\r\n\r\n")[0] == 400
    assert module_server.request("GET", "/healthz").status_code == 200
    assert time.monotonic() - started < 1


def test_readers_that_leave_in_the_middle_hold_nothing_up(module_server):
    server = module_server
    server.send([{"line": "x" * 1000, "app": "leave"} for _ in range(5000)])
    server.wait_for_count(5000, "app:leave")
    request = f"GET /v1/export HTTP/1.1\r\nHost: h\r\nservicekey: {server.service_key}\r\n\r\n".encode()
    for _ in range(40):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(request)
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
    assert len(server.export("app:leave")) == 5000
