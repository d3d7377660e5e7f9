"""Asks whether the time of a call gives away how right its argument is, as dudect does: two classes, one statistic.

Both classes get inputs that were never used before. With one fixed input for each, a table finds one of the two a
little earlier by luck, and the statistic calls that a leak. All inputs are cut out of one text, so that they are made
alike, and their order is drawn by lot. *Near* ones differ from a known value in one character; the others are random.
"""

import gc
import math
import random
import secrets
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from logboom.keys.key import Caller, KeyKind
from logboom.keys.keyring import Keyring
from logboom.keys.vault import Vault
from logboom.keys.verdict import Standing

HEX_DIGITS = "0123456789abcdef"
CHARACTERS = 32
LEAK_T = 4.5  # what dudect calls a leak: by chance alone it comes once in 150,000 times
# Of the slowest samples the machine is the cause; the statistic is taken with and without them.
KEPT_SHARES = (1.0, 0.95, 0.5)


@dataclass(frozen=True)
class Difference:
    """By how much near inputs take longer than random ones, and how sure that is."""

    t: float
    ns: float
    error_ns: float
    samples: int

    @property
    def is_leak(self) -> bool:
        return abs(self.t) >= LEAK_T


def keyring_of(values: Sequence[str]) -> Keyring:
    """A keyring in which each of *values* opens a key of its own."""
    vault = Vault(secrets.token_bytes(32), random_bytes=secrets.token_bytes)
    callers = (Caller(account_id="a" * 10, key_id=f"{n:024x}", kind=KeyKind.INGESTION) for n in range(len(values)))
    keyring = Keyring(vault)
    keyring.replace({vault.digest(value): Standing(caller=who) for value, who in zip(values, callers, strict=True)})
    return keyring


def measure(call: Callable[[str], object], known: Sequence[str], *, samples: int, chance: random.Random) -> Difference:
    """Time *call* with *samples* inputs of both classes together; of the statistics the one that is farthest from 0."""
    near, other = [], []
    for _ in range(0, samples, 10_000):
        for is_near, took_ns in _time_batch(call, known, min(samples, 10_000), chance):
            (near if is_near else other).append(took_ns)
    differences = [_compare(*_fastest(near, other, share)) for share in KEPT_SHARES]
    return max(differences, key=lambda difference: abs(difference.t))


def _time_batch(
    call: Callable[[str], object], known: Sequence[str], count: int, chance: random.Random
) -> list[tuple[bool, int]]:
    classes = [chance.random() < 0.5 for _ in range(count)]
    text = "".join(_near(chance.choice(known), chance) if is_near else _random(chance) for is_near in classes)
    inputs = [text[start : start + CHARACTERS] for start in range(0, len(text), CHARACTERS)]
    clock, took = time.perf_counter_ns, []
    gc.collect()
    gc.disable()
    for value in inputs:
        began = clock()
        call(value)
        took.append(clock() - began)
    gc.enable()
    return list(zip(classes, took, strict=True))


def _near(value: str, chance: random.Random) -> str:
    place = chance.randrange(CHARACTERS)
    digit = chance.choice(HEX_DIGITS.replace(value[place], ""))
    return value[:place] + digit + value[place + 1 :]


def _random(chance: random.Random) -> str:
    return f"{chance.getrandbits(4 * CHARACTERS):0{CHARACTERS}x}"


def _fastest(near: list[int], other: list[int], share: float) -> tuple[list[int], list[int]]:
    """Both classes, cut off at the time that this share of all samples does not exceed."""
    together = sorted(near + other)
    most_ns = together[math.ceil(len(together) * share) - 1]
    return [took for took in near if took <= most_ns], [took for took in other if took <= most_ns]


def _compare(near: list[int], other: list[int]) -> Difference:
    """Welch's t: the difference of the means in units of its own error."""
    error_ns = math.sqrt(statistics.variance(near) / len(near) + statistics.variance(other) / len(other))
    ns = statistics.fmean(near) - statistics.fmean(other)
    return Difference(t=ns / error_ns, ns=ns, error_ns=error_ns, samples=len(near) + len(other))
