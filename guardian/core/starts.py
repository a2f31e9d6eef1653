"""How soon another process may be started when those before it died unused."""

from __future__ import annotations

FREE = 5
"""Failures in a row that are tried again at once."""
LONGEST_S = 60.0
FORGOTTEN_S = 600.0
"""A failure this long ago has nothing to do with the next one."""


class Starts:
    """Counts failed starts in a row. The first ones cost no time, then waits double up to `LONGEST_S`."""

    def __init__(self) -> None:
        self._failures = 0
        self._last = float("-inf")

    @property
    def looping(self) -> bool:
        """Whether so many have failed in a row that the next one probably fails too."""
        return self._failures >= FREE

    def failed(self, now: float) -> bool:
        """Another one has failed (monotonic seconds); True when it is a loop from now on."""
        if now - self._last > FORGOTTEN_S:
            self._failures = 0
        before, self._last = self.looping, now
        self._failures += 1
        return self.looping and not before

    def worked(self) -> bool:
        """One was of use; True when a loop is over."""
        before, self._failures = self.looping, 0
        return before

    def wait_s(self, now: float) -> float:
        """Seconds until another one may be tried; 0: now."""
        if not self.looping:
            return 0.0
        doublings = min(self._failures - FREE, 10)
        return max(0.0, self._last + min(2.0**doublings, LONGEST_S) - now)
