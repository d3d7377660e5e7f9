"""A disk that fills up: senders are asked to wait while there is still room for what was acknowledged.

Nothing is lost, and space is all that the server needs to go on.
"""

import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from running_server import RunningServer, wait_until
from surroundings import missing

LINES = 400
FLOOR = "25000000"
WAITS_MAX = 20


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 60 MB in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        missing("the right to mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_loses_nothing_and_recovers(small_disk, new_server):
    server: RunningServer = new_server("disk/server", variables={"LOGBOOM_DISK_FREE_BYTES_MIN": FLOOR})
    server.start()
    acknowledged, answers = 0, Counter()
    while answers[504] < WAITS_MAX:
        # Random text, so that no compression makes room.
        answer = server.send([{"line": f"{number} {os.urandom(400).hex()}", "app": "a"} for number in range(LINES)])
        answers[answer.status_code] += 1
        acknowledged += LINES if answer.status_code == 200 else 0
    assert set(answers) == {200, 504}
    assert answer.json()["status"] == "error"
    assert answer.headers["retry-after"]
    wait_until(lambda: server.count() == acknowledged, what="what was acknowledged, without more space")

    subprocess.run(["mount", "-o", "remount,size=400m", small_disk], check=True)
    wait_until(lambda: server.count() == acknowledged, what=f"all {acknowledged} acknowledged lines")
    assert server.send([{"line": "after"}]).status_code == 200
    server.restart()
    wait_until(lambda: server.count() == acknowledged + 1, what="all lines after a restart")
