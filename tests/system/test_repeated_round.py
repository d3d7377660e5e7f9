"""A round of the mill that was cut off after its insert is repeated at the next start, and its lines are there once.

The moment between the insert and the note that it is done is too short to be hit by a kill, so it is set up: the spool
as it was before the round, with the round noted as begun, is put back beside a line store that has the lines already.
"""

import shutil
import sqlite3
from pathlib import Path

from running_server import RunningServer

LATER = {"LOGBOOM_MILL_INTERVAL_MS": "600000"}  # nothing is milled before the kill


def test_a_repeated_round_stores_nothing_twice(new_server):
    server: RunningServer = new_server(variables=LATER)
    server.start()
    sent = [[{"line": f"{batch} {number}", "app": "a"} for number in range(100)] for batch in range(3)]
    for lines in sent:
        assert server.send(lines).status_code == 200
    server.kill_9()
    before = server.folder / "before"
    before.mkdir()
    for path in server.data_dir.glob("spool.db*"):
        shutil.copy(path, before)
    begin_round(before / "spool.db")

    server.variables.clear()
    server.start()
    server.wait_for_count(300)
    server.stop()

    for path in server.data_dir.glob("spool.db*"):
        path.unlink()
    for path in before.iterdir():
        shutil.copy(path, server.data_dir)
    server.start()
    assert server.send([{"line": "after", "app": "a"}]).status_code == 200
    server.wait_for_count(1, "after")
    texts = sorted(line["_line"] for line in server.export())
    assert texts == sorted(["after", *(line["line"] for lines in sent for line in lines)])


def begin_round(spool: Path) -> None:
    connection = sqlite3.connect(spool)
    with connection:
        connection.execute("INSERT INTO doubtful (one, seq) SELECT 1, max(seq) FROM batch")
    connection.close()
