"""`/api/keys`: the whole life of a key. Every success is exactly 200, as everywhere in this server.

A value leaves only when it was just minted, or when it is asked for by `?reveal=1` and its mode allows that. With
`?wait=1` a change is answered when every server on the same database has seen it.
"""

from collections.abc import Callable
from itertools import islice

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from logboom.asgi.body import read_body
from logboom.asgi.respond import json_response
from logboom.keys import native_wire as wire
from logboom.keys.actor import actor_of, address_of
from logboom.keys.allowance import Allowance
from logboom.keys.answers import Once
from logboom.keys.change import Actor
from logboom.keys.key import Caller, Key, KeyState
from logboom.keys.keys import Keys
from logboom.keys.nodes import Nodes
from logboom.limits import CONFIG_BODY_BYTES_MAX, EXPOSED_REPORTS_PER_HOUR_MAX


class NativeKeyRoutes:
    """Handlers of every address below `/api/keys`. Another account's key is answered as an absent one."""

    def __init__(self, keys: Keys, nodes: Nodes, *, now_ms: Callable[[], int]) -> None:
        self._keys, self._nodes, self._now_ms = keys, nodes, now_ms
        self._reports = Allowance(EXPOSED_REPORTS_PER_HOUR_MAX, now_ms=now_ms)

    async def list_keys(self, request: Request, caller: Caller) -> Response:
        wanted = wire.parse_filter(request.query_params)
        return json_response(await run_in_threadpool(self._list, caller.account_id, wanted))

    async def create_key(self, request: Request, caller: Caller) -> Response:
        body = await read_body(request, CONFIG_BODY_BYTES_MAX)
        new, once, actor = wire.parse_new_key(body), _once(request, caller, body), actor_of(request, caller)
        key = await run_in_threadpool(self._keys.create_key, caller.account_id, new, actor=actor, once=once)
        return await self._answer_change(request, key, with_value=True)

    async def import_key(self, request: Request, caller: Caller) -> Response:
        new, value = wire.parse_import(await read_body(request, CONFIG_BODY_BYTES_MAX))
        actor = actor_of(request, caller)
        key = await run_in_threadpool(self._keys.import_key, caller.account_id, new, value, actor=actor)
        return await self._answer_change(request, key)

    async def get_key(self, request: Request, caller: Caller) -> Response:
        key_id = request.path_params["key_id"]
        if request.query_params.get("reveal") == "1":
            actor = actor_of(request, caller)
            key = await run_in_threadpool(self._keys.reveal, caller.account_id, key_id, actor=actor)
            return self._answer(key, with_value=True)
        return self._answer(await run_in_threadpool(self._keys.get, caller.account_id, key_id, is_live=False))

    async def get_self(self, _request: Request, caller: Caller) -> Response:
        key = await run_in_threadpool(self._keys.get, caller.account_id, caller.key_id)
        return json_response(wire.render_self(key, caller, self._now_ms()))

    async def edit_key(self, request: Request, caller: Caller) -> Response:
        changes = wire.parse_changes(await read_body(request, CONFIG_BODY_BYTES_MAX))
        return await self._change(request, caller, self._keys.edit, changes)

    async def delete_key(self, request: Request, caller: Caller) -> Response:
        key_id = request.path_params["key_id"]
        deleted, children = await run_in_threadpool(
            self._delete,
            caller.account_id,
            key_id,
            actor_of(request, caller),
            with_children=request.query_params.get("children") == "1",
        )
        rendered = wire.render_deleted(deleted, caller, children=children)
        return json_response(rendered | await self._seen(request, deleted[-1]))

    async def rotate_key(self, request: Request, caller: Caller) -> Response:
        body = await read_body(request, CONFIG_BODY_BYTES_MAX)
        key = await run_in_threadpool(
            self._keys.rotate,
            caller.account_id,
            request.path_params["key_id"],
            overlap_ms=wire.parse_overlap_ms(body),
            actor=actor_of(request, caller),
            once=_once(request, caller, body),
        )
        return await self._answer_change(request, key, with_value=True)

    async def hold_key(self, request: Request, caller: Caller) -> Response:
        for_ms = wire.parse_hold_ms(await read_body(request, CONFIG_BODY_BYTES_MAX))
        return await self._change(request, caller, self._keys.hold, for_ms)

    async def release_key(self, request: Request, caller: Caller) -> Response:
        return await self._change_without_body(request, caller, self._keys.release)

    async def disable_key(self, request: Request, caller: Caller) -> Response:
        return await self._change_without_body(request, caller, self._keys.disable)

    async def enable_key(self, request: Request, caller: Caller) -> Response:
        return await self._change_without_body(request, caller, self._keys.enable)

    async def end_overlap(self, request: Request, caller: Caller) -> Response:
        return await self._change_without_body(request, caller, self._keys.end_overlap)

    async def end_exposed(self, request: Request) -> Response:
        """Anybody may report a value that they have found; there is one answer for all of them."""
        self._reports.use(address_of(request))
        value = wire.parse_exposed(await read_body(request, CONFIG_BODY_BYTES_MAX))
        await run_in_threadpool(self._keys.end_exposed, value, actor=actor_of(request, None))
        return json_response(wire.render_exposed())

    async def _change_without_body(self, request: Request, caller: Caller, change: Callable[..., Key]) -> Response:
        wire.parse_nothing(await read_body(request, CONFIG_BODY_BYTES_MAX))
        return await self._change(request, caller, change)

    async def _change(
        self, request: Request, caller: Caller, change: Callable[..., Key], *arguments: object
    ) -> Response:
        key_id = request.path_params["key_id"]
        actor = actor_of(request, caller)
        key = await run_in_threadpool(change, caller.account_id, key_id, *arguments, actor=actor)
        return await self._answer_change(request, key)

    def _list(self, account_id: str, wanted: wire.KeyFilter) -> dict[str, object]:
        is_live = wanted.state is not KeyState.DELETED
        keys = self._keys.list_keys(account_id, wanted.kind, is_live=is_live, after_id=wanted.after_id)
        fitting = [*islice((key for key in keys if wanted.fits(key)), wanted.limit + 1)]
        page = fitting[: wanted.limit]
        return wire.render_keys(page, self._now_ms(), after_id=page[-1].id if len(fitting) > len(page) else None)

    def _delete(
        self, account_id: str, key_id: str, actor: Actor, *, with_children: bool
    ) -> tuple[list[Key], list[str]]:
        """What was deleted, and the ids of the children that were not."""
        if with_children:
            return self._keys.delete_family(account_id, key_id, actor=actor), []
        deleted = [self._keys.delete(account_id, key_id, actor=actor)]
        return deleted, self._keys.children(account_id, key_id)

    async def _answer_change(self, request: Request, key: Key, *, with_value: bool = False) -> Response:
        rendered = wire.render_key(key, self._now_ms(), with_value=with_value)
        return json_response(rendered | await self._seen(request, key))

    async def _seen(self, request: Request, key: Key) -> dict[str, object]:
        """Which servers have seen the change, if the request wants to wait for them."""
        if request.query_params.get("wait") != "1":
            return {}
        return wire.render_seen(await run_in_threadpool(self._nodes.wait_for, key.revision))

    def _answer(self, key: Key, *, with_value: bool = False) -> Response:
        return json_response(wire.render_key(key, self._now_ms(), with_value=with_value))


def _once(request: Request, caller: Caller, body: bytes) -> Once | None:
    """The request, if it has a name. It is the caller's own: the answer to another key's would give its value away."""
    name = wire.parse_idempotency_key(request.headers.get("idempotency-key"))
    asked = f"{caller.key_id}\n{request.url.path}\n".encode()
    return None if name is None else Once(name=name, request=asked + body)
