"""Outlines with four corners: the sheets, screens, labels and frames that text and codes stand on."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from guardian.core.frames import U8

F32 = npt.NDArray[np.float32]

LARGEST, SMALLEST = 0.4, 0.002
"""Shares of the picture between which an outline lies: larger is a wall or the room."""
EDGE = 2
"""Pixels from the border of the picture within which a corner is none of a thing: a wall goes on there."""
SQUARE = 0.6
"""Cosine of the sharpest corner a sheet seen aslant may have."""
STRAIGHT = 0.03
"""How far an outline may leave its four sides, of its length."""
HELD = 0.85
"""Share of a block that has to lie within an outline around it."""
LARGER = 1.15
"""How much larger than the block that has to be."""
_CLOSE = np.ones((3, 3), np.uint8)


def outlines(grey: U8) -> tuple[F32, ...]:
    """The outlines in a small picture, uint8 (h, w): float32 (4, 2) corners each, the smallest first."""
    h, w = grey.shape
    soft = cv2.GaussianBlur(grey, (3, 3), 0)
    middle = float(np.median(soft))
    edges = [cv2.dilate(cv2.Canny(soft, low, 3 * low), _CLOSE) for low in (20, 50)]
    _, bright = cv2.threshold(soft, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    _, light = cv2.threshold(soft, min(middle * 1.25, 250), 255, cv2.THRESH_BINARY)
    found = []
    for picture in (*edges, bright, light, cv2.bitwise_not(bright)):
        contours, _ = cv2.findContours(picture, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        quads = (_quad(np.asarray(contour, np.int32)) for contour in contours)
        found += [quad for quad in quads if quad is not None]
    shares = [(float(cv2.contourArea(quad)) / (w * h), i) for i, quad in enumerate(found)]
    return tuple(
        found[i] for share, i in sorted(shares) if SMALLEST <= share <= LARGEST and _inside(found[i], w, h)
    )


def _inside(quad: F32, w: int, h: int) -> bool:
    x, y = quad[:, 0], quad[:, 1]
    return bool(x.min() >= EDGE and y.min() >= EDGE and x.max() < w - EDGE and y.max() < h - EDGE)


def _quad(contour: npt.NDArray[np.int32]) -> F32 | None:
    """The four corners of a contour that is nearly one of four sides, or None."""
    if len(contour) < 4 or cv2.contourArea(contour) < 100:
        return None
    hull = cv2.convexHull(contour)
    corners = cv2.approxPolyDP(hull, STRAIGHT * cv2.arcLength(hull, True), True)
    if len(corners) != 4 or cv2.contourArea(corners) > cv2.contourArea(contour) / 0.8:
        return None
    quad = np.asarray(corners.reshape(4, 2), np.float32)
    return quad if _sharpest(quad) <= SQUARE else None


def _sharpest(quad: F32) -> float:
    """Cosine of the corner that is furthest from a right angle, 0..1."""
    on, back = np.roll(quad, -1, axis=0) - quad, np.roll(quad, 1, axis=0) - quad
    lengths = np.linalg.norm(on, axis=1) * np.linalg.norm(back, axis=1)
    return float(np.abs((on * back).sum(axis=1) / np.maximum(lengths, 1e-6)).max())


def around(block: F32, quads: tuple[F32, ...]) -> F32 | None:
    """The smallest outline around a block, float32 (n, 2) convex corners, or None."""
    area = float(cv2.contourArea(block))
    for quad in quads:
        if float(cv2.contourArea(quad)) < LARGER * area:
            continue
        shared, _ = cv2.intersectConvexConvex(block, quad)
        if shared >= HELD * area:
            return quad
    return None
