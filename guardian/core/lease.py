"""The right to send: a node's lease on its calls, and when it is over.

A lease holds until a moment of `lease_clock`, which is the same for all processes of a machine and goes on
while they are stopped or the machine sleeps. It is asked right before anything leaves, so that whoever wakes
up too late says nothing, whatever the others have agreed on meanwhile.
"""

from __future__ import annotations

import time

from guardian.core.ports import Clock


def lease_clock() -> float:
    """Seconds since the machine began, those included in which it slept."""
    return time.clock_gettime(_CLOCK)


# Elsewhere than on Linux, time asleep does not count: such machines are for trying things out.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Lease:
    """Holds for ever until it is given an end. From any thread."""

    def __init__(self, clock: Clock = lease_clock) -> None:
        self._clock = clock
        self._until = float("inf")

    def extend(self, until: float) -> None:
        """It holds until then, or longer where that was granted before. until: `lease_clock` seconds."""
        if self._until == float("inf") or until > self._until:
            self._until = until

    @property
    def holds(self) -> bool:
        """Whether something may leave now."""
        return self._clock() < self._until

    @property
    def over_s(self) -> float:
        """How long it has been over; 0 while it holds."""
        return max(0.0, self._clock() - self._until)
