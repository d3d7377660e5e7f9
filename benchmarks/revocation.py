"""How long four servers on one host go on admitting a key that was revoked, without faults, on SQLite and PostgreSQL.

Each server is a process with its own connections and memory that looks at the watched keys all the time. *Still
admitted* is when a server last began to look and said yes, after the deletion was acknowledged; *refused* is when it
first said no, which includes the time until it looks again. `make prove-revocation` runs it.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from keys_house import WallClock, open_keys_house
from measure import machine_name
from revocation_house import (
    NODES,
    Revocation,
    judge_revocations,
    make_keys,
    revoke,
    running_nodes,
    wait_until_refused,
    watch,
)

from postgresql import find_postgresql, running_cluster

KEYS_AT_ONCE = 10


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--revocations", type=int, default=2_500, help="on each database; each is seen by all servers")
    return parser.parse_args()


def main() -> None:
    revocations = parse_arguments().revocations
    print(f"{machine_name()}: {revocations} revocations, each watched by {NODES} servers")
    with tempfile.TemporaryDirectory(prefix="logboom-bench-") as folder:
        prove("SQLite", f"sqlite:///{Path(folder) / 'control.db'}", revocations)
    if (binaries := find_postgresql()) is None:
        raise SystemExit("There is no PostgreSQL here: initdb is neither on PATH nor in Debian's place for it.")
    with running_cluster(binaries) as cluster:
        prove("PostgreSQL", cluster.create_database(), revocations)


def prove(name: str, url: str, revocations: int) -> None:
    house = open_keys_house(url, clock=WallClock())
    house.keys.load()
    seen: list[Revocation] = []
    with running_nodes(url) as nodes:
        while len(seen) < revocations:
            keys = make_keys(house, KEYS_AT_ONCE)
            watch(nodes, keys)
            seen += judge_revocations("none", revoke(house, keys), wait_until_refused(nodes, keys))
    house.engine.dispose()
    tell(f"  {name}: still admitted", [moment for each in seen for moment in each.stale_s])
    tell(f"  {name}: refused", [moment for each in seen for moment in each.refused_s])


def tell(what: str, moments_s: list[float]) -> None:
    moments = sorted(moment * 1000 for moment in moments_s)
    p50, p99 = statistics.median(moments), moments[int(len(moments) * 0.99)]
    print(f"{what} after: {len(moments):,} sightings, p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {moments[-1]:.2f} ms")


if __name__ == "__main__":
    main()
