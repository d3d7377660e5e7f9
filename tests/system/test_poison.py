"""A batch that the engine cannot turn into lines blocks nobody: it is set aside, counted, and kept."""

import sqlite3

from running_server import RunningServer, wait_until

SMALL = {"LOGBOOM_ENGINE_MEMORY_BYTES_MAX": "150000000"}


def heavy_lines(count: int) -> list[dict]:
    """Lines whose many short names under a long path need far more memory than they were sent with."""
    meta = {"p" * 90: {f"{number:x}": "v" for number in range(2000)}}
    return [{"line": f"heavy {number}", "app": "a", "meta": meta} for number in range(count)]


def test_a_batch_that_cannot_be_milled_is_set_aside(new_server):
    server: RunningServer = new_server(variables=SMALL)
    server.start()
    assert server.send([{"line": "before", "app": "a"}]).status_code == 200
    assert server.send(heavy_lines(450)).status_code == 200
    assert server.send([{"line": "after", "app": "a"}]).status_code == 200
    server.wait_for_count(1, "before")
    server.wait_for_count(1, "after")
    wait_until(lambda: server.request("GET", "/readyz").status_code == 200, what="the server to be well again")
    assert "logboom_batches_set_aside_total 1.0" in server.request("GET", "/metrics").text
    server.stop()
    connection = sqlite3.connect(server.data_dir / "spool.db")
    assert connection.execute("SELECT count(*), sum(length(body)) > 5000000 FROM poison").fetchone() == (1, 1)
    connection.close()
