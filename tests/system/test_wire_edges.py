"""The edges of HTTP itself against a live server: what is no request, what never ends, and readers that leave."""

import json
import socket

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


def test_readers_that_leave_in_the_middle_hold_nothing_up(module_server):
    server = module_server
    server.send([{"line": "x" * 1000, "app": "a"} for _ in range(5000)])
    server.wait_for_count(5000)
    request = f"GET /v1/export HTTP/1.1\r\nHost: h\r\nservicekey: {server.service_key}\r\n\r\n".encode()
    for _ in range(40):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(request)
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
    assert len(server.export()) == 5000
