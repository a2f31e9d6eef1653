"""Finding what may be text without any weights: rows of strong edges close together.

For machines that lack the text network. It takes leaves, grids and patterned cloth for text too: what is
hidden wrongly is lawful, a number that shows is not.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from guardian.core.frames import U8

F32 = npt.NDArray[np.float32]

FAINT = 40
"""Difference within three pixels below which there is no stroke."""
GAP = 11
"""Pixels between strokes up to which they are one line."""
LOWEST, HIGHEST = 5, 0.5
"""Height of a line in pixels, and as a share of the picture's height at most."""
LONG = 1.3
"""Length of a line, of its height, at least."""
DENSE = 0.35
"""Share of a line's box that its strokes fill, at least."""
_STROKE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))


class RoughText:
    """Does what `TextLines` does, with more false hits. One thread at a time."""

    multiple = 32
    name = "edges"

    def detect(self, bgr: U8) -> F32:
        """float32 (n, 4, 2): corners (x, y) of boxes, in pixels of `bgr`."""
        grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
        edges = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, _STROKE)
        threshold, _ = cv2.threshold(edges, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
        strokes = (edges > max(threshold, FAINT)).astype(np.uint8)
        rows = cv2.morphologyEx(strokes, cv2.MORPH_CLOSE, np.ones((1, GAP), np.uint8))
        _, _, stats, _ = cv2.connectedComponentsWithStats(rows, connectivity=4)
        lines = [_corners(*box) for *box, _ in stats[1:].tolist() if _is_line(strokes, *box)]
        return np.array(lines, np.float32).reshape(-1, 4, 2)


def _is_line(strokes: npt.NDArray[np.uint8], x: int, y: int, w: int, h: int) -> bool:
    if not LOWEST <= h <= HIGHEST * strokes.shape[0] or w < LONG * h:
        return False
    return float(strokes[y : y + h, x : x + w].mean()) >= DENSE


def _corners(x: int, y: int, w: int, h: int) -> list[tuple[int, int]]:
    return [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
