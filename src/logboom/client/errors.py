"""What can go wrong when a client talks to a server, each with the exit code that a command ends with.

    ClientError
    +-- ServerRefused        1, the answer is 4xx: what was asked is at fault, or the key
    |   +-- NothingThere     1, the answer is 404: no such id
    +-- ServerFailed         1, the answer is 429 or 5xx: the server's trouble, worth a retry
    +-- AnswerMalformed      1, the answer is not what the wire promises: another program listens there
    +-- ServerUnreachable    3, no answer at all
    +-- KeyMissing           2, the call needs a key that was not given, or is no key
    +-- UrlInvalid           2, the server's address cannot be one

Messages are one line, say what to do next, and never hold a key value.
"""

from typing import ClassVar


class ClientError(Exception):
    """The server could not be asked, or did not do what it was asked."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class ServerRefused(ClientError):
    """The server says that the request or its key is at fault."""


class NothingThere(ServerRefused):
    """The server knows nothing under this id."""


class ServerFailed(ClientError):
    """The server could not do it now; `retry_after_s` is how long it asked to wait, 0 when it did not say."""

    def __init__(self, message: str, status: int, retry_after_s: float = 0.0) -> None:
        super().__init__(message, status)
        self.retry_after_s = retry_after_s


class AnswerMalformed(ClientError):
    """What answered does not speak this protocol."""


class ServerUnreachable(ClientError):
    """Nothing answered."""

    exit_code = 3


class KeyMissing(ClientError):
    """A key is needed that was not given, or is none."""

    exit_code = 2


class UrlInvalid(ClientError):
    """The address of the server is no http(s) address."""

    exit_code = 2
