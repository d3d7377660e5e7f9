"""Admits or refuses a request by the key it carries. Memory only: no request waits for the database here.

Nothing of the key is repeated in an error, and why a key is refused is told only where its value was known: who holds
it may know. Several carriers are fine as long as they agree; two different values leave open who is asking, so neither
counts.
"""

from collections.abc import Callable

from starlette.requests import Request

from logboom.errors import KeyHeld, KeyRefused, LogboomError, MissingCredentials, NotAuthorized, WrongKeyKind
from logboom.keys.credentials import any_values, ingestion_values, service_values
from logboom.keys.key import Caller, KeyKind
from logboom.keys.keyring import Keyring
from logboom.keys.verdict import Refusal, Refused

WRONG_DOOR = "This is a service key. Send lines with an ingestion key."


def _tell_nobody(_refused: Refused) -> None:
    """What stands where nobody wants to know of refusals."""


class Gate:
    """Two doors: one for those who send lines, one for those who read and configure.

    *on_refused* is told when a known key is refused, in the middle of the request: it must not wait for anything.
    """

    def __init__(
        self,
        keyring: Keyring,
        *,
        now_ms: Callable[[], int],
        on_refused: Callable[[Refused], None] = _tell_nobody,
    ) -> None:
        self._keyring, self._now_ms, self._on_refused = keyring, now_ms, on_refused

    def ingestion_caller(self, request: Request, body_key: str | None = None) -> Caller:
        """Who sends. *body_key* is the body's `apikey`.

        Raises MissingCredentials (401), KeyRefused (403), and KeyHeld (504), on which senders keep their lines.
        """
        values = ingestion_values(request, body_key)
        if not values:
            raise MissingCredentials
        found = self._find(values)
        # Mezmo: a service key does not open the ingester; it is told the same as an unknown one. mezmo-api 24 Q12
        if found is None:
            raise KeyRefused
        if _caller(found).kind is not KeyKind.INGESTION:
            raise KeyRefused(reason=WRONG_DOOR)
        return self._admit(found, KeyRefused)

    def service_caller(self, request: Request, *, allow_query: bool = False) -> Caller:
        """Who reads or configures. Raises NotAuthorized (401), WrongKeyKind (403) and KeyHeld (504).

        *allow_query* also accepts `?servicekey=`, for the one old route whose client cannot do otherwise: addresses
        end up in logs.
        """
        found = self._find(service_values(request, allow_query=allow_query))
        # Mezmo: 401 when the key cannot be used at all, 403 when it is known but not allowed. mezmo-api 2.3, 24 Q2
        if found is None:
            raise NotAuthorized
        if _caller(found).kind is not KeyKind.SERVICE:
            raise WrongKeyKind
        return self._admit(found, NotAuthorized)

    def any_caller(self, request: Request) -> Caller:
        """Whoever asks about themselves, with a key of any kind. Raises NotAuthorized (401) and KeyHeld (504)."""
        found = self._find(any_values(request))
        if found is None:
            raise NotAuthorized
        return self._admit(found, NotAuthorized)

    def presents_key(self, request: Request) -> bool:
        """Whether a sender gave any key outside of the body, good or bad."""
        return bool(ingestion_values(request))

    def _find(self, values: frozenset[str]) -> Caller | Refused | None:
        if len(values) != 1:
            return None
        (value,) = values
        return self._keyring.authenticate(value, self._now_ms())

    def _admit(self, found: Caller | Refused, refusal: type[LogboomError]) -> Caller:
        if isinstance(found, Caller):
            return found
        self._on_refused(found)
        if found.refusal is Refusal.HELD:
            raise KeyHeld(found.retry_after_s or 1, reason=found.refusal.value)
        raise refusal(reason=found.refusal.value)


def _caller(found: Caller | Refused) -> Caller:
    return found.caller if isinstance(found, Refused) else found
