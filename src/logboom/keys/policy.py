"""What an account wants of its keys: what new ones are like, and what happens to one that leaks. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from logboom.errors import Detail, ValidationFailed
from logboom.keys.change import Actor
from logboom.keys.key import KeyFormat, KeyKind, Reveal
from logboom.keys.life import render_span


class OnLeak(StrEnum):
    """What happens to a key whose value was found in a line."""

    WARN = "warn"  # it is told of, no more
    HOLD = "hold"
    ROTATE = "rotate"
    DISABLE = "disable"


@dataclass(frozen=True, kw_only=True)
class KeyPolicy:
    """The policy of one account. *changed_ms* is None for the one that nobody has changed."""

    format: KeyFormat = KeyFormat.CLASSIC
    reveal: Reveal = Reveal.ALWAYS
    on_leak_ingestion: OnLeak = OnLeak.WARN
    on_leak_service: OnLeak = OnLeak.WARN
    overlap_idle_ms: int | None = None
    lifetime_max_ms: int | None = None
    audit_lines: bool = False
    changed_ms: int | None = None

    def on_leak(self, kind: KeyKind) -> OnLeak:
        """What happens to a leaked key of this *kind*."""
        return self.on_leak_ingestion if kind is KeyKind.INGESTION else self.on_leak_service


DEFAULT_POLICY: Final = KeyPolicy()


@dataclass(frozen=True, kw_only=True)
class PolicyChange:
    """One change of an account's policy."""

    account_id: str
    before: KeyPolicy
    after: KeyPolicy
    actor: Actor
    at_ms: int


def check_lifetime(policy: KeyPolicy, expires_at_ms: int | None, now_ms: int) -> None:
    """Raises ValidationFailed for a key that would live longer than the policy allows from now on."""
    longest_ms = policy.lifetime_max_ms
    if longest_ms is None or (expires_at_ms is not None and expires_at_ms <= now_ms + longest_ms):
        return
    wanted = "is required" if expires_at_ms is None else "is too late"
    message = f'"expires_at_ms" {wanted}: the account\'s policy lets keys live {render_span(longest_ms)} at most'
    raise ValidationFailed(Detail(message=message, key="expires_at_ms"))
