"""Small pictures turned before a network sees them, and what it finds turned back."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, radians, sin

import cv2
import numpy as np
import numpy.typing as npt

from guardian.core.frames import U8

F32 = npt.NDArray[np.float32]

Back = Callable[[F32], F32]
"""Boxes in a turned picture, float32 (n, 5): left, top, width, height, score; as they lie in the picture."""


def turn(bgr: U8, degrees: int) -> tuple[U8, Back]:
    """The picture turned against the clock, whole, and the way back for boxes.

    Other than by quarters it lies in the middle of a grey square of a multiple of 32, and what is found in it
    comes back as squares.
    """
    if degrees % 90 == 0:
        quarters = degrees // 90
        size = (bgr.shape[1], bgr.shape[0])
        return np.ascontiguousarray(np.rot90(bgr, quarters)), lambda found: _by_quarters(
            found, size, quarters
        )
    h, w = bgr.shape[:2]
    side = -(-round(max(_reach(w, h, degrees))) // 32) * 32
    matrix = cv2.getRotationMatrix2D((w / 2, h / 2), degrees, 1.0)
    matrix[:, 2] += (side - w) / 2, (side - h) / 2
    oblique = cv2.warpAffine(bgr, matrix, (side, side), borderValue=(128, 128, 128))
    inverse = np.asarray(cv2.invertAffineTransform(matrix), np.float64)
    return np.asarray(oblique, np.uint8), lambda found: _by_degrees(found, inverse)


def _reach(w: int, h: int, degrees: int) -> tuple[float, float]:
    """(w, h) of the box around a turned picture."""
    c, s = abs(cos(radians(degrees))), abs(sin(radians(degrees)))
    return w * c + h * s, w * s + h * c


def _by_quarters(found: F32, size: tuple[int, int], quarters: int) -> F32:
    w, h = size
    x, y, across, down, score = found.T
    match quarters % 4:
        case 1:
            turned = [w - y - down, x, down, across, score]
        case 2:
            turned = [w - x - across, h - y - down, across, down, score]
        case 3:
            turned = [y, h - x - across, down, across, score]
        case _:
            return found
    return np.stack(turned, axis=1)


def _by_degrees(found: F32, inverse: npt.NDArray[np.float64]) -> F32:
    side = found[:, 2:4].max(axis=1, initial=0)
    middle = found[:, :2] + found[:, 2:4] / 2
    back = middle @ inverse[:, :2].T + inverse[:, 2]
    corner = back - side[:, np.newaxis] / 2
    return np.column_stack([corner, side, side, found[:, 4]]).astype(np.float32)
