"""What came into the picture, or moved in it, a moment ago: perhaps somebody no network has made out yet.

Where the scene is shown and people are not, a head that comes in over the picture's edge is seen in the one
picture or two in which it is too little of a person for a person mask and too little of a face for a face.
So what differs from the picture of a moment ago, the camera's own way taken out, is hidden like somebody.
What a face looks like has no part in that: where it is covered in one of the two pictures, both are taken
to be flat.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import ceil, floor

import cv2
import numpy as np
import numpy.typing as npt

from guardian.core.frames import U8, Planes
from guardian.core.geometry import Box
from guardian.vision.following import COPY, F32, copy_of, followed
from guardian.vision.mask import GRID

LASTS_S = 0.25
"""How long something is new: several person masks and a look at the whole picture or more."""
MOST = 16
"""Pictures kept."""


class Newcomers:
    """Compares each picture of one stream with that of a moment ago. One thread only."""

    def __init__(self) -> None:
        self._before: deque[_View] = deque(maxlen=MOST)

    def clear(self) -> None:
        """Pictures from before are of something else."""
        self._before.clear()

    def of(self, planes: Planes, t: float, faces: tuple[Box, ...]) -> U8:
        """What is new in a picture of media time t (seconds), uint8 (144, 256): 255 there, 0 elsewhere.

        faces: boxes that are covered, in pixels.
        """
        now = _View(t, copy_of(planes), _under(faces, planes.size))
        self._before.append(now)
        # The last of those that are older stays: pictures may come more seldom than this.
        while len(self._before) > 2 and not t - self._before[1].t < LASTS_S:
            self._before.popleft()
        before = self._before[0]
        flat = before.faces | now.faces
        tone = np.float32(0.0 if flat.all() else before.copy[~flat].mean())
        changed = followed(np.where(flat, tone, before.copy), np.where(flat, tone, now.copy)).changed
        return np.asarray(cv2.resize(changed, GRID, interpolation=cv2.INTER_NEAREST), np.uint8)


@dataclass(frozen=True, slots=True)
class _View:
    """The copy of a picture of media time t, and where faces are covered in it, bool (60, 80)."""

    t: float
    copy: F32
    faces: npt.NDArray[np.bool_]


def _under(faces: tuple[Box, ...], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Cells of the copy of a picture of `size` that any face has a part in."""
    under = np.zeros(COPY[::-1], np.bool_)
    for face in faces:
        box = face.scaled(COPY[0] / size[0], COPY[1] / size[1])
        # One more on every side: averages of averages reach a little further.
        rows = slice(max(floor(box.y) - 1, 0), max(ceil(box.y + box.h) + 1, 0))
        under[rows, max(floor(box.x) - 1, 0) : max(ceil(box.x + box.w) + 1, 0)] = True
    return under
