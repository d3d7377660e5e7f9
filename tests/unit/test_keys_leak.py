"""How what was found in lines is counted, without growing for whoever makes up names."""

import pytest

from logboom.keys import leak as leaks
from logboom.keys.key import Caller, KeyKind
from logboom.keys.leak import DAY_MS, Leak, Tallies, Tally
from logboom.keys.redaction import Source

OWN, OTHER = "a" * 10, "b" * 10
CALLER = Caller(account_id=OWN, key_id="c" * 24, kind=KeyKind.INGESTION)
NOON_MS = 19_675 * DAY_MS + DAY_MS // 2


class House:
    """Tallies, their clock, and how often they had news."""

    def __init__(self):
        self.now_ms, self.news = NOON_MS, 0
        self.tallies = Tallies(now_ms=lambda: self.now_ms, on_news=self.hear)

    def hear(self):
        self.news += 1

    def find(self, account_id=OWN, **source):
        self.tallies.found(CALLER, Source(account_id=account_id, **source))


@pytest.fixture
def house():
    return House()


def make_leak(**members):
    usual = {"caller": CALLER, "account_id": OWN, "app": "web", "host": "h", "day_ms": NOON_MS - DAY_MS // 2}
    return Leak(**(usual | members))


def test_what_is_found_is_counted_by_place_and_day(house):
    house.find(app="web", host="h")
    house.now_ms += 5
    house.find(app="web", host="h")
    house.find(app="db", host="h")
    house.now_ms += DAY_MS
    house.find(app="web", host="h")
    assert house.news == 4
    assert house.tallies.take() == {
        make_leak(): Tally(count=2, first_ms=NOON_MS, last_ms=NOON_MS + 5),
        make_leak(app="db"): Tally(count=1, first_ms=NOON_MS + 5, last_ms=NOON_MS + 5),
        make_leak(day_ms=NOON_MS + DAY_MS // 2): Tally(
            count=1, first_ms=NOON_MS + 5 + DAY_MS, last_ms=NOON_MS + 5 + DAY_MS
        ),
    }
    assert house.tallies.take() == {}


def test_of_lines_of_others_the_place_is_not_kept(house):
    house.find(OTHER, app="web", host="h")
    (found,) = house.tallies.take()
    assert found == make_leak(account_id=OTHER, app="", host="")
    assert (found.is_own, make_leak().is_own) == (False, True)


def test_places_are_kept_as_databases_take_them(house):
    house.find(app="a\0b" + "x" * 300, host="\ud800")
    (found,) = house.tallies.take()
    assert (found.app, found.host) == ("ab" + "x" * 252, "?")


def test_tallies_are_added_up():
    early, late = Tally(count=2, first_ms=3, last_ms=8), Tally(count=5, first_ms=1, last_ms=4)
    assert early.plus(late) == late.plus(early) == Tally(count=7, first_ms=1, last_ms=8)
    assert early.plus(None) is early


def test_what_could_not_be_written_is_counted_again(house):
    house.find(app="web", host="h")
    taken = house.tallies.take()
    house.now_ms += 7
    house.find(app="web", host="h")
    house.tallies.add(taken)
    assert house.tallies.take() == {make_leak(): Tally(count=2, first_ms=NOON_MS, last_ms=NOON_MS + 7)}


def test_made_up_places_are_counted_without_their_names_when_there_are_too_many(house, monkeypatch):
    monkeypatch.setattr(leaks, "LEAKS_UNWRITTEN_MAX", 2)
    for number in range(4):
        house.find(app=f"app{number}", host="h")
    house.find(app="app0", host="h")
    counted = {found.app: tally.count for found, tally in house.tallies.take().items()}
    assert counted == {"app0": 2, "app1": 1, "": 2}
    house.find(app="app9", host="h")
    assert [(found.app, found.host) for found in house.tallies.take()] == [("app9", "h")]


def test_places_have_digests_of_their_own():
    others = [make_leak(app="x"), make_leak(host="x"), make_leak(day_ms=0), make_leak(account_id=OTHER)]
    others.append(make_leak(app="web\0h", host=""))
    digests = {each.place_digest for each in (make_leak(), *others)}
    assert len(digests) == 6
    assert {len(digest) for digest in digests} == {16}
    assert make_leak().anywhere() == make_leak(app="", host="")
