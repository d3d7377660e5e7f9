"""How a server is fed and asked: one small interface, and Logboom's side of it.

Another server is added by a class with the same methods, so that both can be measured on one corpus.
"""

import http.client
import time
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import orjson

Row = dict[str, Any]  # as corpus.py writes it: timestamp, line, app, host, level, env, perhaps meta
Manifest = dict[str, Any]

EXPORT_LINES = 100_000
PAGE_LINES = 10_000
LATEST_LINES = 100
KINDS = (
    *("count_all", "needle", "word_latest", "phrase_latest", "rare_phrase", "field_latest", "numeric_count"),
    *("substring", "histogram", "top_hosts", "export"),
)


class Connection:
    """A keep-alive connection that remembers when the first byte of its first answer came."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=600)
        self.first_byte_s: float | None = None

    def request(self, method: str, target: str, body: object = None, headers: dict[str, str] | None = None) -> bytes:
        """The body of a 200. Anything else is an error: nothing measured may be a refusal."""
        began = time.perf_counter()
        self._connection.request(method, target, body, headers or {})  # type: ignore[arg-type]
        answer = self._connection.getresponse()
        first = answer.read(1)
        if self.first_byte_s is None:
            self.first_byte_s = time.perf_counter() - began
        received = first + answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{answer.status} for {method} {target[:200]}: {received[:300]!r}")
        return received

    def close(self) -> None:
        self._connection.close()


class Adapter(Protocol):
    """What the harness needs of a server."""

    group_by: str | None  # the row member that all rows of one batch must share
    push_headers: dict[str, str]

    def encode(self, rows: Sequence[Row]) -> tuple[str, bytes]:
        """Target and body of the one POST that stores *rows*."""

    def ask(self, kind: str, manifest: Manifest, repetition: int, connection: Connection) -> list[bytes]:
        """Send the requests of one question, which is timed. NotImplementedError where there is no such search."""

    def answer(self, kind: str, bodies: list[bytes]) -> object:
        """The value to compare with `truth`; not timed."""

    def count(self, connection: Connection, *, query: str, from_ms: int, to_ms: int) -> int:
        """Number of lines that match, both times included."""


class Logboom:
    """Mezmo's protocol: a request carries one hostname, so batches are made for each host."""

    group_by = "host"
    members = ("timestamp", "line", "app", "level", "env", "meta")

    def __init__(self, *, ingestion_key: str, service_key: str) -> None:
        self.push_headers = {"Content-Type": "application/json; charset=UTF-8", "apikey": ingestion_key}
        self._ask_headers = {"servicekey": service_key}

    def encode(self, rows: Sequence[Row]) -> tuple[str, bytes]:
        lines = [{name: row[name] for name in self.members if name in row} for row in rows]
        # Without `now`: the corpus lies in the past, and the sender's clock would have its times mended.
        return "/logs/ingest?" + urlencode({"hostname": rows[0]["host"]}), orjson.dumps({"lines": lines})

    def count(self, connection: Connection, *, query: str, from_ms: int, to_ms: int) -> int:
        return int(orjson.loads(self._count(connection, query, (from_ms, to_ms)))["count"])

    def ask(self, kind: str, manifest: Manifest, repetition: int, connection: Connection) -> list[bytes]:  # noqa: PLR0911 one for each kind
        asked = manifest["queries"]
        day = manifest["start_ms"], manifest["end_ms"] - 1
        match kind:
            case "count_all":
                return [self._count(connection, "", day)]
            case "rare_phrase":
                return [self._count(connection, f'"{asked["rare_phrase"]["text"]}"', day)]
            case "numeric_count":
                return [self._count(connection, f"{asked['numeric']['field']}:>{asked['numeric']['gt']}", day)]
            case "needle":
                return [self._latest(connection, needle(manifest, repetition), day)]
            case "word_latest":
                return [self._latest(connection, asked["word"]["text"], day)]
            case "phrase_latest":
                return [self._latest(connection, f'"{asked["phrase"]["text"]}"', day)]
            case "field_latest":
                return [self._latest(connection, f"app:{asked['field']['app']} level:{asked['field']['level']}", day)]
            case "export":
                return self._export(connection, (middle_of_day_ms(manifest), day[1]))
        raise NotImplementedError(f"Logboom has no search for {kind} yet")

    def answer(self, kind: str, bodies: list[bytes]) -> object:
        if kind == "export":
            stamps = [line["_ts"] for body in bodies for line in orjson.loads(body)["lines"]]
            return {"rows": len(stamps), "in_order": stamps == sorted(stamps)}
        answer = orjson.loads(bodies[0])
        return answer["count"] if "count" in answer else len(answer["lines"])

    def _count(self, connection: Connection, query: str, between: tuple[int, int]) -> bytes:
        return self._get(connection, "/api/search/count", between, query=query)

    def _latest(self, connection: Connection, query: str, between: tuple[int, int]) -> bytes:
        return self._get(connection, "/v2/export", between, query=query, size=str(LATEST_LINES), prefer="tail")

    def _export(self, connection: Connection, between: tuple[int, int]) -> list[bytes]:
        """Pages, oldest first, each asked for with the id that the one before gave."""
        pages: list[bytes] = []
        page_id = ""
        while len(pages) < EXPORT_LINES // PAGE_LINES:
            names = {"size": str(PAGE_LINES), "prefer": "head"} | ({"pagination_id": page_id} if page_id else {})
            pages.append(self._get(connection, "/v2/export", between, **names))
            page_id = orjson.loads(pages[-1])["pagination_id"]
            if not page_id:
                break
        return pages

    def _get(self, connection: Connection, path: str, between: tuple[int, int], **names: str) -> bytes:
        query = urlencode({"from": between[0], "to": between[1], **names})
        return connection.request("GET", f"{path}?{query}", headers=self._ask_headers)


def needle(manifest: Manifest, repetition: int) -> str:
    """A trace id that one line has; each repetition asks for another."""
    return str(manifest["needles"][repetition % len(manifest["needles"])]["id"])


def middle_of_day_ms(manifest: Manifest) -> int:
    return int(manifest["start_ms"]) + 12 * 3_600_000


def truth(kind: str, manifest: Manifest) -> object:
    """The right answer, counted while the corpus was written."""
    asked = manifest["queries"]
    answers: dict[str, object] = {
        "count_all": manifest["lines"],
        "needle": 1,
        "word_latest": min(LATEST_LINES, asked["word"]["lines_with_word"]),
        "phrase_latest": min(LATEST_LINES, asked["phrase"]["count"]),
        "rare_phrase": asked["rare_phrase"]["count"],
        "field_latest": min(LATEST_LINES, asked["field"]["count"]),
        "numeric_count": asked["numeric"]["count"],
        "substring": 1,
        "histogram": manifest["lines"],
        "top_hosts": [[host, lines] for host, lines in list(manifest["hosts"].items())[:10]],
        "export": {"rows": min(EXPORT_LINES, manifest["second_half_lines"]), "in_order": True},
    }
    return answers[kind]
