"""What became of a picture since it was looked at: how far all of it has moved, and what of it is new.

One shift for the whole picture is believed, as of a camera that turns a little; what it does not explain has
changed. Cells are those of a small copy of averages, `COPY` wide and high.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from guardian.core.frames import U8, Planes
from guardian.vision.pictures import luma

F32 = npt.NDArray[np.float32]

COPY = (80, 60)
FARTHEST = 0.3
"""Shift, of the picture's sides, beyond which too little of the picture looked at is left."""
STILL = 0.8
"""Mean difference in luma below which nothing has moved."""
DIFFERS = 14.0
"""Luma by which a cell has to leave the range of those around it to have changed."""
FEWEST = 3
"""Cells that differ within three by three for them to count: fewer are an edge, or too small to be read."""
ANOTHER = 0.35
"""Share of changed cells from which on it is another scene."""
_WINDOW = np.asarray(cv2.createHanningWindow(COPY, cv2.CV_32F), np.float32)
_AROUND = np.ones((3, 3), np.uint8)
_REACH = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Moved:
    """dx, dy: cells by which the picture has moved right and down. changed: uint8 (60, 80), 255 where it is
    not what was looked at, 0 elsewhere."""

    dx: float
    dy: float
    changed: U8


def copy_of(planes: Planes) -> F32:
    """The small copy of a picture, float32 (60, 80)."""
    w, h = planes.size
    if w < COPY[0] or h < COPY[1]:
        return np.asarray(cv2.resize(planes.y, COPY, interpolation=cv2.INTER_LINEAR), np.float32)
    return luma(planes, COPY).astype(np.float32)


def moved(before: F32, now: F32) -> Moved | None:
    """From one small copy to a later one; None when it is another scene.

    The shift is found by phase correlation (Kuglin and Hines, The phase correlation image alignment method,
    1975).
    """
    way = followed(before, now)
    return None if np.count_nonzero(way.changed) > ANOTHER * way.changed.size else way


def followed(before: F32, now: F32) -> Moved:
    """As `moved`, also where it is another scene: then most of it has changed."""
    dx, dy = _shift(before, now)
    return Moved(dx, dy, _changed(before, now, dx, dy))


def _shift(before: F32, now: F32) -> tuple[float, float]:
    """Cells by which all has moved; none where that explains as much."""
    stayed = float(cv2.mean(cv2.absdiff(before, now))[0])
    if stayed < STILL:
        return 0.0, 0.0
    # It lays the window over what it is given.
    (dx, dy), _ = cv2.phaseCorrelate(before.copy(), now.copy(), _WINDOW)
    if not (abs(dx) <= FARTHEST * COPY[0] and abs(dy) <= FARTHEST * COPY[1]):
        return 0.0, 0.0
    expected = _shifted(before, dx, dy, cv2.INTER_LINEAR)
    inside = (expected >= 0).astype(np.uint8)
    return (dx, dy) if float(cv2.mean(cv2.absdiff(expected, now), inside)[0]) < stayed else (0.0, 0.0)


def _shifted(before: F32, dx: float, dy: float, way: int) -> F32:
    """The copy moved by cells, below 0 where nothing is known."""
    shift = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    return np.asarray(cv2.warpAffine(before, shift, COPY, flags=way, borderValue=(-1e4,)), np.float32)


def _changed(before: F32, now: F32, dx: float, dy: float) -> U8:
    """What the shift does not explain, and what it brought into the picture; reaching over its edge."""
    # By whole cells, and compared with a range of neighbours: what lies between two cells is within it.
    expected = _shifted(before, round(dx), round(dy), cv2.INTER_NEAREST)
    lowest, highest = cv2.erode(expected, _AROUND), cv2.dilate(expected, _AROUND)
    differs = ((now < lowest - DIFFERS) | (now > highest + DIFFERS)).astype(np.float32)
    crowded = cv2.boxFilter(differs, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT) >= FEWEST
    changed = cv2.dilate(crowded.astype(np.uint8) * np.uint8(255), _REACH)
    changed[expected < 0] = 255
    return np.asarray(changed, np.uint8)
