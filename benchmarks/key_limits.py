"""How many keys above the limit come to exist in 100,000 attempts by 40 processes at once, on SQLite and PostgreSQL.

Each round has an account of its own, and every process tries to create keys in it; in half of the rounds they delete,
disable and enable keys in between. `make prove-key_limits` runs it.
"""

import argparse
import tempfile
import time
from pathlib import Path

from limit_race import PROCESSES, live_keys, race_for_slots
from measure import machine_name

from postgresql import find_postgresql, running_cluster

ATTEMPTS = 50  # of each process in each round


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attempts", type=int, default=100_000, help="on each database")
    return parser.parse_args()


def main() -> None:
    # A few more than needed, for some attempts find a free slot, and some are changes instead.
    rounds = 1 + int(parse_arguments().attempts * 1.05 / (PROCESSES * ATTEMPTS))
    print(f"{machine_name()}: {rounds} rounds of {PROCESSES} processes with {ATTEMPTS} attempts each")
    with tempfile.TemporaryDirectory(prefix="logboom-bench-") as folder:
        prove("SQLite", f"sqlite:///{Path(folder) / 'control.db'}", rounds)
    if (binaries := find_postgresql()) is None:
        raise SystemExit("There is no PostgreSQL here: initdb is neither on PATH nor in Debian's place for it.")
    with running_cluster(binaries) as cluster:
        prove("PostgreSQL", cluster.create_database(), rounds)


def prove(name: str, url: str, rounds: int) -> None:
    """Run it on one database, print what came of it, and fail unless all of it is as it must be."""
    began = time.perf_counter()
    planned, outcome = race_for_slots(url, rounds=rounds, attempts=ATTEMPTS)
    took_s = time.perf_counter() - began
    over = {kind.value: max(0, most - kind.keys_max) for kind, most in outcome.most.items()}
    inexact = [this for this in planned if live_keys(url, this) != this.kind.keys_max]
    counts = {what: f"{count:,}" for what, count in sorted(outcome.counts.items())}
    print(f"  {name}: {counts} in {took_s:.0f} s = {outcome.counts.total() / took_s:,.0f} a second")
    print(f"    most at any time {outcome.most}, above the limit {over}, accounts that do not end full {len(inexact)}")
    if any(over.values()) or inexact:
        raise SystemExit("the limit does not hold")


if __name__ == "__main__":
    main()
