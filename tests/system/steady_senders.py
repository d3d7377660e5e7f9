"""Clients that send a line again and again, with another number each time, until they are told to stop.

Each is an unmodified client in a process of its own: Python's `logdna` and Node's `@logdna/logger`. It gets its order
as one line of JSON on its standard input, and stops when that is closed: then it waits until its client has sent what
it still keeps, and prints how many lines it has sent.
"""

import json
import logging
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INTERVAL_S = 0.05
STOP_TIMEOUT_S = 120

NODE_SENDER = """
const {createLogger} = require('@logdna/logger')
const input = require('readline').createInterface({input: process.stdin})
input.once('line', (text) => {
  const order = JSON.parse(text)
  const logger = createLogger(order.key, {url: order.url, ...order.options})
  let sent = 0
  const timer = setInterval(() => logger.info(`${order.mark} ${sent++}`), order.interval_s * 1000)
  logger.on('error', (error) => console.error(error.message))
  input.on('close', () => {
    clearInterval(timer)
    logger.on('cleared', () => { console.log(sent); process.exit(0) })
    logger.flush()
  })
})
"""


@dataclass
class SteadySender:
    """One client at work."""

    command: list[str | Path]
    order: dict[str, Any]
    folder: Path
    process: subprocess.Popen[str] | None = None

    @property
    def mark(self) -> str:
        """The word that stands in each of its lines and in nobody else's."""
        return str(self.order["mark"])

    def start(self) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(self.command, cwd=self.folder, text=True, **pipes)
        assert self.process.stdin
        self.process.stdin.write(json.dumps(self.order | {"interval_s": INTERVAL_S}) + "\n")
        self.process.stdin.flush()

    def stop(self) -> int:
        """Returns how many lines it has sent, once its client keeps none any more."""
        assert self.process
        said, complaints = self.process.communicate(timeout=STOP_TIMEOUT_S)
        assert self.process.returncode == 0, complaints
        return int(said.splitlines()[-1])

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


def python_sender(order: dict[str, Any]) -> SteadySender:
    return SteadySender([sys.executable, Path(__file__)], order, Path(__file__).parent)


def node_sender(order: dict[str, Any], node: str, folder: Path) -> SteadySender:
    return SteadySender([node, "-e", NODE_SENDER], order, folder)


def main() -> None:
    """Be the Python client."""
    from logdna import LogDNAHandler

    order = json.loads(sys.stdin.readline())
    stopped = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
    handler = LogDNAHandler(order["key"], {"url": order["url"], **order["options"]})
    logger = logging.getLogger("steady")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    sent = 0
    while not stopped.wait(order["interval_s"]):
        logger.info("%s %d", order["mark"], sent)
        sent += 1
    handler.close()
    print(sent)  # noqa: T201 -- its answer


if __name__ == "__main__":
    main()
