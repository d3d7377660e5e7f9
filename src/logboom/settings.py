"""Every knob of the server in one frozen value: name, type, default and help.

`logboom serve` offers each as a flag and as a `LOGBOOM_*` variable, with the text below it as help.
Nothing below the composition root reads them.
"""

from dataclasses import dataclass, field
from pathlib import Path

from logboom.errors import SettingsInvalid

DEFAULT_LISTEN = "127.0.0.1:8080"
PORT_MAX = 65535


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one server."""

    listen: str = DEFAULT_LISTEN
    """Address and port to listen on, as HOST:PORT. Port 0 picks a free one."""

    data_dir: Path = Path("data")
    """Folder for everything the server keeps. Created when absent."""

    database_url: str = field(default="", repr=False)
    """Where accounts and keys are kept, an SQLAlchemy URL; a variable only. Without it: DATA_DIR/control.db."""

    master_secret: str = field(default="", repr=False)
    """The master secret: 64 hex digits or base64 of 32 bytes; a variable only. Without it: DATA_DIR/master.secret."""

    bootstrap_owner_email: str = ""
    """E-mail address of the owner that the first start creates. Without it: owner@localhost."""

    bootstrap_owner_password: str = field(default="", repr=False)
    """First password of that owner, as a variable only. Without it: a generated one, printed once."""

    bootstrap_ingestion_key: str = field(default="", repr=False)
    """Value of the first ingestion key, as a variable only. Without it: a generated one, printed once."""

    bootstrap_service_key: str = field(default="", repr=False)
    """Value of the first service key, as a variable only. Without it: a generated one, printed once."""

    trusted_proxies: str = ""
    """Networks of proxies whose X-Forwarded-For is believed, joined by commas. Without any: none is."""

    log_level: str = "info"
    """Least severe of the server's own messages: debug, info, warning or error."""

    engine_threads: int = 0
    """Threads that one search may use. 0 takes one for each processor."""

    engine_memory_bytes_max: int = 4 * 1024**3
    """Memory that one search, or one round of storing lines, may use, in bytes."""

    mill_batch_lines: int = 100_000
    """Lines that go into the line store at once, at most, and about."""

    mill_interval_ms: int = 500
    """How long lines may wait in the spool so that more are stored together, in milliseconds."""

    spool_bytes_max: int = 4 * 1024**3
    """Size of the spool, in bytes, from which on senders are told to come back later (504)."""

    disk_free_bytes_min: int = 1024**3
    """Free space of the data folder's disk, in bytes, below which senders are told to come back later (504)."""

    stop_timeout_s: int = 30
    """How long a stopping server waits for requests in flight, in seconds."""

    @property
    def listen_address(self) -> tuple[str, int]:
        """Host and port of `listen`. Raises SettingsInvalid."""
        host, _, port = self.listen.rpartition(":")
        host = host.strip("[]")
        if not host or not port.isdecimal() or int(port) > PORT_MAX:
            raise SettingsInvalid(f"LOGBOOM_LISTEN must be HOST:PORT, for example {DEFAULT_LISTEN}.")
        return host, int(port)

    @property
    def trusted_networks(self) -> tuple[str, ...]:
        """The networks of `trusted_proxies`, as they are written."""
        return tuple(text.strip() for text in self.trusted_proxies.split(",") if text.strip())

    @property
    def control_plane_url(self) -> str:
        """The SQLAlchemy URL of the control plane's database."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'control.db'}"
