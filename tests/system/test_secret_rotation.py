"""Pepper and KEK are replaced under running servers: nobody is refused, and a cut at any point is mended."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from custody import Senders, create_key, create_many, kill_after, operate, secret_texts, send
from running_server import RunningServer, wait_until

NewServer = Callable[..., RunningServer]
ROTATIONS = ("rotate-pepper", "rotate-kek", "rotate-audit")


@pytest.fixture
def variables(request: pytest.FixtureRequest) -> dict[str, str]:
    """Of a server with the database that a test is run on."""
    if request.param == "sqlite":
        return {}
    return {"LOGBOOM_DATABASE_URL": request.getfixturevalue("postgresql_url")}


both_databases = pytest.mark.parametrize("variables", ["sqlite", "postgresql"], indirect=True)


def settle(server: RunningServer) -> None:
    """Wait until no value needs an older pepper any more."""
    wait_until(
        lambda: '"waiting": []' in operate(server, "show", "--json"), what="every value to be used and digested anew"
    )


@both_databases
def test_a_steady_sender_is_never_refused(new_server: NewServer, variables: dict[str, str]) -> None:
    server = new_server(variables=variables)
    server.start()
    never = create_key(server, reveal="never")["value"]
    said = ""
    with Senders([server], [server.ingestion_key, never]).at_work() as senders:
        for rotation in ROTATIONS:
            said += operate(server, rotation)
        settle(server)
        said += operate(server, "finish")
        count = len(senders.answers)
        wait_until(lambda: len(senders.answers) > count + 20, what="some requests after the end")
    assert set(senders.answers) == {200}
    made = create_key(server)["value"]
    server.restart()
    assert [send(server, value) for value in (server.ingestion_key, never, made, "f" * 32)] == [200, 200, 200, 403]
    verified = server.request("GET", "/api/audit/verify", key=server.service_key).json()
    assert verified["ok"]
    server.stop()
    known = secret_texts(server.data_dir / "master.secret")
    assert len(known) == 4
    assert not [text for text in known if text in said + server.output()]
    others = [path for path in server.data_dir.rglob("*") if path.is_file() and path.name != "master.secret"]
    assert not [path for path in others if any(text.encode() in path.read_bytes() for text in known)]


def test_two_servers_on_one_database(new_server: NewServer, postgresql_url: str) -> None:
    first, second = start_two(new_server, postgresql_url)
    never = create_key(first, reveal="never")["value"]
    with Senders([first, second], [first.ingestion_key, never]).at_work() as senders:
        for rotation in ROTATIONS:
            operate(first, rotation, "--prepare")
            copy_secret(first, second)
            operate(first, rotation)
        settle(first)
        assert send(second, create_key(first)["value"]) == 200
        operate(first, "finish")
        copy_secret(first, second)
    assert set(senders.answers) == {200}
    for server in (first, second):
        server.restart()
        assert server.request("GET", "/api/audit/verify", key=first.service_key).json()["ok"]
        assert [send(server, value) for value in (first.ingestion_key, never)] == [200, 200]


def test_a_server_that_was_forgotten_refuses_nobody(new_server: NewServer, postgresql_url: str) -> None:
    first, second = start_two(new_server, postgresql_url)
    with Senders([first, second], [first.ingestion_key]).at_work() as senders:
        said = operate(first, "rotate-pepper", "--wait-s", "1", code=1)
        assert "not known to" in said
        made = create_key(first)["value"]
        assert (send(first, made), send(second, made), send(second, "f" * 32)) == (200, 504, 504)
        assert '"secrets.outdated"' in second.output()
        copy_secret(first, second)
        wait_until(lambda: send(second, made) == 200, what="the second server to read its file again")
        assert send(second, "f" * 32) == 403
        operate(first, "rotate-pepper")
        operate(first, "finish")
    assert set(senders.answers) == {200}


def test_a_server_without_the_new_secret_does_not_start(new_server: NewServer, postgresql_url: str) -> None:
    first, second = start_two(new_server, postgresql_url)
    second.stop()
    operate(first, "rotate-pepper")
    second.launch().wait(60)
    assert "lacks version 2 of the pepper" in second.output()
    assert "Traceback" not in second.output()


@both_databases
def test_a_rotation_that_is_killed_again_and_again(new_server: NewServer, variables: dict[str, str]) -> None:
    server = new_server(variables=variables)
    server.start()
    values = create_many(server, accounts=12)
    with Senders([server], [server.ingestion_key]).at_work() as senders:
        for rotation in ("rotate-pepper", "rotate-kek"):
            assert kill_after(server, 1, rotation)
            assert all(send(server, value) == 200 for value in values[::10])
            kill_after(server, 2, rotation)  # the sweep may be quicker than the kill
            operate(server, rotation)
        operate(server, "finish")
    assert set(senders.answers) == {200}
    assert all(send(server, value) == 200 for value in values)
    server.kill_9()
    server.start()
    assert all(send(server, value) == 200 for value in values)


def start_two(new_server: NewServer, url: str) -> tuple[RunningServer, RunningServer]:
    """Two servers with folders of their own, one database and one secret."""
    first = new_server("first", variables={"LOGBOOM_DATABASE_URL": url})
    first.start()
    second = new_server("second", variables={"LOGBOOM_DATABASE_URL": url}, service_key=first.service_key)
    copy_secret(first, second)
    second.start()
    return first, second


def copy_secret(first: RunningServer, second: RunningServer) -> None:
    """As the guide says: the file, with its mode."""
    second.data_dir.mkdir(parents=True, exist_ok=True)
    copied: Path = second.data_dir / "copied"
    shutil.copy(first.data_dir / "master.secret", copied)
    copied.replace(second.data_dir / "master.secret")
