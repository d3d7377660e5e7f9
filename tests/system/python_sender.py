"""Sends lines with the unmodified Python client, as a program of its own.

Reads JSON from standard input: `url`, `key`, `options` of the client, and `lines`, each `[text, options]`. The client
keeps at most 4 MiB of lines that it has not sent and silently drops the rest, so the lines go out in portions: closing
its handler sends what is left and waits for the answers.
"""

import json
import logging
import sys

from logdna import LogDNAHandler

LINES_PER_PORTION = 5_000


def main() -> None:
    order = json.load(sys.stdin)
    logger = logging.getLogger("sender")
    logger.setLevel(logging.DEBUG)
    lines = order["lines"]
    for start in range(0, len(lines), LINES_PER_PORTION):
        handler = LogDNAHandler(order["key"], {"url": order["url"], **order["options"]})
        logger.addHandler(handler)
        for text, options in lines[start : start + LINES_PER_PORTION]:
            # Options travel as the argument of a %-format, so the text's own percent signs are doubled.
            logger.info(text.replace("%", "%%"), options)
        logger.removeHandler(handler)
        handler.close()


if __name__ == "__main__":
    main()
