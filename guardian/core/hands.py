"""Hands over time: kept a moment after they were seen, and shown smaller the longer that is ago.

The other way round than faces (`guardian.core.tracks`): where a hand is shown, so is what is behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

from guardian.core.geometry import Box
from guardian.core.notes import Hand

MOST = 20
"""Hands kept at once; the newest stay."""
FRESH = 0.5
"""Share of the hold time after which a hand that was not seen again begins to shrink."""
LEAST = 0.5
"""Share of its width and height that a hand has at the end of the hold time."""
COAST_S = 0.2
"""How long a hand is believed to keep its speed."""
NEAR = 0.75
"""Distance, of its box's width, within which a hand is the one seen before."""
AGAIN = 0.7
"""Share of the usual score that is enough for a hand seen before: hands in motion are blurred."""


@dataclass(frozen=True, slots=True)
class _Kept:
    hand: Hand
    seen_t: float
    vx: float = 0.0
    vy: float = 0.0


class HeldHands:
    """The hands to show in each picture of one stream. One thread only."""

    def __init__(self, hold_s: float, sure: float) -> None:
        """hold_s: seconds a hand is shown after it was last seen. sure: score a hand is first shown from."""
        self._hold_s, self._sure = hold_s, sure
        self._kept: tuple[_Kept, ...] = ()

    def clear(self) -> None:
        """Forgets every hand."""
        self._kept = ()

    def saw(self, hands: tuple[Hand, ...], t: float) -> None:
        """Takes what was found at media time t (seconds)."""
        left = [kept for kept in self._kept if self._shows(kept, t)]
        seen = []
        for hand in hands:
            before = min(left, key=lambda kept: _distance(kept.hand, hand), default=None)
            if before is not None and _distance(before.hand, hand) <= NEAR * hand.box.w:
                left.remove(before)
                seen.append(_followed(before, hand, t))
            elif hand.score >= self._sure:
                seen.append(_Kept(hand, t))
        self._kept = (*seen, *left)[:MOST]

    def at(self, t: float) -> tuple[Hand, ...]:
        """The hands to show at media time t: moved with their speed, smaller when not seen for a while."""
        self._kept = tuple(kept for kept in self._kept if self._shows(kept, t))
        return tuple(self._guess(kept, t - kept.seen_t) for kept in self._kept)

    def _shows(self, kept: _Kept, t: float) -> bool:
        # Written so that NaN is too old; a time before it was seen is another camera's.
        return 0 <= t - kept.seen_t <= self._hold_s

    def _guess(self, kept: _Kept, age: float) -> Hand:
        moved = min(age, COAST_S)
        fresh_s = self._hold_s * FRESH
        late = max(age - fresh_s, 0.0) / (self._hold_s - fresh_s) if age > fresh_s else 0.0
        dx, dy = kept.vx * moved, kept.vy * moved
        box = kept.hand.box.shifted(dx, dy).grown(1 - (1 - LEAST) * late)
        return Hand(box, kept.hand.palm.shifted(dx, dy), kept.hand.score)


def _followed(before: _Kept, hand: Hand, t: float) -> _Kept:
    dt = t - before.seen_t
    if dt <= 0:
        return _Kept(hand, t, before.vx, before.vy)
    (x0, y0), (x1, y1) = _middle(before.hand.box), _middle(hand.box)
    return _Kept(hand, t, (x1 - x0) / dt, (y1 - y0) / dt)


def _distance(one: Hand, other: Hand) -> float:
    (x0, y0), (x1, y1) = _middle(one.box), _middle(other.box)
    return hypot(x1 - x0, y1 - y0)


def _middle(box: Box) -> tuple[float, float]:
    return box.x + box.w / 2, box.y + box.h / 2
