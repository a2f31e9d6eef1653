"""Where pieces of a stream belong in time."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import groupby

from guardian.core.recording import KeptPiece

_NEAR_S = 0.5
"""Of pieces that come within this of each other, one is hardly delayed."""
_BELIEVED_S = 0.04
"""A source's clock is laid anew where it is off by more; each time sound has a seam."""
_LATEST_S = 5.0
"""Nothing is held up for longer and still comes; a clock that says so would place evidence as it likes."""


def steadied(pieces: Sequence[KeptPiece]) -> list[float]:
    """For each piece when it would have come, had none been held up on its way, media seconds.

    Each source's clock is laid on the call's where the least delayed piece nearby was: what varies from piece
    to piece is delay, and what lasts is the way, or a clock that does not keep time.
    """
    times: list[float] = []
    for _source, run in groupby(pieces, key=lambda piece: piece.source):
        times += _laid(list(run))
    return times


def _laid(run: Sequence[KeptPiece]) -> list[float]:
    times = []
    way: float | None = None
    for piece, least in zip(run, _least_nearby(run), strict=True):
        if way is None or abs(least - way) > _BELIEVED_S:
            way = least
        times.append(max(piece.clock + way, piece.came - _LATEST_S))
    return times


def _least_nearby(run: Sequence[KeptPiece]) -> list[float]:
    """For each piece the least delay of those that came within `_NEAR_S` of it."""
    found = []
    window: deque[KeptPiece] = deque()
    """Delays rise from its first to its last."""
    ahead = 0
    for piece in run:
        while ahead < len(run) and run[ahead].came <= piece.came + _NEAR_S:
            while window and _delay(window[-1]) >= _delay(run[ahead]):
                window.pop()
            window.append(run[ahead])
            ahead += 1
        while window[0].came < piece.came - _NEAR_S:
            window.popleft()
        found.append(_delay(window[0]))
    return found


def _delay(piece: KeptPiece) -> float:
    return piece.came - piece.clock
