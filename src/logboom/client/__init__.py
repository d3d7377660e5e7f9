"""The HTTP client of a Logboom server: what the commands and scripts speak through.

It knows the server only by the wire, and imports nothing of it.
"""

from logboom.client.client import EventSelection, LogboomClient, Selection
from logboom.client.errors import (
    AnswerMalformed,
    ClientError,
    KeyMissing,
    NothingThere,
    ServerFailed,
    ServerRefused,
    ServerUnreachable,
    UrlInvalid,
)
from logboom.client.wire import Event, Key, KeyChange, KeyKind, Policy, Sent, Verification

__all__ = [
    "AnswerMalformed",
    "ClientError",
    "Event",
    "EventSelection",
    "Key",
    "KeyChange",
    "KeyKind",
    "KeyMissing",
    "LogboomClient",
    "NothingThere",
    "Policy",
    "Selection",
    "Sent",
    "ServerFailed",
    "ServerRefused",
    "ServerUnreachable",
    "UrlInvalid",
    "Verification",
]
