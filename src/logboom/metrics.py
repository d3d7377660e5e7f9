"""Every figure that the server shows at `/metrics`, made once and handed to the part that counts it."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from logboom.asgi.edge import EdgeMetrics
from logboom.keys.verdict import Refused
from logboom.mill.mill import MillMetrics
from logboom.spool import Disk, Spool


class Metrics:
    """The figures of one server."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.edge = EdgeMetrics(
            requests=Counter(
                "logboom_requests", "Requests answered.", ["route", "method", "status"], registry=registry
            ),
            seconds=Histogram("logboom_request_seconds", "Time to answer a request.", ["route"], registry=registry),
        )
        self.accepted_lines = Counter(
            "logboom_accepted_lines",
            "Lines that are safe on disk: acknowledged with a 200, or audit events.",
            registry=registry,
        )
        self.dropped_refusals = Counter(
            "logboom_audit_refusals_dropped", "Refusals that no audit event tells of.", registry=registry
        )
        self.mill = MillMetrics(
            lines=Counter("logboom_stored_lines", "Lines put into the line store.", registry=registry),
            poison=Counter("logboom_batches_set_aside", "Batches that could not become lines.", registry=registry),
            round_seconds=Histogram("logboom_mill_round_seconds", "Time of one round of the mill.", registry=registry),
        )

        self._key_refusals = Counter(
            "logboom_key_refusals", "Requests refused although their key is known.", ["reason"], registry=registry
        )
        self.redacted_values = Counter(
            "logboom_redacted_key_values", "Values of our own keys taken out of lines.", ["kind"], registry=registry
        )
        self.redaction_proven = Gauge(
            "logboom_redaction_proven", "Whether the last start found and redacted made-up values.", registry=registry
        )
        self._usage_writes = Counter(
            "logboom_usage_writes", "Transactions that wrote the use of keys.", ["outcome"], registry=registry
        )

    def count_refusal(self, refused: Refused) -> None:
        reason = refused.refusal.name.lower()
        self._key_refusals.labels(f"{reason}_dry_run" if refused.is_dry_run else reason).inc()

    def count_usage_write(self, is_written: bool) -> None:  # noqa: FBT001 -- the one thing that there is to tell
        self._usage_writes.labels("written" if is_written else "failed").inc()

    def watch(self, spool: Spool, disk: Disk) -> None:
        """Show what waits between the 200 and the line store, and how much room is left."""
        free = Gauge("logboom_disk_free_bytes", "Free space of the data folder's disk.", registry=self._registry)
        free.set_function(lambda: disk.free_bytes)
        for name, text, read in (
            ("logboom_spool_batches", "Acknowledged batches that are not stored yet.", lambda: spool.batches),
            ("logboom_spool_lines", "Acknowledged lines that are not stored yet.", lambda: spool.lines),
            ("logboom_spool_bytes", "Bytes of acknowledged batches that are not stored yet.", lambda: spool.bytes),
        ):
            Gauge(name, text, registry=self._registry).set_function(read)
