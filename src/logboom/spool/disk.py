"""Keeps the disk from filling up: below a floor of free space senders are asked to wait.

The engine needs room of its own to store and merge. It reserves that room before it begins, but it cannot know that
the spool takes space meanwhile; and a merge that meets a full disk has been seen to leave an unreadable part behind
(healed by a restart, as long as the parts it was made of are kept). So the spool stops well before.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

LOOK_EVERY_S: Final = 0.1  # at full speed some 30 MB arrive in this time


class Disk:
    """The disk of the data folder. *now_s* is a monotonic clock."""

    def __init__(self, folder: Path, *, free_bytes_min: int, now_s: Callable[[], float]) -> None:
        self._folder, self._free_bytes_min, self._now_s = folder, free_bytes_min, now_s
        self._looked_s = float("-inf")
        self._free_bytes = 0

    @property
    def free_bytes(self) -> int:
        """What was free a moment ago."""
        if self._now_s() - self._looked_s >= LOOK_EVERY_S:
            self._free_bytes = shutil.disk_usage(self._folder).free
            self._looked_s = self._now_s()
        return self._free_bytes

    @property
    def has_room(self) -> bool:
        """Whether more lines may be accepted."""
        return self.free_bytes >= self._free_bytes_min
