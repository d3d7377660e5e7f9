"""Mezmo's spelling of a batch, into an envelope and a body that the mill can read. Pure.

The body is looked through once, without touching its lines: how many there are, and what the sender says of itself
beside them. What a strict parser refuses is mended (mill/mend.py) before it is refused.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.datastructures import QueryParams

from logboom import limits
from logboom.errors import BodyTooLarge, MalformedBatch, MissingHostname
from logboom.mill.mend import mend_body
from logboom.spool import Envelope

# An address as `ip` states it. Anything else is left out; it is never a reason to refuse a batch. mezmo-api 5.1
PLAUSIBLE: Final = re.compile(r"[0-9A-Za-z:.%_/-]{2,64}")
USER_AGENT_CHARACTERS_MAX: Final = 200


class Body(msgspec.Struct):
    """The body of a batch. Members of any type: a strange one is no reason to lose lines."""

    lines: list[msgspec.Raw] | None = None
    ls: list[msgspec.Raw] | None = None
    # Mezmo: logdna-go sends what others put into query and header as members of the body. mezmo-api 5.1
    hostname: Any = None
    apikey: Any = None
    ip: Any = None
    mac: Any = None
    tags: Any = None


class LineHost(msgspec.Struct):
    """Where a single line says it comes from."""

    hostname: Any = None
    host: Any = None


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A well-formed body: *lines* is the JSON array as it goes to the spool, without what stood around it."""

    lines: bytes
    lines_count: int
    sender: Body
    first_line: bytes


_decode_body = msgspec.json.Decoder(Body).decode
_decode_line_host = msgspec.json.Decoder(LineHost).decode


def find_batch(body: bytes) -> Batch | None:
    """The batch of a body that strict parsers accept. Fast: a millisecond for a megabyte. Raises BodyTooLarge."""
    try:
        if not body.isascii():
            body.decode("utf-8")
        sender = _decode_body(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return _batch_of(sender)


def mend(body: bytes, *, is_text: bool) -> Batch:
    """The batch of any other body, slowly: call it from a thread. Raises MalformedBatch, BodyTooLarge."""
    batch = find_batch(mend_body(body, is_text=is_text))
    if batch is None:
        raise MalformedBatch
    return batch


def _batch_of(sender: Body) -> Batch | None:
    if sender.lines is None and sender.ls is None:
        return None
    lines = [*(sender.lines or ()), *(sender.ls or ())]
    if len(lines) > limits.BATCH_LINES_MAX:
        raise BodyTooLarge("The batch has too many lines.")
    # Only the lines go on, each as it was sent: a key that stands beside them must reach no disk.
    array = b"[%s]" % b",".join(lines)
    return Batch(lines=array, lines_count=len(lines), sender=sender, first_line=bytes(lines[0]) if lines else b"")


def parse_envelope(
    batch: Batch,
    query: QueryParams,
    *,
    account_id: str,
    key_id: str,
    received_ms: int,
    ip_remote: str,
    user_agent: str,
    redact: Callable[[Sequence[str]], Sequence[str]] = list,
) -> Envelope:
    """What is known of the batch beside its lines. Raises MissingHostname.

    *redact* takes key values out of texts, before they are cut: what is left of a cut one would not be known any more.
    """
    sender = batch.sender
    ip, mac = clean(query.get("ip") or sender.ip), clean(query.get("mac") or sender.mac)
    tags = split_tags([*query.getlist("tags"), *query.getlist("tag"), *_tag_texts(sender.tags)])
    stated = (_hostname(batch, query, ip_remote), clean(query.get("app")), ip, mac, clean(user_agent), *tags)
    hostname, app, ip, mac, agent, *redacted_tags = redact(stated)
    stated_tags = tuple(redacted_tags)
    tags = tuple(tag[: limits.TAG_CHARACTERS_MAX] for tag in stated_tags[: limits.TAGS_MAX])
    is_cut = {
        "host": len(hostname) > limits.HOST_CHARACTERS_MAX,
        "app": len(app) > limits.APP_CHARACTERS_MAX,
        "tags": tags != stated_tags,
    }
    return Envelope(
        account_id=account_id,
        key_id=key_id,
        received_ms=received_ms,
        lines_count=batch.lines_count,
        hostname=hostname[: limits.HOST_CHARACTERS_MAX],
        ip=_plausible(ip),
        ip_remote=ip_remote,
        mac=_plausible(mac),
        tags=tags,
        app=app[: limits.APP_CHARACTERS_MAX],
        cut=tuple(name for name, was_cut in is_cut.items() if was_cut),
        user_agent=agent[:USER_AGENT_CHARACTERS_MAX],
    )


def _hostname(batch: Batch, query: QueryParams, ip_remote: str) -> str:
    """The host of the request; '' where the lines name their own."""
    stated = stated_hostname(batch, query, ip_remote)
    if not stated and not (batch.lines_count and _names_host(batch.first_line)):
        raise MissingHostname
    return stated


def stated_hostname(batch: Batch, query: QueryParams, ip_remote: str) -> str:
    """The host that the request names, '' when it names none."""
    stated = clean(query.get("hostname")) or clean(batch.sender.hostname)
    if not stated and batch.sender.apikey is not None:
        # Mezmo: logdna-go, which puts its key into the body, names no host unless told to, and never looks at an
        # answer: a refusal would lose its lines. clients.md 4.7
        return ip_remote
    return stated


def _names_host(line: bytes) -> bool:
    try:
        found = _decode_line_host(line)
    except (msgspec.DecodeError, RecursionError):
        return False
    return bool(clean(found.hostname) or clean(found.host))


def _tag_texts(value: object) -> list[str]:
    if isinstance(value, list):
        return [item for item in value if isinstance(item, str)]
    return [value] if isinstance(value, str) else []


def split_tags(values: Iterable[str]) -> tuple[str, ...]:
    """Tags of repeated and comma-separated values, each once."""
    tags = (clean(tag) for value in values for tag in value.split(","))
    # Mezmo: the browser library sends the text `undefined` when no tags are set. mezmo-api 5.1
    return tuple(dict.fromkeys(tag for tag in tags if tag and tag != "undefined"))


def clean(value: object) -> str:
    """A text without blanks around it and without surrogates; anything else is ''."""
    if not isinstance(value, str):
        return ""
    return value.strip().encode("utf-8", errors="replace").decode()


def _plausible(text: str) -> str:
    return text if PLAUSIBLE.fullmatch(text) else ""


def render_accepted(seq: int | None) -> Mapping[str, str]:
    """The answer to an accepted batch; an empty one has no number."""
    # Mezmo: newer servers add batchID. Ours is the `_bid` of the batch's lines. mezmo-api 5.8, 24 Q13
    return {"status": "ok"} | ({"batchID": f"{seq}:0:logboom"} if seq else {})
