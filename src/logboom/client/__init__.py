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
from logboom.client.use import ActiveUser, KeyFinding, KeyImpact, KeyUsage, KeyUser
from logboom.client.wire import Event, Key, KeyChange, KeyKind, Policy, Sent, Verification

__all__ = [
    "ActiveUser",
    "AnswerMalformed",
    "ClientError",
    "Event",
    "EventSelection",
    "Key",
    "KeyChange",
    "KeyFinding",
    "KeyImpact",
    "KeyKind",
    "KeyMissing",
    "KeyUsage",
    "KeyUser",
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
