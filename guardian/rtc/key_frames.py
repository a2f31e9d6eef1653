"""When an outgoing video has a key frame."""

from __future__ import annotations

_APART_S = 0.3


class KeyFramePlan:
    """Key frames when they are asked for, and every so often. Times: monotonic seconds; every_s 0: never.

    Several receivers' requests, or one's for the same loss, become one; none is forgotten.
    """

    def __init__(self, every_s: float) -> None:
        self.every_s = every_s
        self.made_count = 0
        self._wanted = True
        self._last = float("-inf")

    def want(self) -> None:
        """The other side asks for one (PLI or FIR)."""
        self._wanted = True

    def is_due(self, now: float, wished_s: float = 0.0) -> bool:
        """Whether the next picture is to be one. wished_s: the longest time between two now; 0: any."""
        since = now - self._last
        return (self._wanted and since >= _APART_S) or 0 < self.every_s <= since or 0 < wished_s <= since

    def made(self, now: float) -> None:
        """One was sent."""
        self.made_count += 1
        self._wanted = False
        self._last = now
