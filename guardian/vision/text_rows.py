"""Lines of text put together: pieces that stand in one row, and rows that stand under one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]

LEVEL = 0.5
"""Shift between pieces of one row, of their height, at most."""
SIZES = 1.8
"""How much higher one of two pieces in a row, or of two rows, may be."""
GAP = 2.5
"""Room between two pieces of one row, of their height, at most."""
LEADING = 1.2
"""Room between two rows that belong together, of their height, at most."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that was read. corners: float32 (n, 2), convex, in pixels; sure: 0..1."""

    text: str
    corners: F32
    sure: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom)."""
        low, high = self.corners.min(axis=0), self.corners.max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def rows(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Pieces that stand side by side as one, from the top."""
    found: list[Piece] = []
    for piece in sorted(pieces, key=lambda one: one.box[0]):
        for i, row in enumerate(found):
            if _side_by_side(row, piece):
                found[i] = joined(row, piece, " ")
                break
        else:
            found.append(piece)
    return tuple(sorted(found, key=lambda one: one.box[1]))


def pairs(found: Sequence[Piece]) -> Iterator[tuple[Piece, Piece]]:
    """Rows that stand under one another."""
    for upper in found:
        for lower in found:
            if upper is not lower and _under(upper, lower):
                yield upper, lower


def joined(one: Piece, other: Piece, between: str) -> Piece:
    """Both as one, as sure as the less sure of them."""
    hull = cv2.convexHull(np.concatenate([one.corners, other.corners]).astype(np.float32))
    return Piece(
        f"{one.text}{between}{other.text}",
        np.asarray(hull, np.float32).reshape(-1, 2),
        min(one.sure, other.sure),
    )


def _side_by_side(left: Piece, right: Piece) -> bool:
    a, b = left.box, right.box
    high, low = sorted((a[3] - a[1], b[3] - b[1]))
    shift = abs((a[1] + a[3]) - (b[1] + b[3])) / 2
    return shift <= LEVEL * high and low <= SIZES * high and -high <= b[0] - a[2] <= GAP * high


def _under(upper: Piece, lower: Piece) -> bool:
    a, b = upper.box, lower.box
    high, low = sorted((a[3] - a[1], b[3] - b[1]))
    overlap = min(a[2], b[2]) - max(a[0], b[0])
    return low <= SIZES * high and -0.3 * high <= b[1] - a[3] <= LEADING * high and overlap > 0
