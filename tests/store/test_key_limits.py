"""The limits hold against thousands of attempts by many processes at once; benchmarks/key_limits.py makes 100,000."""

from limit_race import PROCESSES, live_keys, race_for_slots

from logboom.keys.key import KeyKind

ROUNDS = 4
ATTEMPTS = 20


def test_no_key_above_the_limit_ever_exists(database_url):
    planned, outcome = race_for_slots(database_url, rounds=ROUNDS, attempts=ATTEMPTS)
    assert [live_keys(database_url, this) for this in planned] == [this.kind.keys_max for this in planned]
    assert outcome.most == {KeyKind.INGESTION: 10, KeyKind.SERVICE: 20}
    assert outcome.counts["unavailable"] == 0
    assert outcome.counts["refused"] > ROUNDS * PROCESSES * (ATTEMPTS - 2)
    assert outcome.counts["created"] - outcome.counts["delete"] == sum(
        this.kind.keys_max - this.before for this in planned
    )
