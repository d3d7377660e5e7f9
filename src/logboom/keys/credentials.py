"""Finds every key value that a request carries. Clients of fifteen years put it in a dozen places.

A value that is present but unreadable still counts as given: it is an unknown key, not a missing one, and the two
are answered differently.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

from starlette.requests import Request

# Mezmo: senders put the key in `apikey`; IBM's pages also show `ingestionkey`. mezmo-api 2.2
INGESTION_HEADERS = ("apikey", "ingestionkey")
# Mezmo: `apikey` carries a service key too, outside of ingestion. mezmo-api 2.2
SERVICE_HEADERS = ("servicekey", "apikey")
INGESTION_PARAMETER = "apikey"
# Mezmo: the old command line sends `?servicekey=` to /v1/export. mezmo-api 2.2
SERVICE_PARAMETER = "servicekey"

# What configuration files and shells leave around a value by accident.
AROUND_VALUE = " \t\r\n\v\f\"'"


class Carrier(StrEnum):
    """Where in a request a value stood."""

    HEADER = "header"
    BASIC = "basic"
    AUTHORIZATION = "authorization"
    BODY = "body"
    ADDRESS = "address"  # where proxies log it and browsers remember it


# The distinct values of a request, each with the worst place it stood in.
Carried = Mapping[str, Carrier]


def ingestion_values(request: Request, body_key: str | None = None) -> Carried:
    """The values that a sender gave, with the body's `apikey` if its reader found one."""
    in_address = ((Carrier.ADDRESS, text) for text in request.query_params.getlist(INGESTION_PARAMETER))
    return _distinct([*_header_values(request, INGESTION_HEADERS), (Carrier.BODY, body_key or ""), *in_address])


def service_values(request: Request, *, allow_query: bool) -> Carried:
    """The values that a reader or an administrator gave; addresses count only where a client needs it."""
    carried = list(_header_values(request, SERVICE_HEADERS))
    if allow_query:
        carried += ((Carrier.ADDRESS, text) for text in request.query_params.getlist(SERVICE_PARAMETER))
    return _distinct(carried)


def any_values(request: Request) -> Carried:
    """The values of somebody who asks about their own key, of whatever kind; never from the address."""
    return _distinct(_header_values(request, dict.fromkeys((*INGESTION_HEADERS, *SERVICE_HEADERS))))


def _header_values(request: Request, names: Iterable[str]) -> Iterator[tuple[Carrier, str]]:
    for name in names:
        for text in request.headers.getlist(name):
            yield Carrier.HEADER, text
    for text in request.headers.getlist("authorization"):
        yield _authorization_value(text)


def _distinct(carried: Iterable[tuple[Carrier, str]]) -> Carried:
    """Equal duplicates are one value (logdna-go sends header and body member); an empty carrier carries nothing."""
    stripped = ((text.strip(AROUND_VALUE), carrier) for carrier, text in carried)
    return {value: carrier for value, carrier in stripped if value}


def _authorization_value(text: str) -> tuple[Carrier, str]:
    # Mezmo: `Token` carries a key as well as an access token; some senders leave the scheme out. mezmo-api 2.2
    scheme, _, rest = text.strip().partition(" ")
    if scheme.lower() == "basic":
        return Carrier.BASIC, _basic_value(rest.strip())
    if scheme.lower() in {"token", "bearer"}:
        return Carrier.AUTHORIZATION, rest
    return Carrier.AUTHORIZATION, text


def _basic_value(encoded: str) -> str:
    # Mezmo: the key is the user name (curl, Vector, Fluent Bit), the password when there is one (Ruby, the old agent,
    # Heroku's `account:key`), or all of it, without a colon (a Swift client). mezmo-api 2.2
    try:
        decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode("latin-1")
    except ValueError:
        return encoded
    user, _, password = decoded.partition(":")
    return password if password.strip(AROUND_VALUE) else user
