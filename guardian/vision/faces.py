"""Finding faces: a small pass over every picture, closer looks in turn (`looks`).

The first picture of a size gets all looks at once. A sudden change of scene gets them within a few pictures,
of which nothing is known until then.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from guardian.core.frames import U8, Planes
from guardian.core.geometry import Box
from guardian.core.notes import Face, Seen, Unknown
from guardian.vision.looks import WHOLE, Gaze, GazeOf, Look, Turn, far_sighted, fit
from guardian.vision.pictures import averaged, part, small_bgr

F32 = npt.NDArray[np.float32]

SCENE_CUT = 20.0
"""Mean luma difference of thumbnails above which a picture counts as another scene."""
CUT_TURNS = 3
"""Turns taken in each picture after a change of scene: few, for the picture before is held meanwhile."""
SAME_FACE_IOU = 0.3


class FaceNet(Protocol):
    """A face network at one picture size."""

    name: str
    multiple: int

    def detect(self, bgr: U8) -> F32:
        """float32 (n, 5): left, top, width, height in pixels of `bgr`, score 0..1."""
        ...


class TurningFaceFinder:
    """Looks at every picture as a whole and closer at parts of it in turn. One thread only."""

    def __init__(self, net: FaceNet, gaze: GazeOf = far_sighted) -> None:
        self._net = net
        self._gaze_of = gaze
        self._gaze: Gaze = ()
        self._size = (0, 0)
        self._thumbnail: U8 | None = None
        self._count = 0
        self._unseen: list[Turn] = []
        self._found: list[F32] = []
        self.looks = 0
        self.whole_share = 1.0
        self.name = net.name

    @property
    def revisit(self) -> int:
        """Pictures until every part has been looked at again."""
        return max((one.pictures for one in self._gaze), default=1)

    def find(self, planes: Planes) -> Seen[tuple[Face, ...]] | Unknown:
        """Faces in pixels of `planes`; Unknown for a new scene that has not been seen everywhere."""
        looks = [replace(WHOLE, area=round(WHOLE.area * self.whole_share))]
        if planes.size != self._size:
            self._begin(planes)
            looks += [look for one in self._gaze for turn in one.turns for look in turn]
        elif self._is_cut(planes):
            self._unseen = [turn for one in self._gaze for turn in one.turns]
            self._found.clear()
        if self._unseen:
            for turn in self._unseen[:CUT_TURNS]:
                looks += turn
            del self._unseen[:CUT_TURNS]
        elif len(looks) == 1:
            for one in self._gaze:
                looks += one.due(self._count)
            self._count += 1
        self.looks = len(looks)
        self._found += [self._look(planes, look) for look in looks]
        if self._unseen:
            return Unknown("a new scene is being looked at")
        found, self._found = self._found, []
        return Seen(_merged(np.concatenate(found)))

    def _begin(self, planes: Planes) -> None:
        """Another size: everything known is void."""
        self._size = planes.size
        self._gaze = self._gaze_of(*planes.size)
        self._thumbnail = _thumbnail(planes)
        self._unseen.clear()
        self._found.clear()
        self._count = 0

    def _is_cut(self, planes: Planes) -> bool:
        before, self._thumbnail = self._thumbnail, _thumbnail(planes)
        return before is not None and float(cv2.mean(cv2.absdiff(before, self._thumbnail))[0]) > SCENE_CUT

    def _look(self, planes: Planes, look: Look) -> F32:
        x0, y0, x1, y1 = box = look.box(*planes.size)
        w, h = fit(x1 - x0, y1 - y0, look.area, self._net.multiple)
        bgr = small_bgr(part(planes, box), (w, h))
        found = self._net.detect(np.ascontiguousarray(np.rot90(bgr, look.quarters)))
        found = _turned_back(found[found[:, 4] >= look.score], (w, h), look.quarters)
        sx, sy = (x1 - x0) / w, (y1 - y0) / h
        return found * np.array([sx, sy, sx, sy, 1], np.float32) + np.array([x0, y0, 0, 0, 0], np.float32)


def _thumbnail(planes: Planes) -> U8:
    # Averages and not samples: a hand that shakes moves every sample of a patterned wall, and no average.
    return averaged(planes.y, (20, 15))


def _turned_back(found: F32, size: tuple[int, int], quarters: int) -> F32:
    """Boxes found in a picture of `size` (w, h) after its turns, as they lie in the picture itself."""
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


def _merged(found: F32) -> tuple[Face, ...]:
    """One face for each heap of boxes that overlap."""
    if not len(found):
        return ()
    boxes, scores = found[:, :4].astype(float), found[:, 4].astype(float)
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.0, SAME_FACE_IOU)
    return tuple(Face(Box(*boxes[i].tolist()), float(scores[i])) for i in np.asarray(kept).ravel())
