"""The durable queue between the door and the mill."""

from logboom.spool.envelope import Envelope, SpooledBatch
from logboom.spool.spool import Spool

__all__ = ["Envelope", "Spool", "SpooledBatch"]
