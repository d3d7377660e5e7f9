"""Admits or refuses a request by the key it carries. Memory only: no request waits for the database here.

Nothing of the key is repeated in an error. Several carriers are fine as long as they agree; two different values leave
open who is asking, so neither counts.
"""

from starlette.requests import Request

from logboom.errors import KeyRefused, MissingCredentials, NotAuthorized, WrongKeyKind
from logboom.keys.credentials import ingestion_values, service_values
from logboom.keys.key import Caller, KeyKind
from logboom.keys.keyring import Keyring


class Gate:
    """Two doors: one for those who send lines, one for those who read and configure."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def ingestion_caller(self, request: Request, body_key: str | None = None) -> Caller:
        """Who sends. *body_key* is the body's `apikey`. Raises MissingCredentials (401) and KeyRefused (403)."""
        values = ingestion_values(request, body_key)
        if not values:
            raise MissingCredentials
        caller = self._find_caller(values)
        # Mezmo: a service key does not open the ingester; it is told the same as an unknown one. mezmo-api 24 Q12
        if caller is None or caller.kind is not KeyKind.INGESTION:
            raise KeyRefused
        return caller

    def service_caller(self, request: Request, *, allow_query: bool = False) -> Caller:
        """Who reads or configures. Raises NotAuthorized (401) and WrongKeyKind (403).

        *allow_query* also accepts `?servicekey=`, for the one old route whose client cannot do otherwise: addresses
        end up in logs.
        """
        caller = self._find_caller(service_values(request, allow_query=allow_query))
        # Mezmo: 401 when the key cannot be used at all, 403 when it is known but not allowed. mezmo-api 2.3, 24 Q2
        if caller is None:
            raise NotAuthorized
        if caller.kind is not KeyKind.SERVICE:
            raise WrongKeyKind
        return caller

    def presents_key(self, request: Request) -> bool:
        """Whether a sender gave any key outside of the body, good or bad."""
        return bool(ingestion_values(request))

    def _find_caller(self, values: frozenset[str]) -> Caller | None:
        if len(values) != 1:
            return None
        (value,) = values
        return self._keyring.authenticate(value)
