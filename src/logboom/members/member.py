"""What a member is, and the rules of e-mail addresses and passwords."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from logboom.errors import Detail, ValidationFailed

MEMBER_ID_BYTES = 5
EMAIL_CHARACTERS_MAX = 254  # the longest address that SMTP can carry, RFC 5321 4.5.3.1.3
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")

PASSWORD_CHARACTERS_MIN = 8  # OWASP ASVS 5.0, 6.2.1
PASSWORD_CHARACTERS_MAX = 256  # bounds the work of one verification

# Without look-alikes, since people copy a first password from a terminal by hand.
READABLE = "abcdefghijkmnpqrstuvwxyz23456789"
READABLE_GROUPS = 5
READABLE_GROUP_CHARACTERS = 5


class Role(StrEnum):
    """What a member may do."""

    OWNER = "owner"


@dataclass(frozen=True, kw_only=True)
class Member:
    """A person of an account."""

    id: str
    account_id: str
    email: str
    role: Role
    must_change_password: bool
    created_ms: int


def normalize_email(text: str) -> str:
    """*text* in lower case. Raises ValidationFailed when it is no address; only its outline is judged."""
    email = text.strip().lower()
    if len(email) > EMAIL_CHARACTERS_MAX or not email.isprintable() or not EMAIL.fullmatch(email):
        raise ValidationFailed(Detail(message='"email" must be a valid email', key="email"))
    return email


def check_password(password: str) -> None:
    """Raises ValidationFailed when *password* is too short, or too long to be verified cheaply."""
    if len(password) < PASSWORD_CHARACTERS_MIN:
        rule = f"at least {PASSWORD_CHARACTERS_MIN}"
    elif len(password) > PASSWORD_CHARACTERS_MAX:
        rule = f"less than or equal to {PASSWORD_CHARACTERS_MAX}"
    else:
        return
    message = f'"password" length must be {rule} characters long'
    raise ValidationFailed(Detail(message=message, key="password"))


def mint_password(choose: Callable[[str], str]) -> str:
    """25 random characters, 125 bits, in groups that can be read aloud. *choose* is `secrets.choice` or its like."""
    groups = ("".join(choose(READABLE) for _ in range(READABLE_GROUP_CHARACTERS)) for _ in range(READABLE_GROUPS))
    return "-".join(groups)
