"""What looking for our own key values in every line costs, whether all of them are found, and nothing else.

The lines are loghub's samples: as they are, and each with a trace id of 32 hex digits of its own, the shape of a key.
`make prove-leaks` runs it and fails when a goal of keys.md section 8 is missed.
"""

import argparse
import json
import time
from pathlib import Path

from measure import machine_name

from leak_corpus import Door, bodies, cost_us, count_false, plant, read_lines

SAMPLES = Path(__file__).resolve().parents[2] / "shared" / "data" / "loghub"
KEYS = 30_000  # a thousand full accounts
COST_US_MAX = 2.0
RECALL_MIN = 0.999


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, default=SAMPLES, help="a loghub checkout, with HDFS/HDFS_2k.log ...")
    parser.add_argument("--planted", type=int, default=200_000)
    parser.add_argument("--times", type=int, default=100, help="how often all lines are looked through for false finds")
    parser.add_argument("--rounds", type=int, default=15)
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    lines = read_lines(arguments.samples)
    if not lines:
        raise SystemExit(f"No log samples in {arguments.samples}: get loghub's checkout and pass --samples FOLDER.")
    print(f"{machine_name()}: {len(lines):,} lines")
    is_cheap = measure_cost(lines, arguments.rounds)
    recall = plant(Door(1_000), lines, arguments.planted, seed=1)
    print(f"  planted {recall.planted.total():,} values in {len(recall.planted)} forms: found {recall.share:.4%}")
    print(f"    lines of which something else is altered: {recall.altered}")
    for form in recall.planted - recall.found:
        print(f"    {form}: {recall.found[form]:,} of {recall.planted[form]:,}")
    began = time.perf_counter()
    false = count_false(lines, times=arguments.times, keys=1_000)
    took_s = time.perf_counter() - began
    print(f"  false redactions in {len(lines) * arguments.times:,} lines: {false} ({took_s:.0f} s)")
    if not is_cheap or recall.share < RECALL_MIN or recall.altered or false:
        raise SystemExit("a goal is missed")


def measure_cost(lines: list[str], rounds: int) -> bool:
    """Print what a line costs, beside what parsing it costs. Returns whether it is within the goal."""
    door, is_cheap = Door(KEYS), True
    for name, has_trace_id in (("plain lines", False), ("a trace id on each", True)):
        for batch_lines in (1, 10, 100, 1_000):
            sent = bodies(lines, batch_lines=batch_lines, has_trace_id=has_trace_id)
            cost = cost_us(door, sent, len(lines), rounds=rounds)
            print(f"  {name}, {batch_lines:>5} a batch: {cost:.2f} us a line")
            is_cheap &= cost <= COST_US_MAX or batch_lines < 100
    began = time.thread_time_ns()
    for body in bodies(lines):
        json.loads(body)
    print(f"  (json.loads of the same: {(time.thread_time_ns() - began) / len(lines) / 1000:.2f} us a line)")
    return is_cheap


if __name__ == "__main__":
    main()
