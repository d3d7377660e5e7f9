"""Network addresses: how they are read, whether one lies in a list of networks, and which one is a client's.

An IPv4 address that is written as IPv6 (`::ffff:192.0.2.1`) is the IPv4 address: which of the two a server sees depends
on how it listens, and a rule for the one must not be got round by the other.
"""

from collections.abc import Iterable
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAPPED: Final = IPv6Network("::ffff:0:0/96")


def parse_address(text: str) -> Address | None:
    """The address, None when *text* is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or (IPv6Address(int(address)) if address.scope_id else address)
    return address


def parse_network(text: str) -> Network:
    """An address, or a network in CIDR form without host bits. Raises ValueError."""
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.subnet_of(MAPPED):
        mapped = int(network.network_address) & 0xFFFF_FFFF
        return IPv4Network((mapped, network.prefixlen - MAPPED.prefixlen))
    return network


class Networks:
    """A list of networks, of both versions."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._networks = [parse_network(text) for text in texts]

    @cached_property
    def _ranges(self) -> dict[int, list[tuple[int, int]]]:
        """By version the first and the last address of each, as numbers: comparing those is fast."""
        ranges: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
        for network in self._networks:
            ranges[network.version].append((int(network.network_address), int(network.broadcast_address)))
        return ranges

    def __contains__(self, address: Address) -> bool:
        number = int(address)
        return any(first <= number <= last for first, last in self._ranges[address.version])

    def __bool__(self) -> bool:
        return bool(self._networks)


class TrustedProxies:
    """Tells the client behind proxies, whose word is taken only when they are known.

    Anybody can write an `X-Forwarded-For`, and each proxy adds behind it whom it has seen. So the list is read from its
    end, and the first address that is no trusted proxy is the client; what stands before it is hearsay.
    """

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    def client_of(self, peer: str, forwarded: str) -> str | None:
        """The client's address for a request of *peer*; None when a trusted proxy says something unreadable."""
        if not self._is_trusted(peer):
            return peer
        hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
        client = peer
        for hop in reversed(hops):
            address = parse_address(_without_port(hop))
            if address is None:
                return None
            client = str(address)
            if address not in self._networks:
                return client
        return client

    def __bool__(self) -> bool:
        return bool(self._networks)

    def _is_trusted(self, text: str) -> bool:
        address = parse_address(text)
        return address is not None and address in self._networks


def _without_port(hop: str) -> str:
    """Some proxies write `192.0.2.1:4711` or `[2001:db8::1]:4711`."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
