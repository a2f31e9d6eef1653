"""How many calls a machine carries: what a call costs, what there is, and who has taken what of it.

Slots are counted, never sampled: a slot is taken before anything slow begins, whatever the machine does
just then, so that calls that come at once cannot all find the same room.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from guardian.core.errors import HostFull
from guardian.core.ports import Clock

Size = tuple[int, int]
"""Width and height of a picture."""

FULL = "Every slot is taken; try again later or use another instance."
_CLOSE = 1e-9
_MOST = 10_000
_LARGEST = (1 << 16, 1 << 16)
_TYPICAL_S = 120.0
"""How long a call is thought to last before one has ended here."""
_WEIGHT = 0.2
_RETRY_MOST_S = 60


@dataclass(frozen=True, slots=True)
class Load:
    """Cores and MB (2^20 bytes) of memory: what a call costs, or what there is for calls."""

    cores: float
    mb: float

    def times(self, factor: float) -> Load:
        """So many times as much of both."""
        return Load(self.cores * factor, self.mb * factor)

    def without(self, other: Load) -> Load:
        """What is left of it; never less than nothing."""
        return Load(max(0.0, self.cores - other.cores), max(0.0, self.mb - other.mb))

    def holds(self, one: Load) -> int:
        """How many of `one` fit in it, 10,000 at most; a part that costs nothing bounds nothing."""
        parts = ((self.cores, one.cores), (self.mb, one.mb))
        return min(math.floor(min(there / cost + _CLOSE, _MOST)) for there, cost in parts if cost > 0)


def total(loads: Iterable[Load]) -> Load:
    """All of them together."""
    every = list(loads)
    return Load(math.fsum(load.cores for load in every), math.fsum(load.mb for load in every))


class Costs:
    """What a call costs by the size of its picture, from sizes that were measured.

    Between two of them it is on the line between, over the pixels; below the smallest it is that one's; above
    the largest it grows as the pixels do. Never falls as pictures grow.
    """

    def __init__(self, measured: Mapping[Size, Load]) -> None:
        if not measured:
            raise ValueError("no cost of any size is known")
        self._points: list[tuple[int, Load]] = []
        for pixels, cost in sorted((size[0] * size[1], cost) for size, cost in measured.items()):
            most = self._points[-1][1] if self._points else cost
            self._points.append((pixels, Load(max(cost.cores, most.cores), max(cost.mb, most.mb))))

    def of(self, size: Size) -> Load:
        """What a call of this size costs."""
        pixels = size[0] * size[1]
        below = self._points[0]
        if pixels <= below[0]:
            return below[1]
        for above in self._points[1:]:
            if pixels <= above[0]:
                part = (pixels - below[0]) / (above[0] - below[0])
                low, high = below[1], above[1]
                return Load(low.cores + part * (high.cores - low.cores), low.mb + part * (high.mb - low.mb))
            below = above
        return below[1].times(pixels / below[0])


@dataclass(frozen=True, slots=True)
class Budget:
    """What calls may take, what each costs, and the size one is expected to have before it has any."""

    room: Load
    costs: Costs
    expected: Size

    @classmethod
    def fixed(cls, calls: int) -> Budget:
        """So many calls, whatever they cost."""
        return cls(Load(calls, math.inf), Costs({_LARGEST: Load(1.0, 0.0)}), _LARGEST)


@dataclass(slots=True)
class _Held:
    since: float
    cost: Load


class Slots:
    """Who has taken a slot, and what is left. Used on the event loop; `counts` from any thread.

    One call is always let in, however small the machine: it comes late there, but is protected.
    """

    def __init__(self, budget: Budget, clock: Clock) -> None:
        self._budget = budget
        self._clock = clock
        self._expected = budget.costs.of(budget.expected)
        self._held: dict[str, _Held] = {}
        self._lasting_s = _TYPICAL_S

    def reserve(self, call_id: str) -> None:
        """Takes a slot for a call; one that has its slot keeps it. HostFull."""
        if call_id in self._held:
            return
        if self._held and not self._free():
            raise HostFull(FULL, self.retry_after())
        self._held[call_id] = _Held(self._clock(), self._expected)

    def learn(self, call_id: str, size: Size) -> None:
        """A call has pictures of this size, (0, 0) while it has none: a larger one takes more from now on.

        A smaller one takes no less than was expected: browsers begin small and grow.
        """
        held = self._held.get(call_id)
        if held is not None:
            cost = self._budget.costs.of(size)
            held.cost = Load(max(held.cost.cores, cost.cores), max(held.cost.mb, cost.mb))

    def release(self, call_id: str) -> None:
        """The call is over, or never began; idempotent."""
        self._held.pop(call_id, None)

    def ended(self, call_id: str) -> None:
        """The call is over: how long it took says something of the others. Idempotent."""
        held = self._held.pop(call_id, None)
        if held is not None:
            lasted_s = self._clock() - held.since
            self._lasting_s += _WEIGHT * (lasted_s - self._lasting_s)

    def counts(self) -> tuple[int, int]:
        """(slots taken, slots in all): calls that large leave fewer."""
        taken = len(self._held)
        return taken, max(taken + self._free(), 1)

    def retry_after(self) -> int:
        """Whole seconds until the next of these calls is likely to end, from how long calls last here."""
        return max(1, min(_RETRY_MOST_S, math.ceil(self._lasting_s / max(1, len(self._held)))))

    def _free(self) -> int:
        # The copy is one step of the interpreter; metrics are gathered beside the event loop.
        taken = total(held.cost for held in list(self._held.values()))
        return self._budget.room.without(taken).holds(self._expected)


def size_in(status: Mapping[str, Any]) -> Size:
    """The size of the shopper's pictures in the status of a call; (0, 0) while there is none."""
    frames = status.get("frames")
    size = frames.get("size") if isinstance(frames, Mapping) else None
    if isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) for side in size):
        return size[0], size[1]
    return 0, 0
