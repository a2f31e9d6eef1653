"""Small copies of a picture for networks, made from its planes; no full-size RGB anywhere."""

from __future__ import annotations

import cv2
import numpy as np

from guardian.core.frames import U8, Planes

# Parallelism is one thread per stream; OpenCV's own threads would fight over the cores.
cv2.setNumThreads(1)

DARK = 45
"""Mean luma (limited range) below which the networks' copy is brightened."""
_BRIGHTER = np.clip(np.round(255 * (np.arange(256) / 255) ** 0.5), 0, 255).astype(np.uint8)


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
    """A view of the pixels (x0, y0, x1, y1), even numbers, of the planes."""
    x0, y0, x1, y1 = box
    half = np.s_[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2]
    return Planes(planes.y[y0:y1, x0:x1], planes.u[half], planes.v[half])


def shrunk(planes: Planes, times: int) -> Planes:
    """The picture averaged down to a size `times` smaller each way, of even numbers."""
    w, h = (max(side // times // 2 * 2, 2) for side in planes.size)
    half = (w // 2, h // 2)
    return Planes(averaged(planes.y, (w, h)), averaged(planes.u, half), averaged(planes.v, half))


def averaged(plane: U8, size: tuple[int, int]) -> U8:
    """The plane averaged down to size (w, h), no larger than it is. Rounds by a level or two."""
    h, w = plane.shape
    # By halves, which is ten times as fast as all at once.
    while not (w % 2 or h % 2) and w >= 2 * size[0] and h >= 2 * size[1]:
        w, h = w // 2, h // 2
        plane = np.asarray(cv2.resize(plane, (w, h), interpolation=cv2.INTER_AREA), np.uint8)
    return plane if (w, h) == size else np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA))


def small_bgr(planes: Planes, size: tuple[int, int]) -> U8:
    """A BGR copy, uint8 (h, w, 3), of even size (w, h), brightened when the picture is dark."""
    w, h = size
    i420 = np.empty((h * 3 // 2, w), np.uint8)
    # Area averaging costs ten times as much at odd ratios and the networks do not need it.
    cv2.resize(planes.y, (w, h), dst=i420[:h], interpolation=cv2.INTER_LINEAR)
    quarter = h * w // 4
    flat = i420.reshape(-1)
    for i, plane in enumerate((planes.u, planes.v)):
        start = h * w + i * quarter
        chroma = flat[start : start + quarter].reshape(h // 2, w // 2)
        cv2.resize(plane, (w // 2, h // 2), dst=chroma, interpolation=cv2.INTER_LINEAR)
    bgr = cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420)
    if float(cv2.mean(i420[:h])[0]) < DARK:
        bgr = cv2.LUT(bgr, _BRIGHTER)
    return np.asarray(bgr, np.uint8)
