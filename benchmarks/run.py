"""The benchmark: a corpus, a fresh server, ingest, queries, durability; one table, and on request a line of history.

`make bench` runs it. See README.md for what each figure means.
"""

import argparse
import json
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from adapters import Logboom
from machine import Server
from measure import durability, encode_bodies, ingest, load_manifest, machine_name, read_rows, run_queries

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parents[1] / "shared" / "data" / "loghub"
LOGBOOM = Path(sys.executable).parent / "logboom"
BATCH_LINES = 1000
CONNECTIONS = 4


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=300_000, help="lines of the corpus")
    parser.add_argument(
        "--samples", type=Path, default=SAMPLES, help="a loghub checkout, with HDFS/HDFS_2k.log and so on"
    )
    parser.add_argument("--repetitions", type=int, default=9, help="of each query")
    parser.add_argument("--durability-lines", type=int, default=20_000)
    parser.add_argument("--durability-tries", type=int, default=3)
    parser.add_argument("--scratch", type=Path, help="folder for the corpus and the data (default: a temporary one)")
    parser.add_argument("--record", action="store_true", help="keep the result in benchmarks/history")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    if not (arguments.samples / "HDFS" / "HDFS_2k.log").is_file():
        raise SystemExit(
            f"No log samples in {arguments.samples}.\n"
            "The corpus is made of loghub's samples, which are not part of this repository: "
            "get its checkout and pass --samples FOLDER (make bench ARGS='--samples FOLDER')."
        )
    with tempfile.TemporaryDirectory(prefix="logboom-bench-", dir=arguments.scratch) as scratch:
        result = run(arguments, Path(scratch))
    print_result(result)
    if arguments.record:
        print(f"recorded in {record(result).relative_to(HERE.parent)}")


def run(arguments: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    corpus = make_corpus(arguments, scratch)
    manifest = load_manifest(corpus)
    ingestion_key, service_key = secrets.token_hex(16), secrets.token_hex(16)
    adapter = Logboom(ingestion_key=ingestion_key, service_key=service_key)

    def new_server(name: str) -> Server:
        return make_server(scratch / name, ingestion_key=ingestion_key, service_key=service_key)

    server = new_server("main")
    start_s = server.start()
    try:
        bodies = encode_bodies(adapter, read_rows(corpus), batch_lines=BATCH_LINES, path=scratch / "bodies")
        ingested = ingest(server, adapter, bodies, manifest, connections=CONNECTIONS)
        queries = run_queries(server, adapter, manifest, repetitions=arguments.repetitions)
    finally:
        server.end()
    tries = []
    for number in range(arguments.durability_tries):
        server = new_server(f"durability{number}")
        try:
            tries.append(durability(server, adapter, corpus, lines=arguments.durability_lines, scratch=scratch))
        finally:
            server.end()
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine_name(),
        "corpus": {name: manifest[name] for name in ("lines", "seed", "line_bytes", "file_bytes")},
        "batch_lines": BATCH_LINES,
        "start_s": round(start_s, 2),
        "ingest": ingested,
        "queries": queries,
        "durability": tries,
    }


def make_corpus(arguments: argparse.Namespace, scratch: Path) -> Path:
    """Write the corpus of the last 24 hours; the same seed makes the same lines but for their times."""
    corpus = scratch / "corpus.ndjson"
    command = [sys.executable, HERE / "corpus.py", "--lines", str(arguments.lines), "--out", corpus]
    subprocess.run([*command, "--samples", arguments.samples], check=True)
    return corpus


def make_server(folder: Path, *, ingestion_key: str, service_key: str) -> Server:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    variables = {
        "LOGBOOM_LISTEN": address,
        "LOGBOOM_DATA_DIR": str(folder),
        "LOGBOOM_BOOTSTRAP_OWNER_EMAIL": "owner@example.com",
        "LOGBOOM_BOOTSTRAP_OWNER_PASSWORD": secrets.token_hex(16),
        "LOGBOOM_BOOTSTRAP_INGESTION_KEY": ingestion_key,
        "LOGBOOM_BOOTSTRAP_SERVICE_KEY": service_key,
    }
    return Server(command=[str(LOGBOOM), "serve"], variables=variables, url=f"http://{address}", folder=folder)


def print_result(result: dict[str, Any]) -> None:
    ingested = result["ingest"]
    shape = f"{CONNECTIONS} connections x {BATCH_LINES} lines"
    print(f"\n{ingested['lines']:,} lines of {ingested['line_bytes']} bytes, {shape}")
    yardsticks = f"{ingested['server_yardsticks']} yardsticks (orjson.loads: {ingested['yardstick_cpu_s_per_m']})"
    parts = ", ".join(f"{name} {size} MB" for name, size in ingested["disk_mb"].items() if size)
    table = {
        "lines a second, searchable": f"{ingested['lines_per_s']:,}",
        "server CPU s per million lines": f"{ingested['server_cpu_s_per_m']} = {yardsticks}",
        "  of it until the last 200": ingested["server_cpu_s_per_m_acked"],
        "ack ms, median / 99 %": f"{ingested['ack_ms_p50']} / {ingested['ack_ms_p99']}",
        "disk bytes a line": f"{ingested['disk_bytes_per_line']} ({parts})",
        "peak memory MB": ingested["peak_memory_mb"],
        "loader CPU s per million": ingested["loader_cpu_s_per_m"],
        "cores busy with other work": ingested["other_cores"],
    }
    for name, figure in table.items():
        print(f"  {name:32} {figure}")
    print(f"\n  {'query':16} {'median ms':>10} {'first byte':>10} {'CPU ms':>8}")
    for kind, query in result["queries"].items():
        print(f"  {kind:16} " + query_row(query))
    print(
        "\n  kill -9 after the last 200: "
        + ", ".join(f"{one['lost']} of {one['acked']} lost" for one in result["durability"])
    )


def query_row(query: dict[str, Any]) -> str:
    if "absent" in query:
        return query["absent"]
    wrong = "" if query["right"] else f"  WRONG: {query['found']}, not {query['expected']}"
    return f"{query['median_ms']:>10} {query['first_byte_ms']:>10} {query['cpu_ms']:>8}{wrong}"


def record(result: dict[str, Any]) -> Path:
    """Keep *result* as a file of its own, named by its time."""
    folder = HERE / "history"
    folder.mkdir(exist_ok=True)
    path = folder / f"{result['at'].replace(':', '').replace('-', '')}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path


if __name__ == "__main__":
    main()
