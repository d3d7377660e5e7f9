"""No value of a key stands anywhere in the clear: values of every kind are used in every way, then files are searched.

The server logs everything it can, and is made to fail in the middle of requests that carry values, since tracebacks and
messages of databases are where values come to light. Searched are the data folder, everything the server prints, and
on PostgreSQL the database's dump, its log and its own files.
"""

import base64
import json
import secrets
import subprocess
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from running_server import RunningServer, wait_until
from sqlalchemy import Engine, create_engine, make_url, text

from written_forms import percent, unicode_escaped

WEIRD_KEY = "UPDATE keys SET format = 'weird' WHERE id = :key_id"
LOSE_VALUES = "ALTER TABLE key_values RENAME TO key_values_lost"
LOSE_NUMBERS = "ALTER TABLE keyring_state RENAME TO keyring_state_lost"

Values = dict[str, str]


@dataclass(frozen=True)
class Surroundings:
    """A server that logs everything, its database, and all other folders and texts that might hold a value."""

    server: RunningServer
    database: Engine
    folders: tuple[Path, ...]
    dump: Callable[[], bytes]


@pytest.fixture(params=["sqlite", "postgresql"])
def surroundings(request: pytest.FixtureRequest, new_server: Callable[..., RunningServer]) -> Surroundings:
    variables = {"LOGBOOM_LOG_LEVEL": "debug"}
    if request.param == "sqlite":
        server = new_server(variables=variables)
        server.start()
        database = create_engine(f"sqlite:///{server.data_dir / 'control.db'}")
        return Surroundings(server, database, (server.folder,), dump=bytes)
    cluster = request.getfixturevalue("postgresql_cluster")
    url = cluster.create_database()
    server = new_server(variables=variables | {"LOGBOOM_DATABASE_URL": url})
    server.start()

    def dump() -> bytes:
        command = [cluster.binaries / "pg_dump", "-h", cluster.folder, "-U", "postgres", make_url(url).database]
        return subprocess.run(command, check=True, capture_output=True).stdout

    return Surroundings(server, create_engine(url), (server.folder, cluster.folder), dump)


def change(database: Engine, statement: str, **parameters: str) -> None:
    """Do what nobody should do to the database of a running server."""
    with database.begin() as connection:
        connection.execute(text(statement), parameters)
    database.dispose()


# -- values of every kind ---------------------------------------------------------------------------------------------


def ask(server: RunningServer, path: str, body: dict[str, object], **headers: str) -> dict[str, Any]:
    answer = server.request("POST", path, key=server.service_key, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def make_values(server: RunningServer) -> Values:
    """Every way in which a value comes to be or to its end, by what it is."""

    def create(**members: object) -> dict[str, Any]:
        return ask(server, "/api/keys", {"type": "ingestion", **members})

    def rotate(key: dict[str, Any], **headers: str) -> str:
        return str(ask(server, f"/api/keys/{key['id']}/rotate", {}, **headers)["value"])

    def create_once() -> str:
        return str(ask(server, "/api/keys", {"type": "service"}, **{"Idempotency-Key": "deploy-18"})["value"])

    once = {"Idempotency-Key": "deploy-17"}
    rotated, rotated_once = create(format="native"), create()
    deleted, exposed, imported = create(), create(format="native"), secrets.token_hex(16)
    values = {
        "first ingestion key": server.ingestion_key,
        "first service key": server.service_key,
        "native service key": create(type="service", format="native")["value"],
        "key that is never shown": create(reveal="never")["value"],
        "old value": rotated["value"],
        "new value": rotate(rotated),
        "old value of a repeated rotation": rotated_once["value"],
        "new value of a repeated rotation": rotate(rotated_once, **once),
        "value of a repeated creation": create_once(),
        "deleted value": deleted["value"],
        "exposed value": exposed["value"],
        "imported value": imported,
        "unknown value": secrets.token_hex(16),
        "exposed value of nobody": secrets.token_hex(16),
        "value that may not be imported": "a" * 20 + "b" * 12,
    }
    assert rotate(rotated_once, **once) == values["new value of a repeated rotation"]
    assert create_once() == values["value of a repeated creation"]
    ask(server, "/api/keys/import", {"type": "ingestion", "value": imported})
    refused = {"type": "ingestion", "value": values["value that may not be imported"]}
    assert server.request("POST", "/api/keys/import", key=server.service_key, json=refused).status_code == 400
    ask(server, "/api/keys/revoke-exposed", {"value": values["exposed value"]})
    ask(server, "/api/keys/revoke-exposed", {"value": values["exposed value of nobody"]})
    assert server.request("DELETE", f"/api/keys/{deleted['id']}", key=server.service_key).status_code == 200
    return values


# -- in every way -----------------------------------------------------------------------------------------------------


def carriers(value: str) -> dict[str, dict[str, Any]]:
    """The parts of a request that may hold a value, as a client or as a mistake would have it."""
    return {
        "header": {"headers": {"apikey": value, "servicekey": value, "ingestionkey": value}},
        "basic, key as user": {"auth": (value, "")},
        "basic, key as password": {"auth": ("user", value)},
        "basic, without colon": {"headers": {"Authorization": "Basic " + base64.b64encode(value.encode()).decode()}},
        "bearer": {"headers": {"Authorization": f"Bearer {value}"}},
        "token": {"headers": {"Authorization": f"Token {value.upper()}"}},
        "alone": {"headers": {"Authorization": value}},
        "query": {"params": {"apikey": value, "servicekey": value, "hostname": "h"}},
        "wrong parameter": {"params": {"key": value, "hostname": "h"}},
        "body": {"json": {"apikey": value, "hostname": "h", "lines": []}},
        "wrong body": {"content": f'{{"apikey": "{value}", "lines": '.encode()},
        "cookie": {"headers": {"Cookie": f"apikey={value}"}},
    }


POSTED_TO = ("/logs/ingest", "/logs/agent", "/v1/config/keys?type=service", "/api/keys", "/api/keys/import")
ASKED = ("/v1/config/keys", "/v1/export", "/v2/export", "/api/search/count", "/api/keys/self", "/api/audit")


def use_everywhere(client: httpx2.Client, value: str) -> None:
    """Show *value* to every kind of route, in every way a client may, and in addresses."""
    for options in carriers(value).values():
        for path in POSTED_TO:
            client.post(path, **options)
        if not {"json", "content"} & options.keys():
            for path in ASKED:
                client.get(path, **options)
    for path in (f"/{value}", f"/v1/config/keys/{value}", f"/api/keys/{percent(value)}", f"/api/keys/{value.upper()}"):
        client.get(path)
        client.delete(path)
    client.post("/api/keys/revoke-exposed", json={"value": value + "x"})


def use_where_values_are_kept(server: RunningServer, value: str) -> None:
    """Whatever of a request is stored: a known value is taken out of it before that."""
    lines = [{"line": f"key {value}", "app": "canary", "meta": {"key": value}}, {"line": percent(value), "app": value}]
    address = f"/logs/ingest?hostname={value}&tags={value}"
    assert server.request("POST", address, key=server.ingestion_key, json={"lines": lines}).status_code == 200
    server.request("GET", "/api/keys", key=server.service_key, headers={"User-Agent": f"curl/8 {value}"})


# -- the search -------------------------------------------------------------------------------------------------------


def spellings(value: str) -> set[bytes]:
    """How a value may stand in a file, in lower case: as it is, and as programs write texts and bytes."""
    plain = {form for known in (value, value.upper()) for form in (known, percent(known), unicode_escaped(known))}
    plain |= {value.encode().hex(), base64.b32encode(value.encode()).decode()[:40]}
    encoded = {core for known in {value, value.upper()} for core in base64_cores(known.encode())}
    return {form.lower().encode() for form in plain | encoded} | {value.lower().encode("utf-16-le")}


def base64_cores(value: bytes) -> Iterable[str]:
    """What of its Base64 does not depend on what stands around it, at each of the three ways it may be aligned."""
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(value)) * 8 // 6
        yield base64.b64encode(b"\0" * before + value).decode()[first:last]


def read_all(files):
    """Each file and what it holds, in small letters. A database makes and drops files of its own meanwhile."""
    for path in files:
        with suppress(FileNotFoundError):
            yield str(path), path.read_bytes().lower()


def search(surroundings: Surroundings, values: Values) -> tuple[int, list[tuple[str, str]]]:
    """How many bytes were searched, and which value stands where."""
    files = [path for folder in surroundings.folders for path in folder.rglob("*") if path.is_file()]
    contents = dict(read_all(files)) | {"the dump": surroundings.dump().lower()}
    found = [
        (what, where)
        for what, value in values.items()
        for spelling in spellings(value)
        for where, content in contents.items()
        if spelling in content
    ]
    return sum(map(len, contents.values())), sorted(set(found))


def test_the_search_finds_every_spelling(tmp_path: Path, server: RunningServer) -> None:
    """The search is not blind: it finds a value however it is written."""
    value = secrets.token_hex(16)
    written = [value, value.upper(), percent(value), base64.b64encode(b"user:" + value.encode()).decode()]
    written += [json.dumps({"key": value}), value.encode().hex(), unicode_escaped(value), "k" + value]
    for number, form in enumerate(written):
        (tmp_path / f"{number}.txt").write_text(form)
    place = Surroundings(server, create_engine("sqlite://"), (tmp_path / "server", tmp_path), dump=bytes)
    _, found = search(place, {"canary": value})
    assert {Path(where).name for _, where in found} == {f"{number}.txt" for number in range(len(written))}


def test_no_value_stands_anywhere_in_the_clear(surroundings: Surroundings) -> None:
    server = surroundings.server
    values = make_values(server)
    with httpx2.Client(base_url=server.url, timeout=60) as client:
        for value in values.values():
            use_everywhere(client, value)
    for what in set(values) - {"unknown value", "exposed value of nobody", "value that may not be imported"}:
        use_where_values_are_kept(server, values[what])
    server.send([{"line": "settled", "app": "settled"}])
    server.wait_for_count(1, "app:settled")
    broken = break_the_database(surroundings, values)
    assert broken >= {403, 504}
    searched, found = search(surroundings, values)
    assert found == []
    assert searched > 1_000_000
    server.stop()
    assert search(surroundings, values)[1] == []


def break_the_database(surroundings: Surroundings, values: Values) -> set[int]:
    """Alter a row so that reading it fails, then take tables away; use all values. Returns how it was answered."""
    server = surroundings.server
    weird = ask(server, "/api/keys", {"type": "ingestion"})
    values["value of an unreadable row"] = weird["value"]
    change(surroundings.database, WEIRD_KEY, key_id=weird["id"])
    exposed = {"value": weird["value"]}
    statuses = {server.request("POST", "/api/keys/revoke-exposed", json=exposed).status_code}
    wait_until(lambda: "request.failed" in server.output(), what="a request to fail")
    change(surroundings.database, LOSE_VALUES)
    for value in values.values():
        statuses.add(server.send([{"line": "late"}], key=value).status_code)
        statuses.add(server.request("POST", "/api/keys/revoke-exposed", json={"value": value}).status_code)
        importing = {"type": "ingestion", "value": value}
        statuses.add(server.request("POST", "/api/keys/import", key=server.service_key, json=importing).status_code)
    assert "Traceback" in server.output()
    change(surroundings.database, LOSE_NUMBERS)
    statuses |= {server.send([{"line": "late"}], key=value).status_code for value in values.values()}
    wait_until(lambda: "keys.stale" in server.output(), what="the server to notice")
    return statuses
