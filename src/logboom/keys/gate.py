"""Admits or refuses a request by the key it carries, from memory that is known to be fresh (`feed.py`).

Nothing of the key is repeated in an error, and why a key is refused is told only where its value was known: who holds
it may know. Several carriers are fine as long as they agree; two different values leave open who is asking, so neither
counts.
"""

from collections.abc import Awaitable, Callable, Collection

from starlette.requests import Request

from logboom.errors import (
    KeyRefused,
    LogboomError,
    MissingCredentials,
    NotAuthorized,
    ScopeExceeded,
    SecretOutdated,
    WrongKeyKind,
)
from logboom.keys.actor import address_of
from logboom.keys.bounds import Bounds
from logboom.keys.credentials import Carried, Carrier, any_values, ingestion_values, service_values
from logboom.keys.feed import Feed
from logboom.keys.key import Caller, KeyKind
from logboom.keys.keyring import Keyring, is_plausible
from logboom.keys.scopes import Scope
from logboom.keys.verdict import FINAL, Refusal, Refused, error_of

WRONG_DOOR = "This is a service key. Send lines with an ingestion key."
# Whoever sent the request knows that much, so it tells nobody anything of either.
TWO_KEYS = "The request carries two different keys."

OnAdmitted = Callable[[Request, Caller, Carrier], None]
OnRefused = Callable[[Request, Refused, Carrier], None]
OnUnknown = Callable[[], Awaitable[None]]


def _tell_nobody(_request: Request, _found: Caller | Refused, _carrier: Carrier) -> None:
    """What stands where nobody wants to know."""


async def _go_on() -> None:
    """What stands where nobody who shows an unknown key is to wait."""


class Gate:
    """Two doors: one for those who send lines, one for those who read and configure.

    *on_admitted* is told of each key that opens, *on_refused* when a known one does not, *on_dry_run* when one opens
    that would not without its dry run, all in the middle of the request: they must not wait for anything. *on_unknown*
    is awaited before an unknown key is refused.
    """

    def __init__(
        self,
        keyring: Keyring,
        feed: Feed,
        bounds: Bounds,
        *,
        now_ms: Callable[[], int],
        on_admitted: OnAdmitted = _tell_nobody,
        on_refused: OnRefused = _tell_nobody,
        on_dry_run: OnRefused = _tell_nobody,
        on_unknown: OnUnknown = _go_on,
    ) -> None:
        self._keyring, self._feed, self._bounds, self._now_ms = keyring, feed, bounds, now_ms
        self._on_admitted, self._on_refused, self._on_dry_run = on_admitted, on_refused, on_dry_run
        self._on_unknown = on_unknown

    async def ingestion_caller(
        self, request: Request, body_key: str | None = None, *, is_first_look: bool = False
    ) -> Caller:
        """Who sends. *body_key* is the body's `apikey`; at a *first look*, before the body is read, nobody is told.

        Raises MissingCredentials (401), KeyRefused (403), KeyHeld and Unavailable (504), on which senders keep their
        lines.
        """
        values = ingestion_values(request, body_key)
        if not values:
            raise MissingCredentials
        found = await self._find(values, KeyRefused)
        # Mezmo: a service key does not open the ingester; it is told the same as an unknown one. mezmo-api 24 Q12
        if found is None:
            raise KeyRefused
        if _caller(found).kind is not KeyKind.INGESTION:
            self._tell_wrong_kind(request, found, values)
            raise KeyRefused(reason=WRONG_DOOR)
        return self._admit(request, found, values, KeyRefused, is_told=not is_first_look)

    async def service_caller(self, request: Request, scopes: Collection[Scope], *, allow_query: bool = False) -> Caller:
        """Who reads or configures, and may do what needs these *scopes*.

        Raises NotAuthorized (401), WrongKeyKind and ScopeMissing (403), KeyHeld and Unavailable (504).

        *allow_query* also accepts `?servicekey=`, for the one old route whose client cannot do otherwise: addresses
        end up in logs.
        """
        values = service_values(request, allow_query=allow_query)
        found = await self._find(values, NotAuthorized)
        # Mezmo: 401 when the key cannot be used at all, 403 when it is known but not allowed. mezmo-api 2.3, 24 Q2
        if found is None:
            raise NotAuthorized
        if _caller(found).kind is not KeyKind.SERVICE:
            self._tell_wrong_kind(request, found, values)
            raise WrongKeyKind
        return self._admit(request, found, values, NotAuthorized, scopes=scopes)

    async def any_caller(self, request: Request) -> Caller:
        """Whoever asks about themselves, with a key of any kind. Raises NotAuthorized (401) and KeyHeld (504)."""
        values = any_values(request)
        found = await self._find(values, NotAuthorized)
        if found is None:
            raise NotAuthorized
        return self._admit(request, found, values, NotAuthorized)

    async def recheck(self, request: Request, caller: Caller, scopes: Collection[Scope]) -> None:
        """Whether the *caller* of a *request* that takes long and needs these *scopes* is still welcome.

        Raises NotAuthorized, AddressRefused, ScopeMissing, KeyHeld and Unavailable.
        """
        await self._feed.ensure()
        found = self._keyring.judge(caller, self._now_ms())
        if found is None:
            self._check_sight()
            raise NotAuthorized
        refused = found if isinstance(found, Refused) else self._bounds.find_misuse(found, address_of(request), scopes)
        if refused and not refused.is_dry_run:
            raise error_of(refused, NotAuthorized)

    def tell_late(self, request: Request, caller: Caller, error: LogboomError) -> None:
        """An admitted *caller* was refused by what it asked for, which looks at the database once more."""
        found = self._keyring.judge(caller, self._now_ms())
        late = Refusal.SCOPE_EXCEEDED if isinstance(error, ScopeExceeded) else Refusal.SCOPE_MISSING
        refused = found if isinstance(found, Refused) else Refused(caller=caller, refusal=late)
        carriers = [*service_values(request, allow_query=True).values(), Carrier.HEADER]
        self._on_refused(request, refused, carriers[0])

    def refusal(self, request: Request, refused: Refused, body_key: str | None = None) -> LogboomError:
        """What the sender of a batch is answered who was admitted and does not keep to the key's terms; told of."""
        (carrier,) = ingestion_values(request, body_key).values()
        self._on_refused(request, refused, carrier)
        return error_of(refused, KeyRefused)

    def presents_key(self, request: Request) -> bool:
        """Whether a sender gave any key outside of the body, good or bad."""
        return bool(ingestion_values(request))

    async def _find(self, values: Carried, refusal: type[LogboomError]) -> Caller | Refused | None:
        if not values:
            return None
        if len(values) > 1:
            raise refusal(reason=TWO_KEYS)
        (value,) = values
        found = await self._look_up(value)
        if found is None:
            await self._on_unknown()
        return found

    async def _look_up(self, value: str) -> Caller | Refused | None:
        await self._feed.ensure()
        found = self._keyring.authenticate(value, self._now_ms())
        if isinstance(found, Caller) or not is_plausible(value) or (found and found.refusal in FINAL):
            return found
        # A refusal makes clients throw lines away, so it is said only when the database has nothing newer to say.
        await self._feed.ensure_newer()
        found = self._keyring.authenticate(value, self._now_ms())
        if found is None:
            self._check_sight()
        return found

    def _check_sight(self) -> None:
        """Raises SecretOutdated when a key that is not found may exist all the same."""
        if self._keyring.is_blind:
            raise SecretOutdated

    def _admit(
        self,
        request: Request,
        found: Caller | Refused,
        values: Carried,
        refusal: type[LogboomError],
        *,
        scopes: Collection[Scope] = (),
        is_told: bool = True,
    ) -> Caller:
        (carrier,) = values.values()
        if isinstance(found, Caller) and (found.terms is not None or found.scopes is not None):
            found = self._find_refusal(request, found, carrier, scopes, is_told=is_told) or found
        if isinstance(found, Refused):
            self._on_refused(request, found, carrier)
            raise error_of(found, refusal)
        if is_told:
            self._on_admitted(request, found, carrier)
        return found

    def _find_refusal(
        self, request: Request, caller: Caller, carrier: Carrier, scopes: Collection[Scope], *, is_told: bool
    ) -> Refused | None:
        """Why a key that opens is refused for what it is used for. A first look counts no request."""
        refused = self._bounds.find_misuse(caller, address_of(request), scopes)
        if refused and refused.is_dry_run:
            if is_told:
                self._on_dry_run(request, refused, carrier)
            refused = None
        return refused or self._bounds.find_excess(caller, is_counted=is_told)

    def _tell_wrong_kind(self, request: Request, found: Caller | Refused, values: Carried) -> None:
        """Whoever sends with a service key shows it to many machines. What else refuses the key is told before that."""
        (carrier,) = values.values()
        refused = found if isinstance(found, Refused) else Refused(caller=found, refusal=Refusal.WRONG_KIND)
        self._on_refused(request, refused, carrier)


def _caller(found: Caller | Refused) -> Caller:
    return found.caller if isinstance(found, Refused) else found
