"""Finding faces: a small pass over every picture, closer looks in turn (`looks`).

The first picture of a size gets all looks at once. A sudden change of scene gets them within a few pictures,
of which nothing is known until then.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from guardian.core.frames import U8, Planes
from guardian.core.geometry import Box
from guardian.core.notes import Face, Seen, Unknown
from guardian.core.tracks import CERTAIN, LARGER, REVISIT_FRAMES
from guardian.vision.heaps import alone
from guardian.vision.looks import (
    BESIDE,
    SMALL,
    SMALLEST,
    TURNED_SCORE,
    WHOLE,
    Gaze,
    GazeOf,
    Look,
    Rota,
    Turn,
    far_sighted,
    fit,
)
from guardian.vision.pictures import luma, part, small_bgr
from guardian.vision.turning import turn

F32 = npt.NDArray[np.float32]

SCENE_CUT = 20.0
"""Mean luma difference of thumbnails above which a picture counts as another scene."""
CUT_TURNS = 7
"""Turns taken in each picture after a change of scene: few, for the picture before is held meanwhile."""
SWINGING = 30
"""Pictures after a change of scene in which another one is looked at all at once."""
SAME_FACE_IOU = 0.45
GLANCES = 1
"""Second glances in one look; what else is unsure is believed from `TURNED_SCORE` on."""
GLANCE_SIDE = 64
"""Pixels a face has in a second glance, with as much again around it."""
DENIED, GLANCE_IOU = 0.3, 0.25
"""Score below which a second glance has not found again what is small, or what the look was sure of; overlap
from which on it is the same."""
FOLLOWED, FOLLOW_SCORE = 2, 0.5
"""Faces of before that no look shows which are looked for in one picture, each where it should be; the score
they need."""
_NOBODY: F32 = np.zeros((0, 5), np.float32)
_NOTHING: F32 = np.zeros(5, np.float32)
TWIN_IOU, TWIN_REACH = 0.25, 0.675
"""In a turned copy a face seen upright is seen again beside itself: overlapping it by less than the first,
with its middle nearer to that face's than this share of the sides."""
HELD_SHARE = 0.8
"""Share of a box that another has to hold, which is `LARGER` than it, to be around it."""


@dataclass(frozen=True, slots=True)
class _Glance:
    """A look at one place: how far around its middle, in sides of the face; the pixels a face has then."""

    reach: float
    side: int
    degrees: int = 0
    stretch: float = 1.0


_FOLLOWING = _Glance(reach=2.0, side=24)


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
        self._rotas: tuple[Rota, ...] = ()
        self._unseen: list[Turn] = []
        self._at_once = CUT_TURNS
        self._since_cut = SWINGING
        self._found: list[F32] = []
        self.looks = 0
        self.everywhere = False
        self.whole_share = 1.0
        self.pace = 1
        self._paces = deque([1], REVISIT_FRAMES)
        self.beside = False
        self.expected: tuple[Box, ...] = ()
        self._followed = 0
        self.name = net.name

    @property
    def revisit(self) -> int:
        """Pictures until every part has been looked at again."""
        return max((one.pictures(min(self._paces)) for one in self._gaze), default=1)

    def find(self, planes: Planes) -> Seen[tuple[Face, ...]] | Unknown:
        """Faces in pixels of `planes`; Unknown for a new scene that has not been seen everywhere.

        What the network raises; the next picture is then looked at everywhere, as the first one is.
        """
        try:
            return self._find(planes)
        except Exception:
            self.restart()
            raise

    def restart(self) -> None:
        """What was seen so far says nothing of the next picture: it is looked at everywhere, as the first."""
        self._size = (0, 0)

    def _find(self, planes: Planes) -> Seen[tuple[Face, ...]] | Unknown:
        looks: list[Look] = []
        whole = WHOLE
        self._paces.append(self.pace)
        if planes.size != self._size:
            self._begin(planes)
            looks += [look for one in self._gaze for turn in one.turns for look in turn]
        elif self._is_cut(planes):
            # While one change follows another nothing would ever be known if each were looked at bit by bit.
            self._unseen = [turn for one in self._gaze for turn in one.turns]
            self._at_once = len(self._unseen) if self._since_cut < SWINGING else CUT_TURNS
            self._since_cut = 0
            self._found.clear()
        self._since_cut += 1
        settled = bool(looks or self._unseen)
        if self._unseen:
            for turn in self._unseen[: self._at_once]:
                looks += turn
            del self._unseen[: self._at_once]
        elif not looks:
            for rota in self._rotas:
                looks += rota.due(self.beside, self.pace)
            if looks or self.beside:
                whole = BESIDE
        self.looks = len(looks) + 1
        self.everywhere = settled and not self._unseen
        known = self._look(planes, replace(whole, area=round(whole.area * self.whole_share)), _NOBODY)
        self._found += [known, *(self._look(planes, look, known) for look in looks)]
        self._found += self._follow(planes)
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
        self._rotas = tuple(Rota(one) for one in self._gaze)

    def _is_cut(self, planes: Planes) -> bool:
        before, self._thumbnail = self._thumbnail, _thumbnail(planes)
        return before is not None and float(cv2.mean(cv2.absdiff(before, self._thumbnail))[0]) > SCENE_CUT

    def _look(self, planes: Planes, look: Look, known: F32) -> F32:
        """What one look finds; what is among the known needs no second glance."""
        box = look.box(*planes.size)
        size = fit(round((box[2] - box[0]) * look.stretch), box[3] - box[1], look.area, self._net.multiple)
        found: F32 = alone(self._see(planes, box, size, look.degrees), SAME_FACE_IOU)
        side = found[:, 2:4].max(axis=1, initial=0)
        fit_for = (found[:, 4] >= look.score) & (side >= look.smallest * min(planes.size))
        found, side = np.asarray(found[fit_for], np.float32), side[fit_for]
        unsure, large = found[:, 4] < look.sure, side > SMALL * min(planes.size)
        doubtful = (unsure & (side > SMALLEST * min(planes.size))) | (large & (look.sure > 0))
        if look.degrees:
            other = ~_twins(found, known)
            found, side, doubtful = found[other], side[other], doubtful[other]
            unsure, large = unsure[other], large[other]
        places = np.flatnonzero(doubtful & ~_among(found, known))
        if not places.size:
            return found
        # The largest first: they hide most if they are wrong.
        asked = places[np.argsort(-side[places])]
        dropped = []
        for hit in asked[:GLANCES]:
            again = self._again(planes, found[hit], look)
            if again[4] < (look.again if large[hit] and unsure[hit] else DENIED):
                dropped.append(hit)
            elif again[4] > found[hit, 4]:
                found[hit] = again
        dropped += [hit for hit in asked[GLANCES:] if found[hit, 4] < TURNED_SCORE and large[hit]]
        return np.asarray(np.delete(found, dropped, axis=0), np.float32)

    def _follow(self, planes: Planes) -> list[F32]:
        """What is found where faces should be that no look at this picture shows, in turn."""
        shown = [Box(*place) for found in self._found for *place, _ in found.tolist()]
        lost = [box for box in self.expected if not any(box.iou(place) > GLANCE_IOU for place in shown)]
        if not lost or self._unseen or self.whole_share < 1:
            return []
        first = self._followed % len(lost)
        self._followed += FOLLOWED
        found = (self._glance(planes, box, _FOLLOWING) for box in (lost[first:] + lost[:first])[:FOLLOWED])
        return [one[one[:, 4] >= FOLLOW_SCORE] for one in found]

    def _again(self, planes: Planes, hit: F32, look: Look) -> F32:
        """What a second glance at the place of a hit finds there, alone and at the best size; nothing has
        score 0."""
        wanted = Box(*(float(value) for value in hit[:4]))
        found = self._glance(planes, wanted, _Glance(1.0, GLANCE_SIDE, look.degrees, look.stretch))
        there = [one for one in found if Box(*one[:4].tolist()).iou(wanted) > GLANCE_IOU]
        return max(there, key=lambda one: float(one[4]), default=_NOTHING)

    def _glance(self, planes: Planes, at: Box, glance: _Glance) -> F32:
        """What is found at one place alone."""
        side = max(at.w, at.h)
        reach = glance.reach * side
        x, y = at.x + at.w / 2, at.y + at.h / 2
        around = Box(x - reach, y - reach, 2 * reach, 2 * reach).pixels(*planes.size)
        if around is None:
            return _NOBODY
        x0, y0, x1, y1 = (value // 2 * 2 for value in around)
        x1, y1 = max(x1, x0 + 2), max(y1, y0 + 2)
        scale, step = glance.side / side, self._net.multiple
        wide, high = (x1 - x0) * glance.stretch * scale, (y1 - y0) * scale
        size = max(round(wide / step), 1) * step, max(round(high / step), 1) * step
        return self._see(planes, (x0, y0, x1, y1), size, glance.degrees)

    def _see(
        self, planes: Planes, box: tuple[int, int, int, int], size: tuple[int, int], degrees: int
    ) -> F32:
        """What the network finds in a part of the picture shown at a size and turned, in picture pixels."""
        x0, y0, x1, y1 = box
        turned, back = turn(small_bgr(part(planes, box), size), degrees)
        found = back(self._net.detect(turned))
        sx, sy = (x1 - x0) / size[0], (y1 - y0) / size[1]
        scaled: F32 = np.multiply(found, np.array([sx, sy, sx, sy, 1]), dtype=np.float32)
        scaled += np.array([x0, y0, 0, 0, 0], np.float32)
        return scaled


def _among(found: F32, known: F32) -> npt.NDArray[np.bool_]:
    """Which boxes are one of the known."""
    places = [Box(*place) for *place, _ in known.tolist()]
    meets = [any(Box(*box).iou(place) > SAME_FACE_IOU for place in places) for *box, _ in found.tolist()]
    return np.array(meets, np.bool_)


def _twins(found: F32, known: F32) -> npt.NDArray[np.bool_]:
    """Which boxes are of a face that is among the known, certain and better."""
    certain = [(Box(*place), score) for *place, score in known.tolist() if score >= CERTAIN]
    twins = [
        any(better >= score and _beside(Box(*box), face) for face, better in certain)
        for *box, score in found.tolist()
    ]
    return np.array(twins, np.bool_)


def _beside(box: Box, face: Box) -> bool:
    dx = abs(box.x + box.w / 2 - face.x - face.w / 2)
    dy = abs(box.y + box.h / 2 - face.y - face.h / 2)
    near = dx <= TWIN_REACH * face.w and dy <= TWIN_REACH * face.h
    return near and box.area <= LARGER * face.area and box.iou(face) < TWIN_IOU


def _thumbnail(planes: Planes) -> U8:
    # Averages and not samples: a hand that shakes moves every sample of a patterned wall, and no average.
    return luma(planes, (20, 15))


def _merged(found: F32) -> tuple[Face, ...]:
    """One face for each heap of boxes that overlap, without boxes around better ones."""
    found = alone(found, SAME_FACE_IOU)
    if len(found) > 1:
        found = found[~_around_better(found)]
    return tuple(Face(Box(*box), score) for *box, score in found.astype(float).tolist())


def _around_better(found: F32) -> npt.NDArray[np.bool_]:
    """Which of the boxes hold a smaller one of a better score, as a head and shoulders hold the face."""
    x, y, w, h, score = (found[:, i] for i in range(5))
    area = w * h
    across = np.minimum.outer(x + w, x + w) - np.maximum.outer(x, x)
    down = np.minimum.outer(y + h, y + h) - np.maximum.outer(y, y)
    shared = np.clip(across, 0, None) * np.clip(down, 0, None)
    around = (shared > HELD_SHARE * area) & (area[:, np.newaxis] > LARGER * area)
    return np.asarray((around & (score[:, np.newaxis] < score)).any(axis=1))
