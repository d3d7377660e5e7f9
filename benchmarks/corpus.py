"""Deterministic log corpus generator (Python standard library only).

Replays the sample lines of a loghub checkout (folders such as HDFS/HDFS_2k.log)
with timestamps moved into the 24 h before --end-ms and with their ids, addresses
and large numbers varied, and mixes in structured JSON lines (access logs and
application logs with nested objects).

Output: NDJSON, one object a line, in (nearly) time order:
    timestamp (ms), line, app, host, level, env, meta (optional object)
Beside FILE it writes FILE.manifest.json: what the benchmark asks for (needles,
phrases, ...) and the true answers, so that every server's answers are checked.

The same --lines, --seed, --end-ms and samples give the same bytes.
"""

import argparse
import hashlib
import json
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from corpus_words import (
    ACCESS_APPS,
    ACCESS_SHARE,
    AGENTS,
    DAY_MS,
    JSON_SHARE,
    LEVEL,
    LEVEL_MAP,
    LEVEL_WEIGHTS,
    LEVELS,
    MESSAGES,
    META_SHARE,
    METHODS,
    NEEDLES,
    RARE_PHRASE,
    RARE_PHRASE_EVERY,
    ROUTES,
    SERVICE_APPS,
    SLOT,
    STATUS,
    SYSTEMS,
    TIMES,
    WORDS,
)

# Literal pieces of a line, what stands between them as (kind, format or length), and the level if it says one.
Template = tuple[list[str], list[tuple[str, Any]], str | None]
# App, level, line, and of a JSON line its trace id and duration.
Made = tuple[str, str, str, tuple[str, float] | None]


def load_templates(folder: Path) -> dict[str, list[Template]]:
    """The lines of FOLDER/SYSTEM/SYSTEM_2k.log, for each system."""
    out: dict[str, list[Template]] = {}
    for system, _, _ in SYSTEMS:
        with (folder / system / f"{system}_2k.log").open(encoding="utf-8", errors="replace") as sample:
            lines = [text.rstrip("\r\n") for text in sample]
        templates = []
        for text in lines:
            if not text.strip():
                continue
            literals, slots, pos = [], [], 0
            for m in SLOT.finditer(text):
                kind = m.lastgroup
                arg = TIMES[int(kind[1:])][1] if kind[0] == "t" and kind[1:].isdigit() else len(m.group())
                literals.append(text[pos : m.start()])
                slots.append(("ts" if isinstance(arg, str) else kind, arg))
                pos = m.end()
            literals.append(text[pos:])
            lv = LEVEL.search(text)
            templates.append((literals, slots, LEVEL_MAP[lv.group(1).lower()] if lv else None))
        out[system] = templates
    return out


class Clock:
    """Formats a moving timestamp; everything but the milliseconds is cached per second."""

    def __init__(self) -> None:
        self.sec = -1

    def set(self, ms: int) -> None:
        sec, self.ms = divmod(ms, 1000)
        if sec != self.sec:
            self.sec = sec
            t = time.gmtime(sec)
            f = time.strftime
            d, hms = f("%Y-%m-%d", t), f("%H:%M:%S", t)
            self.f = {
                "apache": "[" + f("%a %b %d %H:%M:%S %Y", t) + "]",
                "iso": d + " " + hms,
                "iso_under": d + "_" + hms,
                "spark": f("%y/%m/%d ", t) + hms,
                "proxifier": "[" + f("%m.%d ", t) + hms + "]",
                "syslog": f("%b ", t) + f"{t.tm_mday:2d} " + hms,
                "dotdate": f("%Y.%m.%d", t),
                "epoch": str(sec),
                "hdfs": f("%y%m%d %H%M%S", t),
                "iso_comma": d + " " + hms + ",",
                "iso_dot": d + " " + hms + ".",
                "bgl": f("%Y-%m-%d-%H.%M.%S.", t),
                "android": f("%m-%d ", t) + hms + ".",
                "healthapp": f("%Y%m%d-", t) + hms + ":",
                "rfc": d + "T" + hms + ".",
            }

    def get(self, name: str, rnd: random.Random) -> str:
        s = self.f[name]
        if name in ("iso_comma", "iso_dot", "android", "healthapp"):
            return f"{s}{self.ms:03d}"
        if name == "bgl":
            return f"{s}{self.ms:03d}{rnd.randrange(1000):03d}"
        return s


class Generator:
    """Makes the rows, in nearly the order of their times."""

    def __init__(self, templates: dict[str, list[Template]], *, seed: int, end_ms: int, total: int) -> None:
        self.r = random.Random(seed)
        self.templates = templates
        self.clock = Clock()
        self.end, self.start, self.total = end_ms, end_ms - DAY_MS, total
        r = self.r
        roles = ("web",) * 12 + ("app",) * 16 + ("db",) * 6 + ("hdp",) * 10 + ("ops",) * 6
        self.hosts = [f"{role}-{i + 1:02d}.{'eu1' if i % 3 else 'us2'}" for i, role in enumerate(roles)]
        envs = ("production",) * 7 + ("staging",) * 2 + ("development",)
        self.host_env = {h: envs[i % 10] for i, h in enumerate(self.hosts)}
        names = [a for _, a, _ in SYSTEMS] + [a for a, _ in ACCESS_APPS] + [a for a, _ in SERVICE_APPS]
        self.app_hosts = {a: r.sample(self.hosts, r.choice((4, 6, 8, 10, 14))) for a in names}
        for i, h in enumerate(self.hosts):  # every host runs something
            if not any(h in hs for hs in self.app_hosts.values()):
                self.app_hosts[names[i % len(names)]].append(h)
        self.sys_pick = [s for s in SYSTEMS for _ in range(s[2])]
        self.access_pick = [a for a, w in ACCESS_APPS for _ in range(w)]
        self.service_pick = [a for a, w in SERVICE_APPS for _ in range(w)]
        self.level_pick = [level for level, w in zip(LEVELS, LEVEL_WEIGHTS, strict=True) for _ in range(w)]
        self.nums = {n: [self._digits(n) for _ in range(256)] for n in range(4, 21)}
        self.ips = [
            f"{r.choice((10, 172, 192))}.{r.randrange(256)}.{r.randrange(256)}.{r.randrange(1, 255)}"
            for _ in range(3000)
        ]
        self.users = [f"u_{r.randrange(10_000_000):07d}" for _ in range(50_000)]
        self.pods = {a: [f"{a}-{self._hex(9)}-{self._hex(5)}" for _ in range(6)] for a in names}
        # a rate that varies over the day, by minute
        w = [1.0 + 0.5 * (1 - abs(i - 720) / 720) + r.random() * 0.3 for i in range(1440)]
        s, acc, self.edges = sum(w), 0.0, [0.0]
        for x in w:
            acc += x / s
            self.edges.append(acc)
        self.minute = 0

    def _digits(self, n: int) -> str:
        lo = 10 ** (n - 1)
        return str(self.r.randrange(lo, 10 * lo))

    def _hex(self, n: int) -> str:
        return f"{self.r.getrandbits(4 * n):0{n}x}"

    def _num(self, n: int) -> str:
        r = self.r
        pool = self.nums[n]
        k = r.getrandbits(8)
        if n < 7 or r.random() < 0.6:
            return pool[k]
        pool[k] = v = self._digits(n)
        return v

    def _ts(self, i: int) -> int:
        x = i / self.total
        while self.minute < 1439 and x >= self.edges[self.minute + 1]:
            self.minute += 1
        lo, hi = self.edges[self.minute], self.edges[self.minute + 1]
        base = self.start + int((self.minute + (x - lo) / (hi - lo)) * 60_000)
        # one line in twenty arrives up to 2 s late
        if self.r.random() < 0.05:
            base -= self.r.randrange(2000)
        return min(max(base, self.start), self.end - 1)

    def replay(self) -> Made:
        r, get = self.r, self.clock.get
        system, app, _ = r.choice(self.sys_pick)
        literals, slots, level = r.choice(self.templates[system])
        out = [literals[0]]
        add = out.append
        for (kind, arg), lit in zip(slots, literals[1:], strict=True):
            if kind == "ts":
                add(get(arg, r))
            elif kind == "num":
                add(self._num(arg))
            elif kind == "ip":
                add(self.ips[r.getrandbits(11)])
            elif kind == "uuid":
                h = self._hex(32)
                add(f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}")
            else:
                add(self._hex(arg))
            add(lit)
        if level is None:
            level = r.choice(self.level_pick)
        return app, level, "".join(out), None

    def access(self) -> Made:
        r = self.r
        app = r.choice(self.access_pick)
        status = r.choice(STATUS)
        level = "error" if status >= 500 else "warn" if status >= 400 else "info"
        path = r.choice(ROUTES)
        if "{" in path:
            path = path.format(
                n=r.randrange(1, 2_000_000),
                u=r.choice(self.users),
                w=r.choice(WORDS),
                p=r.randrange(1, 9),
                h=self._hex(8),
            )
        duration = round(min(r.lognormvariate(3.4, 1.25), 60_000), 2)
        trace = self._hex(32)
        c = self.clock
        line = (
            f'{{"time":"{c.f["rfc"]}{c.ms:03d}Z","level":"{level}","type":"access","method":"{r.choice(METHODS)}",'
            f'"path":"{path}","status":{status},"duration_ms":{duration},"bytes":{int(r.lognormvariate(7.5, 1.5))},'
            f'"user_id":"{r.choice(self.users)}","remote_ip":"{self.ips[r.getrandbits(11)]}",'
            f'"user_agent":"{r.choice(AGENTS)}","trace_id":"{trace}"}}'
        )
        return app, level, line, (trace, duration)

    def service(self) -> Made:
        r = self.r
        app = r.choice(self.service_pick)
        level = r.choice(self.level_pick)
        msg = r.choice(MESSAGES[level])
        if r.random() < 1 / RARE_PHRASE_EVERY:
            msg, level = RARE_PHRASE, "error"
        c, trace = self.clock, self._hex(32)
        duration = round(min(r.lognormvariate(2.6, 1.4), 60_000), 2)
        obj = {
            "time": f"{c.f['rfc']}{c.ms:03d}Z",
            "level": level,
            "msg": msg,
            "service": app,
            "version": f"2.{r.randrange(12)}.{r.randrange(4)}",
            "trace_id": trace,
            "span_id": self._hex(16),
            "duration_ms": duration,
            "user": {
                "id": r.choice(self.users),
                "plan": r.choice(("free", "pro", "team", "enterprise")),
                "geo": {
                    "country": r.choice(("DE", "US", "FR", "GB", "IN", "BR", "JP")),
                    "city": r.choice(("Berlin", "Austin", "Paris", "Leeds", "Pune", "Recife", "Osaka")),
                },
            },
            "order": {
                "id": r.randrange(10**8),
                "total": round(r.random() * 500, 2),
                "items": r.randrange(1, 9),
                "currency": r.choice(("EUR", "USD", "GBP")),
            },
        }
        if level in ("error", "fatal"):
            obj["error"] = {
                "kind": r.choice(("TimeoutError", "ConnectionError", "ValueError", "DeadlockError")),
                "code": r.randrange(100, 140),
                "stack": f"at {app}.handle({app}.py:{r.randrange(20, 900)})",
            }
        return app, level, json.dumps(obj, separators=(",", ":")), (trace, duration)

    def rows(self) -> Iterator[tuple[dict[str, Any], tuple[str, float] | None]]:
        r = self.r
        for i in range(self.total):
            ts = self._ts(i)
            self.clock.set(ts)
            x = r.random()
            make = self.replay if x >= JSON_SHARE else self.access if x < JSON_SHARE * ACCESS_SHARE else self.service
            app, level, line, js = make()
            host = r.choice(self.app_hosts[app])
            row = {"timestamp": ts, "line": line, "app": app, "host": host, "level": level, "env": self.host_env[host]}
            if r.random() < META_SHARE:
                row["meta"] = {
                    "pod": r.choice(self.pods[app]),
                    "region": host[-3:],
                    "request_id": self._hex(24),
                    "attempt": r.randrange(1, 4),
                }
            yield row, js


class Truth:
    """Counts the true answers while the corpus is written."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.r = random.Random(f"truth{args.seed}")
        step = max(1, args.lines // (NEEDLES + 2))
        self.want = {step * (k + 1) + self.r.randrange(step // 2 + 1) for k in range(NEEDLES)}
        self.pending = 0
        self.levels: dict[str, int] = {}
        self.hosts: dict[str, int] = {}
        self.apps: dict[str, int] = {}
        self.minutes: dict[int, int] = {}
        self.needles: list[dict[str, Any]] = []
        self.n = dict.fromkeys(
            (
                "lines",
                "line_bytes",
                "json_lines",
                "duration_gt_900",
                "word_error",
                "contains_error",
                "rare_phrase",
                "phrase",
                "field",
            ),
            0,
        )
        self.word = re.compile(r"(?<![A-Za-z0-9_])error(?![A-Za-z0-9_])")

    def see(self, i: int, row: dict[str, Any], js: tuple[str, float] | None) -> None:  # noqa: C901 one branch for each question
        n, line, level = self.n, row["line"], row["level"]
        n["lines"] += 1
        n["line_bytes"] += len(line) if line.isascii() else len(line.encode())
        for d, k in (
            (self.levels, level),
            (self.hosts, row["host"]),
            (self.apps, row["app"]),
            (self.minutes, row["timestamp"] // 60_000),
        ):
            d[k] = d.get(k, 0) + 1
        if "error" in line:
            n["contains_error"] += 1
            if self.word.search(line):
                n["word_error"] += 1
        if "authentication failure" in line:
            n["phrase"] += 1
        if level == "error" and row["app"] == "api-gateway":
            n["field"] += 1
        if js:
            n["json_lines"] += 1
            if js[1] > 900:
                n["duration_gt_900"] += 1
            if RARE_PHRASE in line:
                n["rare_phrase"] += 1
        if i in self.want:
            self.pending += 1
        if js and self.pending:
            self.pending -= 1
            self.needles.append({"id": js[0], "timestamp": row["timestamp"], "app": row["app"]})

    def manifest(self, args: argparse.Namespace, *, digest: str, size: int) -> dict[str, Any]:
        n = self.n
        top = sorted(self.hosts.items(), key=lambda kv: (-kv[1], kv[0]))
        return {
            "lines": n["lines"],
            "seed": args.seed,
            "start_ms": args.end_ms - DAY_MS,
            "end_ms": args.end_ms,
            "sha256": digest,
            "file_bytes": size,
            "line_bytes": n["line_bytes"],
            "json_lines": n["json_lines"],
            "levels": self.levels,
            "hosts": dict(top),
            "apps": self.apps,
            "minutes": len(self.minutes),
            "needles": self.needles,
            # The middle of the day is the beginning of a minute, as its end is.
            "second_half_lines": sum(
                lines for minute, lines in self.minutes.items() if minute * 60_000 >= args.end_ms - DAY_MS // 2
            ),
            "queries": {
                "word": {
                    "text": "error",
                    "lines_with_word": n["word_error"],
                    "lines_with_substring": n["contains_error"],
                },
                "phrase": {"text": "authentication failure", "count": n["phrase"]},
                "rare_phrase": {"text": RARE_PHRASE, "count": n["rare_phrase"]},
                "field": {"app": "api-gateway", "level": "error", "count": n["field"]},
                "numeric": {"field": "duration_ms", "gt": 900, "count": n["duration_gt_900"]},
            },
        }


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--lines", type=int, required=True)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--samples", type=Path, required=True, help="a loghub checkout (folder with HDFS/HDFS_2k.log ...)")
    ap.add_argument(
        "--end-ms", type=int, default=None, help="end of the 24 h (epoch ms; default: now, to the full minute)"
    )
    args = ap.parse_args()
    if args.end_ms is None:
        args.end_ms = int(time.time()) // 60 * 60_000
    gen, truth = (
        Generator(load_templates(args.samples), seed=args.seed, end_ms=args.end_ms, total=args.lines),
        Truth(args),
    )
    digest, size = hashlib.sha256(), 0
    enc = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
    with args.out.open("wb") as f:
        buf: list[str] = []
        for i, (row, js) in enumerate(gen.rows()):
            truth.see(i, row, js)
            buf.append(enc(row))
            if len(buf) == 20_000 or i + 1 == args.lines:
                written = ("\n".join(buf) + "\n").encode()
                f.write(written)
                digest.update(written)
                size += len(written)
                buf.clear()
    manifest_path = args.out.with_name(f"{args.out.name}.manifest.json")
    with manifest_path.open("w") as f:
        json.dump(truth.manifest(args, digest=digest.hexdigest(), size=size), f, indent=1)


if __name__ == "__main__":
    main()
