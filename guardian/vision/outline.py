"""The outline of a face's cover. Of few shapes and sizes: how high and wide a face is tells whose it is."""

from __future__ import annotations

from collections.abc import Sequence
from math import log, sqrt

from guardian.core.geometry import Box

COVER_W, COVER_H = 1.4, 1.5
"""Width and height of a cover, of the face of its shape: hair, ears and chin are the person too."""
LEAST = 1.3
"""What a cover hides at least around the face's middle, of the face's own width and height."""
TALL, BETWEEN = 1.22, 16 / 9
"""Height of a usual face by its width, and how much flatter or taller the next shapes are: of faces that lie,
and of those cut off by the picture's edge."""
STEP = 1.08
"""A size by the next smaller one."""
GRID = 0.04
"""Middles of covers are this far apart, of the width and height of a face of their size."""
_UP = 0.03
_TINY, _SAME = 1e-6, 1.001


def cover_box(face: Box) -> Box:
    """The box that hides a face, both in pixels: wider and taller, reaching further up than down.

    What is found of a face says how high and wide it is to a hundredth, and so does a cover drawn after it:
    covers are of one shape where faces are upright, of few sizes and in few places (decision 0081).
    """
    if face.w <= 0 or face.h <= 0:
        return face
    tall = _nearest(face.h / face.w, TALL, BETWEEN)
    # Middles move by half of what they are apart.
    least = max(LEAST / (COVER_W - GRID) * face.w, (LEAST + 2 * _UP) / (COVER_H - GRID) * face.h / tall)
    w = _nearest(max(sqrt(face.area / tall), least), 1.0, STEP)
    if w < least:
        w *= STEP
    h = w * tall
    x = _nearest_of(face.x + face.w / 2, GRID * w)
    y = _nearest_of(face.y + face.h * (0.5 - _UP), GRID * h)
    return Box(x - w * COVER_W / 2, y - h * COVER_H / 2, w * COVER_W, h * COVER_H)


class Outlines:
    """Covers of a picture's faces. One stays as it is while it does what it is for: an edge that jumps to and
    fro is seen, and how often it does so tells what is between two sizes."""

    def __init__(self) -> None:
        self._last: list[Box] = []

    def of(self, faces: Sequence[Box]) -> list[Box]:
        """The covers, in the order of the faces."""
        self._last = [self._cover(face) for face in faces]
        return self._last

    def _cover(self, face: Box) -> Box:
        wanted = cover_box(face)
        around = face.grown(LEAST)
        for last in self._last:
            if last.area <= wanted.area * _SAME and _within(around, last):
                return last
        return wanted


def _within(inner: Box, outer: Box) -> bool:
    return (
        inner.x >= outer.x - _TINY
        and inner.y >= outer.y - _TINY
        and inner.x + inner.w <= outer.x + outer.w + _TINY
        and inner.y + inner.h <= outer.y + outer.h + _TINY
    )


def _nearest_of(value: float, step: float) -> float:
    return round(value / step) * step


def _nearest(value: float, first: float, ratio: float) -> float:
    """The nearest of first, first * ratio, first / ratio and so on, by ratio."""
    return float(first * ratio ** round(log(value / first) / log(ratio)))
