"""Which server a command speaks to and with which key: flags, environment, key files.

A key value is never a flag, since every user of the machine could read it in the list of programs.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from logboom.cli.output import UsageError
from logboom.client import LogboomClient

DEFAULT_URL: Final = "http://127.0.0.1:8080"
KEY_FILE_CHARACTERS_MAX: Final = 4_096


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Connection:
    """Options that every command has which speaks to a server."""

    url: Annotated[str, Parameter(env_var="LOGBOOM_URL", help="Address of the server.")] = DEFAULT_URL
    key_file: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True,
            help="File with the key, - for stdin. Without it: LOGBOOM_SERVICE_KEY, to send LOGBOOM_INGESTION_KEY.",
        ),
    ] = None

    def connect_to_ask(self) -> LogboomClient:
        """A client with the service key."""
        return LogboomClient(self.url, service_key=self._read_key("LOGBOOM_SERVICE_KEY"))

    def connect_to_send(self) -> LogboomClient:
        """A client with the ingestion key."""
        return LogboomClient(self.url, ingestion_key=self._read_key("LOGBOOM_INGESTION_KEY"))

    def _read_key(self, variable: str) -> str | None:
        if self.key_file is None:
            return os.environ.get(variable, "").strip() or None
        if self.key_file == "-":
            return sys.stdin.readline(KEY_FILE_CHARACTERS_MAX).strip()
        try:
            with Path(self.key_file).open(encoding="utf-8", errors="replace") as file:
                return file.readline(KEY_FILE_CHARACTERS_MAX).strip()
        except OSError as error:
            raise UsageError(f"Cannot read the key file {self.key_file}: {error.strerror}.") from None


DEFAULT_CONNECTION: Final = Connection()
