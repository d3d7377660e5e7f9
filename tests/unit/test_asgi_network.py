"""Addresses, lists of networks, and the client behind proxies. Evidence: keys.md 5.11; ASVS 15.3.4."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logboom.asgi.network import Networks, TrustedProxies, parse_address, parse_network

NUMBERS_4 = st.integers(0, 2**32 - 1)


def networks(version):
    bits = 32 if version == 4 else 128
    made = st.tuples(st.integers(0, 2**bits - 1), st.integers(0, bits))
    return made.map(lambda pair: ip_network((pair[0] >> (bits - pair[1]) << (bits - pair[1]), pair[1])))


ANY_NETWORK = networks(4) | networks(6)
ANY_ADDRESS = st.ip_addresses()


@given(st.lists(ANY_NETWORK, max_size=5), ANY_ADDRESS, st.data())
def test_an_address_lies_in_a_list_exactly_when_it_lies_in_one_of_its_networks(listed, address, data):
    if listed and data.draw(st.booleans()):
        network = data.draw(st.sampled_from(listed))
        address = network[data.draw(st.integers(0, network.num_addresses - 1))]
    texts = [str(network) for network in listed]
    parsed = parse_address(str(address))
    expected = any(parsed in parse_network(text) for text in texts)
    assert (parsed in Networks(texts)) is expected


@given(NUMBERS_4, st.integers(0, 32))
def test_an_address_of_version_4_is_the_same_however_it_is_written(number, length):
    plain = str(ip_address(number))
    mapped = f"::ffff:{plain}"
    assert parse_address(mapped) == parse_address(plain)
    start = number >> (32 - length) << (32 - length)
    network = ip_network((start, length))
    as_mapped = f"::ffff:{network.network_address}/{96 + length}"
    assert parse_network(as_mapped) == network


@pytest.mark.parametrize(
    "text", ["", "unknown", "testclient", "192.0.2", "192.0.2.1:80", "[::1]", "1.2.3.4 ", "\u0661.2.3.4"]
)
def test_what_is_no_address_is_none(text):
    assert parse_address(text) is None


def test_a_zone_does_not_tell_addresses_apart():
    assert parse_address("fe80::1%eth0") == parse_address("fe80::1")


@pytest.mark.parametrize("text", ["", "192.0.2.1/24", "192.0.2.0/33", "2001:db8::1/32", "web", "192.0.2.0-192.0.2.9"])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(ValueError, match=r".*"):
        parse_network(text)


def test_an_empty_list_is_false_and_holds_nobody():
    assert not Networks([])
    assert parse_address("192.0.2.1") not in Networks([])
    assert Networks(["192.0.2.1"])
    assert not TrustedProxies(Networks([]))


PROXIES = TrustedProxies(Networks(["10.0.0.0/8", "2001:db8::/32"]))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        pytest.param("203.0.113.9", "198.51.100.1", "203.0.113.9", id="a stranger is not believed"),
        pytest.param("10.0.0.1", "198.51.100.1", "198.51.100.1", id="one proxy"),
        pytest.param(
            "10.0.0.1", "198.51.100.1, 203.0.113.7, 10.0.0.2", "203.0.113.7", id="what stands before is hearsay"
        ),
        pytest.param("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3", id="proxies only"),
        pytest.param("10.0.0.1", "", "10.0.0.1", id="nothing said"),
        pytest.param("10.0.0.1", " , ,", "10.0.0.1", id="blanks"),
        pytest.param("10.0.0.1", "198.51.100.1, unknown", None, id="unreadable"),
        pytest.param("10.0.0.1", "nonsense, 198.51.100.1", "198.51.100.1", id="unreadable hearsay"),
        pytest.param("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1", id="a mapped proxy"),
        pytest.param("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1", id="a mapped client"),
        pytest.param("2001:db8::5", "2001:db9::1", "2001:db9::1", id="version 6"),
        pytest.param("10.0.0.1", "198.51.100.1:4711", "198.51.100.1", id="with a port"),
        pytest.param("10.0.0.1", "[2001:db9::1]:4711", "2001:db9::1", id="version 6 with a port"),
        pytest.param("testclient", "198.51.100.1", "testclient", id="a peer without address"),
    ],
)
def test_the_client_is_the_last_one_that_is_no_trusted_proxy(peer, forwarded, client):
    assert PROXIES.client_of(peer, forwarded) == client


@given(st.lists(st.ip_addresses(v=4).map(str)), st.ip_addresses(v=4).map(str))
def test_nobody_becomes_somebody_else_by_what_they_write_themselves(written, own):
    """Behind one trusted proxy, which adds whom it sees, the client is whom it has seen."""
    seen = TrustedProxies(Networks(["10.0.0.1"])).client_of("10.0.0.1", ", ".join([*written, own]))
    assert own in (seen, "10.0.0.1")
