"""Small copies of a picture for networks, made from its planes; no full-size RGB anywhere."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from guardian.core.frames import U8, Planes

# Parallelism is one thread per stream; OpenCV's own threads would fight over the cores.
cv2.setNumThreads(1)

BLACK, NO_COLOUR = 16, 128
"""Values of black luma and of chroma without colour."""
DARK = 60
"""Mean luma below which the networks' copy is made brighter."""
BRIGHT, MOST_GAIN = 100, 12.0
"""How far above black its mean luma is then, and how much brighter it is made at most."""
WHITE, LIT = 235, 0.98
"""Luma that no more than the rest of this share of it may reach: a lit face in a dark room stays one."""


def check(planes: Planes) -> tuple[int, int]:
    """Size (w, h) of well-formed planes; ValueError for anything else."""
    w, h = planes.size
    chroma = (h // 2, w // 2)
    if w < 2 or h < 2 or w % 2 or h % 2 or planes.u.shape != chroma or planes.v.shape != chroma:
        raise ValueError("planes do not form an even 4:2:0 picture")
    if not planes.y.dtype == planes.u.dtype == planes.v.dtype == np.uint8:
        raise ValueError("planes are not 8 bit")
    return w, h


def part(planes: Planes, box: tuple[int, int, int, int]) -> Planes:
    """A view of the pixels (x0, y0, x1, y1), even numbers, of the planes; of all of them, the same."""
    x0, y0, x1, y1 = box
    if box == (0, 0, *planes.size):
        return planes
    half = np.s_[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2]
    return Planes(planes.y[y0:y1, x0:x1], planes.u[half], planes.v[half])


def shrunk(planes: Planes, times: int) -> Planes:
    """The picture averaged down to a size `times` smaller each way, of even numbers."""
    w, h = (max(side // times // 2 * 2, 2) for side in planes.size)
    y, u, v = averages(planes, (w, h), (w // 2, h // 2))
    return Planes(y, u, v)


def averages(planes: Planes, size: tuple[int, int], chroma: tuple[int, int]) -> tuple[U8, U8, U8]:
    """Luma averaged down to size (w, h) and chroma to another, neither larger than they are."""
    y, u, v = _levels(planes)
    return _averaged(y, size), _averaged(u, chroma), _averaged(v, chroma)


def luma(planes: Planes, size: tuple[int, int]) -> U8:
    """Luma averaged down to size (w, h), no larger than it is. Rounds by a level or two."""
    return _averaged(_levels(planes)[0], size)


@dataclass(frozen=True, slots=True)
class Layered(Planes):
    """Planes that keep their halvings, for all who look at one picture make the same ones.

    Only for planes that nobody writes to while this is in use.
    """

    levels: tuple[Levels, Levels, Levels]

    @classmethod
    def of(cls, planes: Planes) -> Layered:
        """These planes."""
        return cls(planes.y, planes.u, planes.v, _levels(planes))


Levels = dict[int, U8]
"""Halvings of a plane by how often it was halved; two threads may add the same one."""


def _levels(planes: Planes) -> tuple[Levels, Levels, Levels]:
    if isinstance(planes, Layered):
        return planes.levels
    return {0: planes.y}, {0: planes.u}, {0: planes.v}


def _averaged(levels: Levels, size: tuple[int, int]) -> U8:
    plane = _halved(levels, size, 2.0)
    fits = plane.shape[::-1] == size
    return plane if fits else np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA))


def _halved(levels: Levels, size: tuple[int, int], room: float) -> U8:
    """The plane halved while it is `room` times as large as size (w, h): averages at a tenth of the cost."""
    times = 0
    while True:
        plane = levels[times]
        h, w = plane.shape
        if w % 2 or h % 2 or w < room * size[0] or h < room * size[1]:
            return plane
        times += 1
        if times not in levels:
            half = cv2.resize(plane, (w // 2, h // 2), interpolation=cv2.INTER_AREA)
            levels[times] = np.asarray(half, np.uint8)


def small_bgr(planes: Planes, size: tuple[int, int]) -> U8:
    """A BGR copy, uint8 (h, w, 3), of even size (w, h), brightened when the picture is dark.

    Made from averages of pixels and not from some of them, for less noise: measured on faces in 6 % and 12 %
    of the light, that and the gain find two of three faces that were missed.
    """
    w, h = size
    i420 = np.empty((h * 3 // 2, w), np.uint8)
    flat, quarter = i420.reshape(-1), h * w // 4
    chroma = [flat[h * w + i * quarter :][:quarter].reshape(h // 2, w // 2) for i in range(2)]
    for levels, out in zip(_levels(planes), (i420[:h], *chroma), strict=True):
        target = out.shape[::-1]
        cv2.resize(_halved(levels, target, 1.8), target, dst=out, interpolation=cv2.INTER_LINEAR)
    gain = _gain(i420[:h])
    if gain > 1:
        cv2.LUT(i420[:h], _gained(BLACK, gain), dst=i420[:h])
        cv2.LUT(i420[h:], _gained(NO_COLOUR, gain), dst=i420[h:])
    return np.asarray(cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420), np.uint8)


def _gain(luma: U8) -> float:
    """How many times further above black a dark copy's luma may be."""
    mean = float(cv2.mean(luma)[0])
    if mean >= DARK:
        return 1.0
    counts = cv2.calcHist([luma], [0], None, [256], [0, 256]).ravel().cumsum()
    lit = int(np.searchsorted(counts, LIT * luma.size))
    return min(BRIGHT / max(mean - BLACK, 1.0), (WHITE - BLACK) / max(lit - BLACK, 1), MOST_GAIN)


def _gained(still: int, gain: float) -> U8:
    """A table that spreads values away from the one that stays."""
    return np.clip(np.round(still + (np.arange(256) - still) * gain), 0, 255).astype(np.uint8)
