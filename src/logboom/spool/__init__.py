"""The durable queue between the door and the mill."""

from logboom.spool.disk import Disk
from logboom.spool.envelope import Envelope, SpooledBatch
from logboom.spool.spool import Spool

__all__ = ["Disk", "Envelope", "Spool", "SpooledBatch"]
