"""Takes credentials out of the server's own messages: values of its keys, and whatever stands where a credential does.

The second needs no keyring, so it works from the first message on, and for values that are nobody's.
"""

import re
from typing import Final

from logboom.keys.redaction import redact_message
from logboom.keys.scan import Scanner

# A name, what parts it from its value in headers, addresses, JSON and Python, a scheme, and the value. Values that are
# shorter than a key's are none, and some are no texts: `null` stays what it is.
CREDENTIAL: Final = re.compile(
    r"""
    ( (?:api|service|ingestion)[-_]?key | authorization )
    ( (?: ["'\\]* \s* (?: [:=] | => | %3a | %3d ) | ["'\\]+ \s* , ) \s* [\[(]* ["'\\]* b? ["'\\]* )
    ( (?:basic|bearer|token) (?: \s | %20 | \+ )+ )?
    [^\s"'\\&,;<>(){}\[\]|]{8,}
    """,
    re.IGNORECASE | re.VERBOSE,
)
LOST: Final = '{"event": "message.lost", "effect": "it could not be made safe to show"}\n'


class MessageRedactor:
    """Makes messages safe to show. *scanner* is None until there is a keyring."""

    def __init__(self) -> None:
        self.scanner: Scanner | None = None

    def redact(self, text: str) -> str:
        """*text* without credentials. Never raises: a message is not worth a thread's life."""
        try:
            redacted = CREDENTIAL.sub(_redact_credential, text)
            return redact_message(self.scanner, redacted) if self.scanner else redacted
        except Exception:  # noqa: BLE001 -- neither fail nor show what may hold a value
            return LOST


def _redact_credential(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]}{found[3] or ''}[redacted]"
