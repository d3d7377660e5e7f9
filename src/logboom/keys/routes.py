"""`/v1/config/keys`: list, create, read, rename and delete the caller's keys. Every success is exactly 200."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from logboom.asgi.body import read_body
from logboom.asgi.respond import json_response
from logboom.keys import wire
from logboom.keys.actor import actor_of
from logboom.keys.key import Caller
from logboom.keys.keys import Keys
from logboom.limits import CONFIG_BODY_BYTES_MAX


class KeyRoutes:
    """Needs a service key. Another account's key is answered as an absent one.

    Every answer holds the value, as Mezmo's do. A key whose value may not be shown is refused where it is asked for by
    its id, and left out of the list: a blank value would be believed.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def list_keys(self, request: Request, caller: Caller) -> Response:
        kind = wire.parse_kind_filter(request.query_params.get("type"))
        actor = actor_of(request, caller)
        keys = await run_in_threadpool(self._keys.reveal_all, caller.account_id, kind, actor=actor)
        return json_response(wire.render_keys(keys))

    async def create_key(self, request: Request, caller: Caller) -> Response:
        body = await read_body(request, CONFIG_BODY_BYTES_MAX)
        new = wire.parse_new_key(request.query_params.get("type"), body)
        actor = actor_of(request, caller)
        key = await run_in_threadpool(self._keys.create, caller.account_id, new.kind, name=new.name, actor=actor)
        return json_response(wire.render_key(key))

    async def get_key(self, request: Request, caller: Caller) -> Response:
        key_id: str = request.path_params["key_id"]
        actor = actor_of(request, caller)
        key = await run_in_threadpool(self._keys.reveal, caller.account_id, key_id, actor=actor)
        return json_response(wire.render_key(key))

    async def rename_key(self, request: Request, caller: Caller) -> Response:
        name = wire.parse_name(await read_body(request, CONFIG_BODY_BYTES_MAX))
        key_id: str = request.path_params["key_id"]
        actor = actor_of(request, caller)
        key = await run_in_threadpool(self._keys.rename, caller.account_id, key_id, name, actor=actor)
        return json_response(wire.render_key(key))

    async def delete_key(self, request: Request, caller: Caller) -> Response:
        key_id: str = request.path_params["key_id"]
        actor = actor_of(request, caller)
        await run_in_threadpool(self._keys.delete, caller.account_id, key_id, actor=actor)
        return json_response(wire.render_deleted(key_id))
