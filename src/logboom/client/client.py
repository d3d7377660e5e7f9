"""What can be asked of a Logboom server: send lines, look after keys, count and export lines."""

import gzip
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Literal, Self, TypedDict, TypeVar, Unpack

import msgspec

from logboom.client.errors import AnswerMalformed, NothingThere
from logboom.client.transport import ATTEMPTS_MAX, Credential, Transport
from logboom.client.use import KeyFinding, KeyFindings, KeyImpact, KeyUsage
from logboom.client.wire import (
    Accepted,
    Count,
    Deleted,
    EventPage,
    Key,
    KeyChange,
    KeyKind,
    KeyPage,
    Page,
    Policy,
    Sent,
    Verification,
    render_batches,
)

PAGE_LINES_MAX: Final = 10_000  # mezmo-api 6.2
VERIFY_TIMEOUT_S: Final = 600.0  # every event there is gets read
GZIP_LEVEL: Final = 1  # JSON lines shrink tenfold at any level; the first costs a third of the default
KEYS: Final = "/api/keys"
AUDIT: Final = "/api/audit"
# Anything else is not sent: it may be a key value, and addresses end up in access logs. mezmo-api 4.1
KEY_ID: Final = re.compile(r"[0-9a-f]{24}")

Prefer = Literal["head", "tail"]
Answer = TypeVar("Answer")


class Selection(TypedDict, total=False):
    """Which lines: a query, an inclusive range in epoch milliseconds, and names of which any may match."""

    query: str
    from_ms: int | None
    to_ms: int | None
    hosts: Sequence[str]
    apps: Sequence[str]
    levels: Sequence[str]
    tags: Sequence[str]


class EventSelection(TypedDict, total=False):
    """Which audit events: names of actions of which any may match, one key's, an inclusive range in milliseconds."""

    actions: Sequence[str]
    key_id: str | None
    from_ms: int | None
    to_ms: int | None


class LogboomClient:
    """A server at *url*. A call that needs a key which was not given raises `KeyMissing`; others are `ClientError`s."""

    def __init__(
        self,
        url: str,
        ingestion_key: str | None = None,
        service_key: str | None = None,
        *,
        timeout_s: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._ingestion = Credential(header="apikey", variable="LOGBOOM_INGESTION_KEY", value=ingestion_key)
        self._service = Credential(header="servicekey", variable="LOGBOOM_SERVICE_KEY", value=service_key)
        self._now = now
        self._transport = Transport(url, timeout_s=timeout_s, sleep=sleep)

    def __repr__(self) -> str:
        return f"LogboomClient({self._transport.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def send_lines(
        self,
        lines: Iterable[dict[str, Any]],
        hostname: str,
        *,
        tags: Sequence[str] = (),
        on_batch: Callable[[int], None] | None = None,
    ) -> Sent:
        """Send *lines* (members of mezmo-api 5.4) in batches; *on_batch* is told the lines of each acknowledged one.

        A batch that got no answer, or one that asks to retry, is sent again; the server may then hold it twice.
        """
        sent = Sent()
        for batch in render_batches(lines):
            self._send_batch(gzip.compress(batch.body, GZIP_LEVEL, mtime=0), hostname=hostname, tags=tags)
            sent = sent.plus(batch.lines)
            if on_batch:
                on_batch(batch.lines)
        return sent

    def _send_batch(self, body: bytes, *, hostname: str, tags: Sequence[str]) -> None:
        params = {"hostname": hostname, "now": str(int(self._now() * 1000))}
        if tags:
            params["tags"] = ",".join(tags)
        self._transport.ask(
            "POST",
            "/logs/ingest",
            Accepted,
            credential=self._ingestion,
            attempts=ATTEMPTS_MAX,
            params=params,
            content=body,
            headers={"content-type": "application/json; charset=UTF-8", "content-encoding": "gzip"},
        )

    def list_keys(self, kind: KeyKind | None = None) -> list[Key]:
        """The account's keys without their values, oldest first."""
        params: dict[str, str] = {"type": kind} if kind else {}
        keys: list[Key] = []
        while True:
            page = self._transport.ask("GET", KEYS, KeyPage, credential=self._service, params=params)
            keys += page.keys
            if page.after is None or not page.keys:
                return keys
            params["after"] = page.after

    def create_key(self, kind: KeyKind, name: str | None = None, **members: Any) -> Key:
        """Mint a key; the server names it when *name* is absent. Never retried: a second request mints a second key."""
        body = {"type": kind, **({"name": name} if name else {}), **members}
        return self._transport.ask("POST", KEYS, Key, credential=self._service, json=body)

    def import_key(self, kind: KeyKind, value: str, name: str | None = None) -> Key:
        """A key with the *value* that it has elsewhere."""
        body = {"type": kind, "value": value, **({"name": name} if name else {})}
        return self._transport.ask("POST", f"{KEYS}/import", Key, credential=self._service, json=body)

    def get_key(self, key_id: str, *, reveal: bool = False) -> Key:
        """The key; with *reveal* its value too, where its mode allows that."""
        return self._ask_key("GET", key_id, Key, params={"reveal": "1"} if reveal else {})

    def rename_key(self, key_id: str, name: str) -> Key:
        return self.edit_key(key_id, name=name)

    def edit_key(self, key_id: str, **members: Any) -> Key:
        """The key with these members of the API; the others stay."""
        return self._ask_key("PATCH", key_id, Key, json=members)

    def change_key(self, key_id: str, change: KeyChange, **parameters: str) -> Key:
        """Hold it, release it, and so on; *parameters* are the members of the request's body."""
        return self._ask_key("POST", key_id, Key, below=f"/{change}", json=parameters)

    def delete_key(self, key_id: str, *, children: bool = False) -> Deleted:
        """What was deleted; with *children* the keys that go back to this one too."""
        answer = self._ask_key("DELETE", key_id, Deleted, params={"children": "1"} if children else {})
        if not answer.deleted:
            raise AnswerMalformed("The server did not delete the key, and did not say why.")
        return answer

    def get_usage(self, key_id: str, *, from_ms: int | None = None, to_ms: int | None = None) -> KeyUsage:
        """How much the key is used in a range of hours, and by whom."""
        params = {"from": from_ms, "to": to_ms}
        asked = {name: str(moment_ms) for name, moment_ms in params.items() if moment_ms is not None}
        return self._ask_key("GET", key_id, KeyUsage, below="/usage", params=asked)

    def get_impact(self, key_id: str) -> KeyImpact:
        """Who uses the key, and what happens when it is removed."""
        return self._ask_key("GET", key_id, KeyImpact, below="/impact")

    def list_findings(self) -> list[KeyFinding]:
        """The account's keys that want looking after, the worst first."""
        return self._transport.ask("GET", f"{KEYS}/hygiene", KeyFindings, credential=self._service).findings

    def get_policy(self) -> Policy:
        """What the account wants of its keys."""
        return self._transport.ask("GET", f"{KEYS}/policy", Policy, credential=self._service)

    def change_policy(self, **members: Any) -> Policy:
        return self._transport.ask("PATCH", f"{KEYS}/policy", Policy, credential=self._service, json=members)

    def _ask_key(self, method: str, key_id: str, answer: type[Answer], *, below: str = "", **request: Any) -> Answer:
        if not KEY_ID.fullmatch(key_id):
            raise _no_such_key()
        path = f"{KEYS}/{key_id}{below}"
        try:
            return self._transport.ask(method, path, answer, credential=self._service, **request)
        except NothingThere:
            raise _no_such_key() from None

    def event_texts(
        self,
        *,
        prefer: Prefer = "tail",
        size: int | None = None,
        of_key: bool = False,
        **selection: Unpack[EventSelection],
    ) -> Iterator[bytes]:
        """Audit events as the JSON texts that the server wrote, newest first with `tail`, oldest first with `head`.

        At most *size* of them, all when None. *of_key* asks the key itself, which must be there.
        """
        key_id = selection.get("key_id")
        if key_id is not None and not KEY_ID.fullmatch(key_id):
            raise _no_such_key()
        params = _render_events(selection) | {"prefer": prefer}
        left = size
        for page in self._event_pages(params, key_id if of_key else None):
            texts = page.events if left is None else page.events[:left]
            yield from (_on_one_line(text) for text in texts)
            left = None if left is None else left - len(texts)
            if left == 0:
                return

    def _event_pages(self, params: dict[str, str], key_id: str | None) -> Iterator[EventPage]:
        while True:
            if key_id is not None:
                page = self._ask_key("GET", key_id, EventPage, below="/events", params=params)
            else:
                page = self._transport.ask("GET", AUDIT, EventPage, credential=self._service, params=params)
            yield page
            if page.next is None:
                return
            if params.get("after") == str(page.next):
                raise AnswerMalformed("The server's audit log does not advance: it gave the same page twice.")
            params = params | {"after": str(page.next)}

    def verify_audit(self, *, seq: int | None = None, hash_digits: str | None = None) -> Verification:
        """Have the chain of the audit log proven; with *seq* and *hash_digits* that this event is in it."""
        witness = {"seq": seq, "hash": hash_digits}
        params = {name: str(given) for name, given in witness.items() if given is not None}
        return self._transport.ask(
            "GET", f"{AUDIT}/verify", Verification, credential=self._service, params=params, timeout=VERIFY_TIMEOUT_S
        )

    def count_lines(self, **selection: Unpack[Selection]) -> int:
        params = _render_selection(selection)
        return self._transport.ask("GET", "/api/search/count", Count, credential=self._service, params=params).count

    def export_lines(
        self, *, prefer: Prefer = "tail", size: int | None = None, **selection: Unpack[Selection]
    ) -> Iterator[dict[str, Any]]:
        """At most *size* lines (all, when None), newest first with `tail`, oldest first with `head`. mezmo-api 6.3"""
        for text in self.export_texts(prefer=prefer, size=size, **selection):
            yield msgspec.json.decode(text, type=dict[str, Any])

    def export_texts(
        self, *, prefer: Prefer = "tail", size: int | None = None, **selection: Unpack[Selection]
    ) -> Iterator[bytes]:
        """The same lines as the JSON texts that the server wrote, each without a line break."""
        page_lines = PAGE_LINES_MAX if size is None else min(size, PAGE_LINES_MAX)
        # The cursor is bound to every other parameter, so that these stay the same from page to page.
        params = _render_selection(selection) | {"prefer": prefer, "size": str(page_lines)}
        left = size
        for page in self._pages(params):
            texts = page.lines if left is None else page.lines[:left]
            yield from (_on_one_line(text) for text in texts)
            left = None if left is None else left - len(texts)
            if left == 0:
                return

    def _pages(self, params: dict[str, str]) -> Iterator[Page]:
        cursor: str | None = None
        while True:
            page = self._transport.ask(
                "GET",
                "/v2/export",
                Page,
                credential=self._service,
                # Only a long export is worth waiting for; the first page says at once that the server is away.
                attempts=ATTEMPTS_MAX if cursor else 1,
                params=params | ({"pagination_id": cursor} if cursor else {}),
            )
            yield page
            if not page.pagination_id:
                return
            if page.pagination_id == cursor:
                raise AnswerMalformed("The server's export does not advance: it gave the same pagination_id twice.")
            cursor = page.pagination_id


def _render_selection(selection: Selection) -> dict[str, str]:
    """Query parameters, absent ones left out; names of one kind joined by commas, as the wire has them."""
    moments = {"from": selection.get("from_ms"), "to": selection.get("to_ms")}
    params = {
        "query": selection.get("query", ""),
        "hosts": ",".join(selection.get("hosts", ())),
        "apps": ",".join(selection.get("apps", ())),
        "levels": ",".join(selection.get("levels", ())),
        "tags": ",".join(selection.get("tags", ())),
    } | {name: str(moment_ms) for name, moment_ms in moments.items() if moment_ms is not None}
    return {name: value for name, value in params.items() if value}


def _no_such_key() -> NothingThere:
    """The id is not repeated in it: people paste the key's value there by mistake."""
    return NothingThere("No key has this id. `logboom keys list` shows the ids.", 404)


def _render_events(selection: EventSelection) -> dict[str, str]:
    moments = {"from": selection.get("from_ms"), "to": selection.get("to_ms")}
    params = {"action": ",".join(selection.get("actions", ())), "key": selection.get("key_id") or ""}
    params |= {name: str(moment_ms) for name, moment_ms in moments.items() if moment_ms is not None}
    return {name: value for name, value in params.items() if value}


def _on_one_line(text: msgspec.Raw) -> bytes:
    """A break inside JSON text can only be white space between its tokens."""
    return bytes(text).replace(b"\r", b" ").replace(b"\n", b" ")
