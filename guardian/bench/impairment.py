"""What a bad network does to packets, decided by a seed.

A `Direction` gives each packet its fate: when it leaves, how often, or never. Nothing here waits or sends.
Five random numbers are drawn per packet whatever the conditions are, so the fate of the n-th packet depends
on the seed, on n and on the conditions only; the rate cap also depends on when packets come.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

_HEADERS = 28
"""Bytes of the IPv4 and UDP headers, which a capped line carries too."""
_IN_ORDER_S = 1e-6
"""What keeps two packets of one moment in order."""

Select = Callable[[bytes], bool]
"""Whether this packet is withheld, whatever the conditions."""


@dataclass(frozen=True, slots=True)
class Burst:
    """Losses in bursts: the model of Gilbert and Elliott, two states with a loss of their own.

    begins, ends: probabilities per packet of entering and leaving the bad state. loss: in the bad state.
    Source: Hasslinger and Hohlfeld, "The Gilbert-Elliott model for packet loss in real time services on
    the Internet", 2008.
    """

    begins: float
    ends: float
    loss: float = 1.0

    @classmethod
    def of(cls, share: float, length: float) -> Burst:
        """Bursts of `length` packets on average (>= 1) that lose `share` (0..1) of all packets."""
        ends = 1 / length
        return cls(ends * share / (1 - share), ends)


@dataclass(frozen=True, slots=True)
class Conditions:
    """One direction of a network. Probabilities are per packet, 0..1; times are seconds.

    delay_s is fixed, jitter_s the most that is added at random; neither changes the order. A packet that
    is reordered comes reorder_s later than its turn. rate_kbps: kbit/s of the line, headers included;
    packets that would wait longer than queue_s before it are dropped (drop-tail).
    """

    loss: float = 0.0
    burst: Burst | None = None
    delay_s: float = 0.0
    jitter_s: float = 0.0
    reorder: float = 0.0
    reorder_s: float = 0.02
    duplicate: float = 0.0
    rate_kbps: float | None = None
    queue_s: float = 0.3


@dataclass(slots=True)
class Counts:
    """What became of the packets of one direction. passed includes those reordered, not the copies."""

    passed: int = 0
    passed_bytes: int = 0
    lost: int = 0
    withheld: int = 0
    overflowed: int = 0
    duplicated: int = 0
    reordered: int = 0
    queued_max_bytes: int = 0

    @property
    def offered(self) -> int:
        """All packets that came."""
        return self.passed + self.lost + self.withheld + self.overflowed


class Direction:
    """One way through the network; conditions and selection may be changed while packets pass."""

    def __init__(
        self, conditions: Conditions | None = None, seed: int = 1, select: Select | None = None
    ) -> None:
        self.conditions = conditions or Conditions()
        self.select = select
        self.counts = Counts()
        self._random = random.Random(seed).random
        self._bad = False
        self._line_free_at = 0.0
        self._last = 0.0

    def fate(self, packet: bytes, now: float) -> tuple[float, ...]:
        """When the packet leaves, at `now` seconds or later; twice for a duplicate, empty when lost."""
        draw = self._random
        state, lost, jitter, reorder, copy = draw(), draw(), draw(), draw(), draw()
        conditions, counts = self.conditions, self.counts
        if self.select is not None and self.select(packet):
            counts.withheld += 1
            return ()
        if self._loses(state, lost):
            counts.lost += 1
            return ()
        through = self._through_line(len(packet) + _HEADERS, now)
        if through is None:
            counts.overflowed += 1
            return ()
        counts.passed += 1
        counts.passed_bytes += len(packet)
        due = through + conditions.delay_s + jitter * conditions.jitter_s
        if reorder < conditions.reorder:
            counts.reordered += 1
            leaves = due + conditions.reorder_s
        else:
            leaves = self._last = max(due, self._last + _IN_ORDER_S)
        if copy < conditions.duplicate:
            counts.duplicated += 1
            return leaves, leaves + _IN_ORDER_S / 2
        return (leaves,)

    def overflow(self) -> None:
        """Takes a passed packet back: whoever carries packets had no room for it."""
        self.counts.passed -= 1
        self.counts.overflowed += 1

    def _loses(self, state: float, lost: float) -> bool:
        burst, loss = self.conditions.burst, self.conditions.loss
        if burst is None:
            return lost < loss
        self._bad = state >= burst.ends if self._bad else state < burst.begins
        return lost < (burst.loss if self._bad else loss)

    def _through_line(self, size: int, now: float) -> float | None:
        """When the last bit has passed the capped line; None where its queue is full."""
        rate = self.conditions.rate_kbps
        if rate is None:
            return now
        per_s = rate * 1000 / 8
        waits = max(0.0, self._line_free_at - now)
        if waits > self.conditions.queue_s:
            return None
        self.counts.queued_max_bytes = max(self.counts.queued_max_bytes, round(waits * per_s))
        self._line_free_at = now + waits + size / per_s
        return self._line_free_at
