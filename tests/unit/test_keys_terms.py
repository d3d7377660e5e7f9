"""A key's terms: what is read of them and in which words they are refused, and when a key that opens exceeds them."""

import pytest

from logboom.errors import ValidationFailed
from logboom.keys.bounds import TOO_LARGE, Bounds
from logboom.keys.key import Caller, KeyKind
from logboom.keys.meter import Meter
from logboom.keys.narrowing import Narrowing
from logboom.keys.scopes import Scope
from logboom.keys.term_wire import read_limits, read_narrowing, read_network
from logboom.keys.terms import Limits, Network, OnExcess, Terms, read_term, render_term, terms_of
from logboom.keys.verdict import Refusal, Refused
from logboom.limits import (
    APP_CHARACTERS_MAX,
    HELD_RETRY_AFTER_S_MAX,
    HOST_CHARACTERS_MAX,
    NETWORKS_MAX,
    PATTERNS_MAX,
    PER_DAY_MAX,
    REQUESTS_PER_S_MAX,
    TAG_CHARACTERS_MAX,
)

DAY_S = 86_400
NOON_MS = 1_700_000_000_000 - 1_700_000_000_000 % (DAY_S * 1_000) + DAY_S * 500


def refused(read, given):
    """What is said of each member that is wrong."""
    with pytest.raises(ValidationFailed) as raised:
        read("term", given)
    for detail in raised.value.details:
        assert detail.message.startswith(f'"{detail.key}" ')
    return [(detail.key, detail.message.partition('" ')[2]) for detail in raised.value.details]


# -- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [read_narrowing, read_network, read_limits])
def test_null_is_no_term_and_nothing_else_but_an_object_is_one(read):
    assert read("term", None) is None
    for given in ([], "a", 1, True):
        assert refused(read, given) == [("term", "must be of type object")]
    assert refused(read, {"x": 1}) == [("term.x", "is not allowed")]


def test_a_narrowing_is_read():
    given = {"apps": ["web", "edge-*", "web", "*"], "hosts": ["h"], "tags": ["t" * TAG_CHARACTERS_MAX]}
    narrowing = Narrowing(apps=("web", "edge-*", "*"), hosts=("h",), tags=("t" * TAG_CHARACTERS_MAX,))
    assert read_narrowing("term", given) == narrowing
    assert read_narrowing("term", {"hosts": ["h"]}) == Narrowing(hosts=("h",))


NO_PATTERN = "must be a text, or the beginning of one with * at its end"
NO_NARROWINGS = [
    ({}, [("term", "must have at least one of apps, hosts and tags, or be null")]),
    ({"apps": "web"}, [("term.apps", "must be an array")]),
    ({"apps": None}, [("term.apps", "must be an array")]),
    ({"apps": []}, [("term.apps", f"must contain 1 to {PATTERNS_MAX} items")]),
    ({"tags": ["a"] * (PATTERNS_MAX + 1)}, [("term.tags", f"must contain 1 to {PATTERNS_MAX} items")]),
    ({"apps": ["a", 1]}, [("term.apps[1]", "must be a string")]),
    ({"apps": ["", "a"]}, [("term.apps[0]", NO_PATTERN)]),
    ({"apps": ["*a"]}, [("term.apps[0]", NO_PATTERN)]),
    ({"apps": ["a*b"]}, [("term.apps[0]", NO_PATTERN)]),
    ({"apps": ["a**"]}, [("term.apps[0]", NO_PATTERN)]),
    ({"apps": ["\0"]}, [("term.apps[0]", "must not contain NULs or unpaired surrogates")]),
    ({"apps": [1, "", "b"], "hosts": 1}, [
        ("term.apps[0]", "must be a string"),
        ("term.apps[1]", NO_PATTERN),
        ("term.hosts", "must be an array"),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("given", "said"), NO_NARROWINGS)
def test_a_narrowing_that_is_none_is_refused(given, said):
    assert refused(read_narrowing, given) == said


@pytest.mark.parametrize(
    ("member", "characters_max"),
    [("apps", APP_CHARACTERS_MAX), ("hosts", HOST_CHARACTERS_MAX), ("tags", TAG_CHARACTERS_MAX)],
)
def test_patterns_are_as_long_as_what_they_stand_for(member, characters_max):
    assert read_narrowing("term", {member: ["x" * characters_max]})
    long = [(f"term.{member}[0]", f"length must be less than or equal to {characters_max} characters long")]
    assert refused(read_narrowing, {member: ["x" * (characters_max + 1)]}) == long
    most = [str(number) for number in range(PATTERNS_MAX)]
    assert len(getattr(read_narrowing("term", {member: most}), member)) == PATTERNS_MAX


def test_a_network_is_read():
    given = {"allow": [" 192.0.2.0/24", "2001:DB8::/32", "192.0.2.0/24"], "deny": ["192.0.2.7"], "dry_run": True}
    network = Network(allow=("192.0.2.0/24", "2001:db8::/32"), deny=("192.0.2.7/32",), dry_run=True)
    assert read_network("term", given) == network
    assert read_network("term", {"deny": ["192.0.2.7"], "allow": []}) == Network(deny=("192.0.2.7/32",))


NO_NETWORK = "must be a network such as 192.0.2.0/24 or 2001:db8::/32, without host bits"
NO_NETWORKS = [
    ({}, [("term", "must have at least one of allow and deny, or be null")]),
    ({"allow": [], "deny": [], "dry_run": True}, [("term", "must have at least one of allow and deny, or be null")]),
    ({"allow": ["a", 1, "192.0.2.1/24"]}, [
        ("term.allow[0]", NO_NETWORK),
        ("term.allow[1]", "must be a string"),
        ("term.allow[2]", NO_NETWORK),
    ]),
    ({"deny": ["10.0.0.0/8"], "dry_run": 1}, [("term.dry_run", "must be a boolean")]),
    ({"deny": ["a"] * (NETWORKS_MAX + 1)}, [("term.deny", f"must contain 0 to {NETWORKS_MAX} items")]),
]  # fmt: skip


@pytest.mark.parametrize(("given", "said"), NO_NETWORKS)
def test_a_network_that_is_none_is_refused(given, said):
    assert refused(read_network, given) == said


def test_limits_are_read():
    given = {
        "requests_per_s": REQUESTS_PER_S_MAX,
        "bytes_per_day": PER_DAY_MAX,
        "lines_per_day": 1,
        "on_excess": "refuse",
    }
    limits = Limits(
        requests_per_s=REQUESTS_PER_S_MAX, bytes_per_day=PER_DAY_MAX, lines_per_day=1, on_excess=OnExcess.REFUSE
    )
    assert read_limits("term", given | {"on_excess": "refuse"}) == limits
    assert read_limits("term", {"requests_per_s": 1}) == Limits(requests_per_s=1)


@pytest.mark.parametrize("given", [0, -1, REQUESTS_PER_S_MAX + 1, True, False, 1.0, "1", None, []])
def test_a_limit_that_is_none_is_refused(given):
    said = [("term.requests_per_s", f"must be a number from 1 to {REQUESTS_PER_S_MAX}")]
    assert refused(read_limits, {"requests_per_s": given}) == said


def test_limits_need_one():
    for given in ({}, {"on_excess": "hold"}):
        assert refused(read_limits, given) == [("term", "must have at least one limit, or be null")]
    assert refused(read_limits, {"on_excess": "drop"}) == [("term.on_excess", "must be one of [hold, refuse]")]


# -- keeping ----------------------------------------------------------------------------------------------------------


def test_terms_come_back_as_they_were_stored():
    limits = '{"requests_per_s":5,"on_excess":"hold"}'
    found = terms_of('{"apps":["web"]}', '{"allow":["192.0.2.0/24"]}', limits)
    assert found == Terms(
        narrowing=Narrowing(apps=("web",)),
        network=Network(allow=("192.0.2.0/24",)),
        limits=Limits(requests_per_s=5, on_excess=OnExcess.HOLD),
    )
    assert terms_of(None, None, None) is None
    assert terms_of('{"tags":["a"]}', None, None) == Terms(narrowing=Narrowing(tags=("a",)))
    assert terms_of(None, '{"deny":["::/0"]}', None) == Terms(network=Network(deny=("::/0",)))
    assert terms_of(None, None, '{"lines_per_day":3}') == Terms(limits=Limits(lines_per_day=3))


@pytest.mark.parametrize(
    "stored",
    [("[]", None, None), (None, '{"allow":["x"]}', None), (None, '{"deny":["x"]}', None), (None, None, "{")],
)
def test_what_was_stored_by_somebody_else_is_not_believed(stored):
    with pytest.raises(ValueError):  # noqa: PT011 -- whatever the reader says
        terms_of(*stored)


def test_a_term_is_shown_without_what_is_no_bound():
    assert render_term(None) is None
    assert render_term(Limits(lines_per_day=5)) == {"lines_per_day": 5}
    assert read_term(None, Limits) is None
    assert read_term('{"lines_per_day":5}', Limits) == Limits(lines_per_day=5)


# -- exceeding --------------------------------------------------------------------------------------------------------


@pytest.fixture
def bounds():
    return Bounds(Meter(now_ms=lambda: NOON_MS, monotonic_s=lambda: 0.0))


def caller(name="a", kind=KeyKind.INGESTION, scopes=None, **terms):
    return Caller(account_id="c" * 10, key_id=name, kind=kind, scopes=scopes, terms=Terms(**terms) if terms else None)


def test_without_terms_nothing_is_exceeded(bounds):
    free = caller()
    assert bounds.find_misuse(free, "", [Scope.KEYS_MANAGE]) is None
    assert bounds.find_excess(free, is_counted=True) is None
    assert bounds.find_misfit(free, b"[", app="", host="", tags=()) is None
    assert bounds.count(free, lines=10**12, body_bytes=10**12) is None
    assert bounds.take_back(free, lines=1, body_bytes=1) is None


def test_misuse_is_told_by_scope_and_by_address(bounds):
    narrow = caller(scopes=frozenset({Scope.KEYS_READ}), network=Network(allow=("192.0.2.0/24",)))
    assert bounds.find_misuse(narrow, "192.0.2.1", [Scope.KEYS_READ]) is None
    missing = Refused(caller=narrow, refusal=Refusal.SCOPE_MISSING, scopes=(Scope.KEYS_MANAGE,))
    assert bounds.find_misuse(narrow, "198.51.100.1", [Scope.KEYS_READ, Scope.KEYS_MANAGE]) == missing
    assert bounds.find_misuse(narrow, "198.51.100.1", []) == Refused(caller=narrow, refusal=Refusal.ADDRESS)
    trying = caller(network=Network(deny=("192.0.2.1",), dry_run=True))
    assert bounds.find_misuse(trying, "192.0.2.1", []) == Refused(
        caller=trying, refusal=Refusal.ADDRESS, is_dry_run=True
    )


@pytest.mark.parametrize(
    ("kind", "on_excess", "is_held"),
    [
        (KeyKind.INGESTION, None, True),
        (KeyKind.INGESTION, OnExcess.HOLD, True),
        (KeyKind.INGESTION, OnExcess.REFUSE, False),
        (KeyKind.SERVICE, None, False),
    ],
)
def test_too_many_requests_are_held_or_refused(bounds, kind, on_excess, is_held):
    limited = caller(kind=kind, limits=Limits(requests_per_s=2, on_excess=on_excess))
    assert [bounds.find_excess(limited, is_counted=False) for _ in range(3)] == [None] * 3
    assert [bounds.find_excess(limited, is_counted=True) for _ in range(2)] == [None] * 2
    expected = Refused(caller=limited, refusal=Refusal.RATE, retry_after_s=1, is_held=is_held)
    assert bounds.find_excess(limited, is_counted=True) == expected
    assert bounds.find_excess(caller("b", kind, limits=Limits(requests_per_s=2)), is_counted=True) is None


@pytest.mark.parametrize(
    ("on_excess", "retry_after_s", "is_held"),
    [(OnExcess.HOLD, HELD_RETRY_AFTER_S_MAX, True), (OnExcess.REFUSE, DAY_S // 2, False)],
)
def test_a_full_day_is_told_before_and_when_a_batch_comes(bounds, on_excess, retry_after_s, is_held):
    limits = Limits(lines_per_day=10, bytes_per_day=100, requests_per_s=1, on_excess=on_excess)
    limited = caller(limits=limits)
    full = Refused(caller=limited, refusal=Refusal.DAY_FULL, retry_after_s=retry_after_s, is_held=is_held)
    assert bounds.count(limited, lines=6, body_bytes=60) is None
    assert bounds.find_excess(limited, is_counted=False) is None
    assert bounds.count(limited, lines=5, body_bytes=1) == full
    assert bounds.count(limited, lines=1, body_bytes=41) == full
    assert bounds.count(limited, lines=4, body_bytes=40) is None
    assert bounds.find_excess(limited, is_counted=True) == full
    bounds.take_back(limited, lines=4, body_bytes=40)
    assert bounds.find_excess(limited, is_counted=True) is None
    assert bounds.count(limited, lines=4, body_bytes=40) is None


@pytest.mark.parametrize(("lines", "body_bytes", "is_too_large"), [(11, 1, True), (1, 101, True), (10, 100, False)])
def test_a_batch_that_fits_on_no_day_is_told_so(bounds, lines, body_bytes, is_too_large):
    limited = caller(limits=Limits(lines_per_day=10, bytes_per_day=100))
    assert bounds.count(limited, lines=1, body_bytes=1) is None
    assert bounds.count(limited, lines=lines, body_bytes=body_bytes).detail == (TOO_LARGE if is_too_large else "")


@pytest.mark.parametrize("limits", [Limits(lines_per_day=10), Limits(bytes_per_day=10)])
def test_one_of_two_limits_leaves_the_other_free(bounds, limits):
    limited = caller(limits=limits)
    few, many = (10, 10**9) if limits.lines_per_day else (10**9, 10)
    assert bounds.count(limited, lines=few, body_bytes=many) is None
    assert bounds.count(limited, lines=few, body_bytes=many).detail == ""
    assert bounds.find_excess(limited, is_counted=True).refusal is Refusal.DAY_FULL


def test_limits_of_requests_alone_count_no_lines(bounds):
    limited = caller(limits=Limits(requests_per_s=1))
    assert bounds.count(limited, lines=10**9, body_bytes=10**9) is None
    assert bounds.take_back(limited, lines=1, body_bytes=1) is None
    assert bounds.find_excess(limited, is_counted=True) is None


def test_what_does_not_fit_is_told(bounds):
    web = caller(narrowing=Narrowing(apps=("web",), hosts=("h",), tags=("t",)))
    assert bounds.find_misfit(web, b'[{"line":"x"}]', app="web", host="h", tags=["t"]) is None
    for line, app, host, tags, what in (
        (b'[{"line":"x"}]', "db", "h", [], 'app "db"'),
        (b'[{"line":"x"}]', "web", "i", [], 'host "i"'),
        (b'[{"line":"x"}]', "web", "h", ["u"], 'tag "u"'),
        (b'[{"line":"x","app":"db"}]', "web", "h", [], 'app "db"'),
    ):
        expected = Refused(caller=web, refusal=Refusal.NARROWED, detail=f"The key may not send for the {what}.")
        assert bounds.find_misfit(web, line, app=app, host=host, tags=tags) == expected
