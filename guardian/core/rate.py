"""How often a caller may ask."""

from __future__ import annotations

from collections import OrderedDict

from guardian.core.ports import Clock

_CALLERS = 10_000


class Rates:
    """A token bucket per caller; the callers longest unseen are forgotten."""

    def __init__(self, per_s: float, burst: int, clock: Clock) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, caller: str) -> float:
        """Takes one request: 0 when it may go on, else the seconds until the next one may."""
        now = self._clock()
        level, since = self._buckets.pop(caller, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._per_s)
        allowed = level >= 1.0
        self._buckets[caller] = (level - 1.0 if allowed else level, now)
        while len(self._buckets) > _CALLERS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - level) / self._per_s

    def give_back(self, caller: str) -> None:
        """A request that was taken is not to count."""
        if caller in self._buckets:
            level, since = self._buckets[caller]
            self._buckets[caller] = (min(self._burst, level + 1.0), since)
