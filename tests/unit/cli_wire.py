"""A stand-in of the wire for the tests of the commands: it answers from a script and records what it was asked."""

import gzip
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

VALUE = "0123456789abcdef0123456789abcdef"
OURS = "c0ffee00c0ffee00c0ffee00c0ffee00"


class Wire(ThreadingHTTPServer):
    """Answers the next scripted (status, body[, headers]) to each request, and remembers the requests."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = []
        self.requests = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        asked = urlsplit(self.path)
        self.server.requests.append((self.command, asked.path, parse_qs(asked.query), dict(self.headers), body))
        status, answer, *headers = self.server.answers.pop(0)
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in dict(*headers).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 the names that http.server looks for

    def log_message(self, *_):
        """Silent: the tests read stderr."""
