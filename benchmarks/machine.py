"""What the operating system knows of the server under test: processor time, memory, disk, and the process itself.

Everything is read from /proc, so the benchmark runs on Linux only and adds nothing to the server.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
BLOCK_BYTES = 512
START_TIMEOUT_S = 120
QUIET_CORES = 0.05  # a server that uses less is at rest


def family(pid: int) -> Iterator[int]:
    """*pid* and its descendants."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                yield from family(int(child))


def cpu_s(pid: int) -> float:
    """Seconds of processor time that the family has used."""
    ticks = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS_PER_S


def resident_mb(pid: int) -> float:
    """Resident memory of the family."""
    kilobytes = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{member}/status").read_text()
            kilobytes += sum(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmRSS"))
    return kilobytes / 1024


def machine_busy_s() -> float:
    """Seconds that all processors together have worked for anyone."""
    times = [int(ticks) for ticks in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(times) - times[3] - times[4]) / TICKS_PER_S


def disk_bytes(folder: Path) -> dict[str, int]:
    """Bytes allocated on disk, for each thing at the top of *folder*."""
    sizes: dict[str, int] = {}
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            top = path.relative_to(folder).parts[0]
            sizes[top] = sizes.get(top, 0) + path.lstat().st_blocks * BLOCK_BYTES
    return sizes


class MemoryWatch(threading.Thread):
    """The highest resident memory while a block runs."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._ended = threading.Event()
        self.peak_mb = resident_mb(pid)

    def run(self) -> None:
        while not self._ended.wait(0.25):
            self.peak_mb = max(self.peak_mb, resident_mb(self._pid))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self.join()


class Server:
    """A server that the benchmark starts, stops and kills. The command runs in the foreground."""

    def __init__(self, *, command: Sequence[str], variables: Mapping[str, str], url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self._command = command
        self._environment = {**os.environ, **variables}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    def start(self) -> float:
        """Start, and return the seconds until it is ready."""
        began = time.perf_counter()
        self.folder.mkdir(parents=True, exist_ok=True)
        output_path = self.folder.with_suffix(".log")
        with output_path.open("ab") as output:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=output, stderr=output)
        while not self._is_ready():
            if self._process.poll() is not None or time.perf_counter() - began > START_TIMEOUT_S:
                raise SystemExit(f"the server did not start:\n{output_path.read_text()}")
            time.sleep(0.02)
        return time.perf_counter() - began

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal and wait for the end."""
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(60)
            finally:
                self._process.kill()
                self._process.wait()
                self._process = None

    def settle(self, *, quiet_s: int = 4, timeout_s: int = 120) -> None:
        """Wait until merges and other work behind the scenes are done."""
        deadline = time.monotonic() + timeout_s
        calm_s, before = 0, cpu_s(self.pid)
        while calm_s < quiet_s and time.monotonic() < deadline:
            time.sleep(1)
            now = cpu_s(self.pid)
            calm_s = calm_s + 1 if now - before < QUIET_CORES else 0
            before = now
