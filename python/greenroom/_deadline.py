"""How long something may take."""

from __future__ import annotations

import time
from threading import TIMEOUT_MAX


class Deadline:
    """A point in time, so many seconds from now; none for None."""

    def __init__(self, timeout: float | None) -> None:
        """A negative time is none at all: now."""
        self._at = None if timeout is None else time.monotonic() + max(timeout, 0)

    def left(self) -> float | None:
        """The seconds until then, never less than 0; None without a limit."""
        return None if self._at is None else max(self._at - time.monotonic(), 0)

    def for_lock(self) -> float:
        """The same as ``Lock.acquire`` takes it."""
        left = self.left()
        return -1 if left is None else min(left, TIMEOUT_MAX)
