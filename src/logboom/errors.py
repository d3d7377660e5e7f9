"""Every error that a person or a client can be told.

    LogboomError
    +-- RequestError              the request is at fault; the answer says what to change
    |   +-- ValidationFailed      400, with Joi-style details
    |   |   +-- KeyLimitReached   400
    |   |   +-- QuerySyntaxError  400
    |   |   +-- BadCursor         400
    |   +-- MalformedBatch        400
    |   +-- MissingHostname       400
    |   +-- MissingCredentials    401  (ingest)
    |   +-- NotAuthorized         401  (everything else)
    |   +-- KeyRefused            403  (ingest)
    |   +-- WrongKeyKind          403  (everything else)
    |   +-- AddressRefused        403  (everything but ingest)
    |   +-- ScopeMissing          403
    |   +-- ScopeExceeded         403
    |   +-- KeyNotRevealed        403
    |   +-- NotFound              404
    |   +-- MethodNotAllowed      405
    |   +-- KeyStateConflict      409
    |   +-- BodyTooLarge          413
    |   +-- TooManyRequests       429, never for senders: some throw their lines away on it
    |   +-- LimitRefused          429, for senders only where their key says so
    +-- Unavailable               504, our trouble: senders keep their lines
    |   +-- KeyHeld               504, on purpose: senders keep their lines
    |   +-- LimitHeld             504, likewise
    |   +-- SecretOutdated        504, while this server's master secret lacks a version
    +-- RotationRefused           a command about secrets cannot do that now; printed, exit code 1
    +-- StartError                the server cannot start; printed, exit code 1
        +-- SettingsInvalid
        +-- ListenAddressTaken
        +-- DataFolderInUse
        +-- FirstStartBroken
        +-- LineStoreBroken
        +-- MasterSecretMissing
        +-- MasterSecretWrong
        +-- MasterSecretOutdated
        +-- MasterSecretExposed

A class's docstring is its public message; `code` is stable. The public text never holds the text of another
exception, SQL, a path of the server (except to the operator who starts it), a key, or another account's id.
`reason` says more to whom it may be said: why a key is refused is told only to who holds its value.
"""

from dataclasses import dataclass
from typing import ClassVar


class LogboomError(Exception):
    """Something went wrong on our side."""

    code: ClassVar[str] = "ServerError"
    status: ClassVar[int] = 500
    retry_after_s: int | None = None

    def __init__(self, *texts: str, reason: str = "") -> None:
        super().__init__(*texts)
        self.reason = reason

    @property
    def message(self) -> str:
        """The public text: what was passed in, or the docstring's text."""
        return str(self.args[0]) if self.args else " ".join((type(self).__doc__ or "").split())


class RequestError(LogboomError):
    """The request is at fault."""

    code = "BadRequest"
    status = 400


@dataclass(frozen=True)
class Detail:
    """One failed rule: *message* in Joi's wording, *key* the path of the member (`name`, `channels[0].url`)."""

    message: str
    key: str


class ValidationFailed(RequestError):
    """The request has invalid parameters."""

    def __init__(self, *details: Detail) -> None:
        super().__init__(". ".join(detail.message for detail in details))
        self.details = details

    @property
    def message(self) -> str:
        return ". ".join(detail.message for detail in self.details)


class KeyLimitReached(ValidationFailed):
    """The account has as many active keys of this kind as it may have. Delete one that is not used any more."""

    # Mezmo: the answer to the key above the limit is not documented; 400 is the only error its API lists for create.
    # mezmo-api 24 Q1


class QuerySyntaxError(ValidationFailed):
    """The search query cannot be read."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(Detail(message=message, key="query"))
        self.position = position


class BadCursor(ValidationFailed):
    """The pagination_id does not belong to this query."""


class MalformedBatch(RequestError):
    """Bad or missing parameters."""


class MissingHostname(RequestError):
    """Missing param hostname."""


class MissingCredentials(RequestError):
    """Missing Credentials"""

    code = "NotAuthorized"
    status = 401


class NotAuthorized(RequestError):
    """Service Key Validation Error: Invalid or deactivated servicekey"""

    code = "NotAuthorized"
    status = 401


class KeyRefused(RequestError):
    """Account not found or inactive"""

    # Mezmo: an unknown ingestion key is answered 403, none at all 401. mezmo-api 2.3
    code = "NotAuthorized"
    status = 403


class WrongKeyKind(RequestError):
    """This key is not allowed to do this. Use a service key."""

    code = "NotAuthorized"
    status = 403


class AddressRefused(RequestError):
    """This key is not used from this address."""

    code = "NotAuthorized"
    status = 403


class ScopeMissing(RequestError):
    """This key is not allowed to do this. It needs another scope."""

    code = "ScopeMissing"
    status = 403

    def __init__(self, *scopes: str) -> None:
        named = " and ".join(scopes)
        super().__init__(f"This key is not allowed to do this. It needs the scope {named}.")


class ScopeExceeded(RequestError):
    """This key cannot give or read what it does not have itself: the other key can do more than this one."""

    code = "ScopeExceeded"
    status = 403


class KeyNotRevealed(RequestError):
    """This key's value is not shown here, as its reveal mode says. Rotate the key to get a new value."""

    # A blank instead would be written into Terraform's state, and from there into other resources. keys.md 5.2
    code = "NotAuthorized"
    status = 403


class NotFound(RequestError):
    """Not found"""

    code = "NotFound"
    status = 404


class MethodNotAllowed(RequestError):
    """This address does not answer that method."""

    code = "MethodNotAllowed"
    status = 405


class KeyStateConflict(RequestError):
    """The key's state does not allow this."""

    code = "Conflict"
    status = 409


class BodyTooLarge(RequestError):
    """The request body is too large."""

    code = "BodyTooLarge"
    status = 413


class TooManyRequests(RequestError):
    """Too many requests of this kind within an hour. Please wait."""

    code = "TooManyRequests"
    status = 429

    def __init__(self, retry_after_s: int = 3_600) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


class LimitRefused(RequestError):
    """The key has reached its limit. Please wait."""

    code = "TooManyRequests"
    status = 429

    def __init__(self, retry_after_s: int = 1, *, reason: str = "") -> None:
        super().__init__(reason=reason)
        self.retry_after_s = retry_after_s


class Unavailable(LogboomError):
    """The server cannot do this right now. Please retry."""

    # 504 is the status that most of Mezmo's clients keep their lines on; some drop them on 429 or 503. ADR 0003
    code = "Unavailable"
    status = 504
    retry_after_s: int | None = 5


class KeyHeld(Unavailable):
    """The key is on hold. Keep the lines and send them again."""

    code = "KeyHeld"

    def __init__(self, retry_after_s: int = 5, *, reason: str = "") -> None:
        super().__init__(reason=reason)
        self.retry_after_s = retry_after_s


class LimitHeld(Unavailable):
    """The key has reached its limit. Keep the lines and send them again."""

    code = "LimitHeld"

    def __init__(self, retry_after_s: int = 1, *, reason: str = "") -> None:
        super().__init__(reason=reason)
        self.retry_after_s = retry_after_s


class SecretOutdated(Unavailable):
    """The server cannot check keys right now. Please retry."""


class RotationRefused(LogboomError):
    """The secrets cannot be rotated right now."""

    code = "RotationRefused"


class StartError(LogboomError):
    """The server cannot start."""

    code = "StartError"


class SettingsInvalid(StartError):
    """A setting has an invalid value."""


class ListenAddressTaken(StartError):
    """Another program listens on this address already."""


class DataFolderInUse(StartError):
    """Another Logboom server uses this data folder already."""


class LineStoreBroken(StartError):
    """The line store cannot be opened."""


class FirstStartBroken(StartError):
    """The first start was cut off before it was finished. Remove control.db from the data folder and start again."""


class MasterSecretMissing(StartError):
    """The database holds keys, but the master secret that protects them is missing."""


class MasterSecretWrong(StartError):
    """The master secret is not the one that this database was made with."""


class MasterSecretOutdated(StartError):
    """The master secret lacks a version that the database needs."""


class MasterSecretExposed(StartError):
    """The master secret's file can be read by others. It must have mode 0600."""
