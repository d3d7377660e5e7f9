"""Who asks for a change, as far as a request tells."""

from starlette.requests import Request

from logboom.keys.change import Actor, ActorKind
from logboom.keys.key import Caller

USER_AGENT_CHARACTERS_MAX = 400  # more than is kept: a key value across that cut must still be found


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""


def actor_of(request: Request, caller: Caller | None) -> Actor:
    """The service key behind the request; without a *caller* somebody who holds the value that they speak of."""
    return Actor(
        kind=ActorKind.HOLDER if caller is None else ActorKind.SERVICE_KEY,
        key_id=caller.key_id if caller else None,
        generation=caller.generation if caller else None,
        address=address_of(request),
        user_agent=request.headers.get("user-agent", "")[:USER_AGENT_CHARACTERS_MAX],
    )
