"""On which terms a key is used: for what it may send, from where, and how much. Pure.

What is kept of them are JSON objects in the columns of the key, None where there is no bound.
"""

from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from typing import TypeVar

import msgspec

from logboom.asgi.network import Networks, parse_address
from logboom.keys.narrowing import Narrowing

Term = TypeVar("Term")


@dataclass(frozen=True, kw_only=True)
class Network:
    """From where a key may be used: from all networks but the denied ones, or of those that are allowed only.

    In a *dry run* nobody is refused; who would be is told of.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    dry_run: bool = False

    @cached_property
    def _allowed(self) -> Networks:
        return Networks(self.allow)

    @cached_property
    def _denied(self) -> Networks:
        return Networks(self.deny)

    def admits(self, address_text: str) -> bool:
        """Whether the key may be used from there. Nowhere, as behind a socket without addresses, is not admitted."""
        address = parse_address(address_text)
        if address is None or address in self._denied:
            return False
        return not self._allowed or address in self._allowed


class OnExcess(StrEnum):
    """What senders are answered when a key has been used too much."""

    HOLD = "hold"  # 504: they keep their lines
    REFUSE = "refuse"  # 429: some throw them away


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much a key may be used; None is no bound. A day is one of UTC."""

    requests_per_s: int | None = None
    bytes_per_day: int | None = None
    lines_per_day: int | None = None
    on_excess: OnExcess | None = None  # HOLD when nothing is said; a service key is always told with 429

    @property
    def is_daily(self) -> bool:
        return self.bytes_per_day is not None or self.lines_per_day is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """All of them. Not all are None."""

    narrowing: Narrowing | None = None
    network: Network | None = None
    limits: Limits | None = None


def render_term(term: Narrowing | Network | Limits | None) -> dict[str, object] | None:
    """The object that stands for a term in JSON; what is no bound is left out."""
    if term is None:
        return None
    return {name: wish for name, wish in asdict(term).items() if wish is not None}


def read_term(stored: str | None, kind: type[Term]) -> Term | None:
    """What `render_term` gave, as it was stored. Raises ValueError for anything else."""
    return None if stored is None else msgspec.json.decode(stored, type=kind)


def terms_of(narrowing: str | None, network: str | None, limits: str | None) -> Terms | None:
    """The terms of a key as they are stored; None when there are none. Raises ValueError."""
    if narrowing is None and network is None and limits is None:
        return None
    places = read_term(network, Network)
    if places is not None:
        Networks((*places.allow, *places.deny))  # what is none is found here, not by a request
    return Terms(narrowing=read_term(narrowing, Narrowing), network=places, limits=read_term(limits, Limits))
