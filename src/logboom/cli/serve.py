"""`logboom serve`: one process that does everything."""

import io
import logging
import os
import resource
import signal
import socket
import sys
import threading
from contextlib import suppress
from types import TracebackType
from typing import IO, Annotated

import structlog
import uvicorn
from cyclopts import Parameter
from structlog.typing import Processor

from logboom.bootstrap import FirstStart
from logboom.errors import ListenAddressTaken, LogboomError, SettingsInvalid
from logboom.keys.messages import MessageRedactor
from logboom.settings import Settings

# Node agents keep a connection for 60 s, hyper for 90 s, the CloudWatch function for 300 s. clients.md 1.13
KEEP_ALIVE_S = 310
BACKLOG = 2048
log = structlog.get_logger(__name__)

LEVELS = ("debug", "info", "warning", "error")


def serve(settings: Annotated[Settings, Parameter(name="*")] | None = None) -> None:
    """Run the server until it is told to stop (Ctrl-C or SIGTERM).

    The first start creates an account with its owner, an ingestion key and a service key, and prints them once.

    Example: `logboom serve --listen 0.0.0.0:8080 --data-dir /var/lib/logboom`
    """
    try:
        run(settings or Settings())
    except LogboomError:
        raise
    except Exception:
        log.exception("server.failed")
        raise


def run(settings: Settings) -> None:
    """Open, serve, close. Raises StartError."""
    os.umask(0o077)  # whatever the server writes is its own
    redactor = configure_log(settings.log_level)
    allow_connections()
    listener = listen(settings)
    from logboom.server import make_server, open_parts  # the engine takes a second to import; bad settings need not

    parts = open_parts(settings)
    redactor.scanner = parts.leaks.scanner
    address = "http://{}:{}".format(*listener.getsockname()[:2])
    if parts.first_start:
        sys.stdout.write(first_start_text(parts.first_start, address))
    sys.stdout.write(f"Logboom listens on {address}\n")
    sys.stdout.flush()
    from logboom.asgi.protocol import LenientProtocol

    for ending in (signal.SIGINT, signal.SIGTERM):
        # Uvicorn stops gracefully, then raises the signal again for whoever had it; an asked-for stop is no error.
        signal.signal(ending, lambda *_: None)
    uvicorn.Server(
        uvicorn.Config(
            make_server(parts),
            http=LenientProtocol,
            ws="none",
            loop="uvloop",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=settings.stop_timeout_s,
        )
    ).run(sockets=[listener])


def allow_connections() -> None:
    """Each connection is an open file, and shells allow 1,024; the system's own bound is far higher."""
    _, allowed_max = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # what may not be changed stays as it is
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed_max, allowed_max))


def listen(settings: Settings) -> socket.socket:
    """The listening socket, taken before anything is opened. Raises ListenAddressTaken, SettingsInvalid."""
    host, port = settings.listen_address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except socket.gaierror as cause:
        raise SettingsInvalid(f"LOGBOOM_LISTEN names a host that cannot be found: {host}") from cause
    except OSError as cause:
        raise ListenAddressTaken(f"The server cannot listen on {settings.listen}: {cause.strerror}.") from cause
    listener.listen(BACKLOG)
    return listener


def first_start_text(first: FirstStart, address: str) -> str:
    """What the operator is told once, with a first line to send."""
    rows = [
        ("Account", first.account_id),
        ("Owner", first.email),
        ("Password", first.password or "(as preset)"),
        ("Ingestion key", first.ingestion_key or "(as preset)"),
        ("Service key", first.service_key or "(as preset)"),
    ]
    table = "\n".join(f"  {name + ':':<15}{value}" for name, value in rows)
    return f"""\
First start. Keep these now: they are shown only once.

{table}

Send a first line, and find it again:

  curl "{address}/logs/ingest?hostname=$(hostname)" -u {first.ingestion_key or "INGESTION_KEY"}: \\
    -H 'Content-Type: application/json' -d '{{"lines":[{{"line":"hello, logboom","app":"first"}}]}}'
  curl "{address}/v2/export?query=hello" -u {first.service_key or "SERVICE_KEY"}:

"""


class Messages(io.TextIOWrapper):
    """Standard error, and the one way to it: nothing passes that may be a credential.

    A full disk or a closed pipe behind it loses messages, never the thread that says them.
    """

    def __init__(self, stream: IO[bytes], redactor: MessageRedactor) -> None:
        super().__init__(stream, encoding="utf-8", errors="replace", line_buffering=True)
        self._redactor = redactor

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            super().write(self._redactor.redact(text))
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            super().flush()


def configure_log(level: str) -> MessageRedactor:
    """Our messages, those of libraries and those of crashes as JSON on standard error, one a row.

    Returns what makes them safe to show; it can do more once it is given a scanner. Raises SettingsInvalid.
    """
    if level not in LEVELS:
        raise SettingsInvalid(f"LOGBOOM_LOG_LEVEL must be one of {', '.join(LEVELS)}.")
    number = logging.getLevelNamesMapping()[level.upper()]
    redactor = MessageRedactor()
    messages = Messages(sys.stderr.buffer, redactor)
    sys.stderr = messages  # for whatever writes there without asking for a log
    sys.excepthook = _log_crash
    threading.excepthook = _log_thread_crash
    sys.unraisablehook = _log_unraisable
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(messages),
        cache_logger_on_first_use=True,
    )
    of_libraries = logging.StreamHandler(messages)
    of_libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[of_libraries], force=True)
    logging.captureWarnings(capture=True)
    return redactor


def _log_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    log.critical("server.crashed", exc_info=(kind, error, trace))


def _log_thread_crash(crash: threading.ExceptHookArgs) -> None:
    name = crash.thread.name if crash.thread else None
    log.critical("thread.crashed", thread=name, exc_info=(crash.exc_type, crash.exc_value, crash.exc_traceback))


def _log_unraisable(crash: "sys.UnraisableHookArgs") -> None:
    log.error("error.ignored", where=crash.err_msg, exc_info=(crash.exc_type, crash.exc_value, crash.exc_traceback))
