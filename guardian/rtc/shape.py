"""How large and how often pictures are sent when there are few bits for them.

A picture with too few bits is a smear; a smaller one with the same bits is not. So where the bitrate falls
below what a size can carry (200 kbit/s at 640x480) a smaller size is sent, and where the smallest has too
few bits as well, every second picture.
"""

from __future__ import annotations

from dataclasses import dataclass

from guardian.rtc.rate import by_size

_FACTORS = (1.0, 0.75, 0.5, 0.375, 0.25)
_SHORTEST_SIDE = 180
_LEAST = 200_000
"""Bits per second below which 640x480 is too large."""
_GENEROUS = 500_000
"""Bits per second, at 640x480, from which there are enough for more than 40 pictures a second."""
_ROOM = 1.3
"""How much more than that a larger size takes to come back to."""
_STAY_S = 5.0
_BUSY = 0.5
"""Share of the target a scene must use before its size is reduced: a still one needs few bits."""
_FAST_S = 1 / 40
"""Pictures more frequent than this can be thinned out without being missed."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Size in pixels, even (H.264 needs that), and which share of pictures to send: each `every`-th."""

    width: int
    height: int
    every: int = 1


@dataclass(frozen=True, slots=True)
class Supply:
    """What there is to send and to send it with: bits per second aimed at and lately used, and the time
    between pictures in seconds."""

    target: int
    used: int
    interval_s: float


class ShapePlan:
    """Chooses the shape of pictures; changes are few, as each costs a key frame."""

    def __init__(self) -> None:
        self._size = (0, 0)
        self._factor = 1.0
        self._changed = 0.0

    def shape(self, size: tuple[int, int], supply: Supply, now: float) -> Shape:
        """The shape for pictures of `size` (w, h) at `now`, monotonic seconds."""
        if size != self._size:
            self._size = size
            self._factor = 1.0
            self._settle(self._fitting(supply.target, room=1.0), now)
        elif supply.target < self._floor(self._factor) and supply.used > _BUSY * supply.target:
            self._settle(self._fitting(supply.target, room=1.0), now)
        elif now - self._changed >= _STAY_S:
            larger = self._fitting(supply.target, room=_ROOM)
            if larger > self._factor:
                self._settle(larger, now)
        width, height = _scaled(size, self._factor)
        return Shape(width, height, self._every(supply))

    def _every(self, supply: Supply) -> int:
        if supply.used <= _BUSY * supply.target:
            return 1
        thin = supply.target < self._floor(_factors(self._size)[-1])
        generous = by_size(_GENEROUS, self._pixels(self._factor))
        fast = supply.interval_s < _FAST_S and supply.target < generous
        return (2 if thin else 1) * (2 if fast else 1)

    def _fitting(self, target: int, room: float) -> float:
        """The largest factor that this target suffices for."""
        factors = _factors(self._size)
        return next((f for f in factors if target >= room * self._floor(f)), factors[-1])

    def _floor(self, factor: float) -> float:
        return by_size(_LEAST, self._pixels(factor))

    def _pixels(self, factor: float) -> float:
        width, height = self._size
        return width * height * factor**2

    def _settle(self, factor: float, now: float) -> None:
        if factor != self._factor:
            self._factor, self._changed = factor, now


def _scaled(size: tuple[int, int], factor: float) -> tuple[int, int]:
    width, height = size
    return max(2, int(width * factor / 2) * 2), max(2, int(height * factor / 2) * 2)


def _factors(size: tuple[int, int]) -> list[float]:
    """Those that leave enough to be seen; always at least 1."""
    return [f for f in _FACTORS if f == 1.0 or min(size) * f >= _SHORTEST_SIDE]
