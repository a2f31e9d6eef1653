"""What of a picture a chain shows, read from a picture made for it.

Squares of one pixel in two shades: averages over cells leave the middle of the two, and what is shown of the
picture keeps them. Finders that repeat their last answer make the chain treat it as the picture before.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from guardian.core.frames import U8, Planes, SafeFrame, Showing

DARK, LIGHT = 60, 190
_MIDDLE, _HALF = (DARK + LIGHT) / 2, (LIGHT - DARK) / 2


def squares(size: tuple[int, int]) -> Planes:
    """The picture, w x h, even."""
    w, h = size
    rows, columns = np.mgrid[:h, :w]
    y = np.where((rows + columns) % 2, LIGHT, DARK).astype(np.uint8)
    grey: U8 = np.full((h // 2, w // 2), 128, np.uint8)
    return Planes(y, grey, grey)


def hidden(safe: SafeFrame) -> npt.NDArray[np.bool_]:
    """Where less than half of the squares is left in a protected picture of them; bool (h, w).

    A card hides everything; a picture that is held shows an older one, and counts as hiding nothing.
    """
    if safe.showing is not Showing.COVERED:
        return np.full(safe.planes.y.shape, safe.showing is Showing.CURTAIN)
    return np.asarray(np.abs(safe.planes.y.astype(np.float32) - _MIDDLE) < _HALF / 2)
