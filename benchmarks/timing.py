"""Whether the time of a refusal gives away how right a guess was: dudect's statistic over `Keyring.authenticate`.

Guesses that differ from a real key in one character of 32 are told from random ones by nothing but their time. Each of
three runs has 300,000 fresh guesses against 10,000 keys. The control compares character by character and stops early,
which the instrument must see. `make prove-timing` runs it.
"""

import argparse
import random
import secrets
from collections.abc import Callable, Sequence

from measure import machine_name

import dudect

KEYS = 10_000
RUNS = 3
NOW_MS = 1_700_000_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=300_000, help="guesses of one run, of both classes together")
    samples = parser.parse_args().samples
    print(f"{machine_name()}: {RUNS} runs of {samples:,} guesses, {KEYS:,} keys; a leak is |t| >= {dudect.LEAK_T}")
    known = [secrets.token_hex(16) for _ in range(KEYS)]
    keyring = dudect.keyring_of(known)
    runs = [
        tell("authenticate", lambda guess: keyring.authenticate(guess, NOW_MS), known, samples) for _ in range(RUNS)
    ]
    control = tell("control, stops early", lambda guess: stops_early(known[0], guess), known[:1], samples // 10)
    if any(found.is_leak for found in runs):
        raise SystemExit("the time of a refusal tells how right the guess was")
    if not control.is_leak:
        raise SystemExit("the instrument is blind: it did not see the control")


def stops_early(value: str, guess: str) -> bool:
    return all(mine == yours for mine, yours in zip(value, guess, strict=True))


def tell(name: str, call: Callable[[str], object], known: Sequence[str], samples: int) -> dudect.Difference:
    found = dudect.measure(call, known, samples=samples, chance=random.Random(secrets.randbits(64)))
    print(f"  {name:22} t = {found.t:+8.2f}   near guesses take {found.ns:+8.2f} ns longer (+- {found.error_ns:.2f})")
    return found


if __name__ == "__main__":
    main()
