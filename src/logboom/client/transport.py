"""One request to the server: the key in its header, retries where they are safe, failures as `ClientError`s."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import httpx2
import msgspec

from logboom import __version__
from logboom.client.errors import (
    AnswerMalformed,
    ClientError,
    KeyMissing,
    NothingThere,
    ServerFailed,
    ServerRefused,
    ServerUnreachable,
    UrlInvalid,
)
from logboom.client.wire import parse_error

RETRIED_STATUSES: Final = frozenset({None, 429, 500, 502, 503, 504})  # None: no answer at all
ATTEMPTS_MAX: Final = 6
BACKOFF_FIRST_S: Final = 0.5  # doubled each time: 15.5 s in all, longer than a restart of the server takes
RETRY_AFTER_S_MAX: Final = 30.0
# What a key can look like in a header; anything else would be refused by the header's own grammar.
KEY_PATTERN: Final = re.compile(r"[\x21-\x7e]+")

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Credential:
    """A key and the header that carries it; *variable* is where a person sets it. The value stays out of the repr."""

    header: str
    variable: str
    value: str | None = field(repr=False)

    def render(self) -> dict[str, str]:
        if not self.value:
            raise KeyMissing(f"This needs a key: set {self.variable}, or name a file with --key-file.")
        if not KEY_PATTERN.fullmatch(self.value):
            raise KeyMissing(f"The key in {self.variable} or --key-file holds characters that no key has.")
        return {self.header: self.value}


class Transport:
    """Sends requests to the server at *url*. *sleep* is told how many seconds to wait between attempts."""

    def __init__(self, url: str, *, timeout_s: float, sleep: Callable[[float], None] = time.sleep) -> None:
        self.url = check_url(url)
        self._sleep = sleep
        self._http = httpx2.Client(
            base_url=self.url,
            timeout=timeout_s,
            headers={"user-agent": f"logboom/{__version__}"},
            follow_redirects=False,
        )

    def close(self) -> None:
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        answer: type[Answer],
        *,
        credential: Credential,
        attempts: int = 1,
        **request: Any,
    ) -> Answer:
        """The body of a 200 as *answer*; *request* is httpx2's `params`, `content`, `json`, `headers`."""
        headers = {**request.pop("headers", {}), **credential.render()}
        for attempt in range(1, attempts + 1):
            try:
                response = self._send(method, path, headers=headers, **request)
                return self._read(response, answer, credential)
            except (ServerFailed, ServerUnreachable) as error:
                if attempt == attempts or error.status not in RETRIED_STATUSES:
                    raise
                self._sleep(_wait_s(attempt, error))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _send(self, method: str, path: str, **request: Any) -> httpx2.Response:
        try:
            return self._http.request(method, path, **request)
        except httpx2.TimeoutException:
            raise ServerUnreachable(f"The server at {self.url} took too long to answer. Try again later.") from None
        except httpx2.TransportError:
            raise ServerUnreachable(
                f"The server at {self.url} does not answer. Is it running? Start one with `logboom serve`, "
                "or set LOGBOOM_URL."
            ) from None
        except httpx2.DecodingError:
            raise self._malformed(None) from None

    def _read(self, response: httpx2.Response, answer: type[Answer], credential: Credential) -> Answer:
        if response.status_code != httpx2.codes.OK:
            raise self._failure(response, credential)
        try:
            return msgspec.json.decode(response.content, type=answer)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise self._malformed(response.status_code) from None

    def _failure(self, response: httpx2.Response, credential: Credential) -> ClientError:
        status = response.status_code
        # A server that echoes its request must not make us print the key.
        text = parse_error(response.content).replace(credential.value or "", "***")
        said = f"{status}: {text}" if text else f"{status}"
        if status in (httpx2.codes.UNAUTHORIZED, httpx2.codes.FORBIDDEN):
            return ServerRefused(f"The server refused the key ({said}). Check {credential.variable}.", status)
        if status == httpx2.codes.NOT_FOUND:
            return NothingThere(f"The server at {self.url} has nothing there ({said}).", status)
        if status == httpx2.codes.TOO_MANY_REQUESTS or response.is_server_error:
            return ServerFailed(f"The server could not do it ({said}). Try again later.", status, _asked_s(response))
        return ServerRefused(f"The server refused this ({said}).", status) if text else self._malformed(status)

    def _malformed(self, status: int | None) -> AnswerMalformed:
        said = "" if status is None else f" ({status})"
        return AnswerMalformed(f"What answers at {self.url} is no Logboom server{said}. Check LOGBOOM_URL.", status)


def _wait_s(attempt: int, error: ClientError) -> float:
    asked_s = error.retry_after_s if isinstance(error, ServerFailed) else 0.0
    return max(asked_s, BACKOFF_FIRST_S * 2.0 ** (attempt - 1))


def _asked_s(response: httpx2.Response) -> float:
    """The seconds of Retry-After; its other form, a date, counts as not said."""
    text: str = response.headers.get("retry-after", "")
    return min(float(text), RETRY_AFTER_S_MAX) if text.isascii() and text.isdigit() else 0.0


def check_url(url: str) -> str:
    """*url* without a trailing slash, when it is an http(s) address; it may have a path."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        parsed = httpx2.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise UrlInvalid("The server's address must look like http://127.0.0.1:8080. Check --url or LOGBOOM_URL.")
    if parsed.userinfo:
        raise UrlInvalid("The server's address must not hold a user name or password. Keys travel on their own.")
    return str(parsed.copy_with(query=None, fragment=None)).rstrip("/")
