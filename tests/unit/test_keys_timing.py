"""How long a refusal takes does not tell how right the guess was; benchmarks/timing.py asks with 900,000 guesses."""

import random
import secrets

import pytest

import dudect

KEYS = 300
SAMPLES = 20_000
TRIES = 3
NOW_MS = 1_700_000_000_000


@pytest.fixture
def chance():
    return random.Random(secrets.randbits(64))  # noqa: S311 -- guesses of a test; fresh ones each time


@pytest.fixture
def known():
    return [secrets.token_hex(16) for _ in range(KEYS)]


def test_a_guess_that_is_nearly_right_takes_as_long_as_any(known, chance):
    keyring = dudect.keyring_of(known)
    # A leak shows again with other guesses; what the machine did meanwhile does not.
    tries = (
        dudect.measure(lambda value: keyring.authenticate(value, NOW_MS), known, samples=SAMPLES, chance=chance)
        for _ in range(TRIES)
    )
    assert not all(found.is_leak for found in tries)


def test_the_instrument_sees_a_comparison_that_stops_early(known, chance):
    (value, *_) = known

    def compare(guess):
        return all(mine == yours for mine, yours in zip(value, guess, strict=True))

    found = dudect.measure(compare, [value], samples=SAMPLES, chance=chance)
    assert found.t > 4 * dudect.LEAK_T
