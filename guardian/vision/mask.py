"""What of a picture may be seen: a small map from person probabilities, faces and the mode.

Everything here leans towards hiding. Upright numbers are cells of a 256x144 grid stretched over
the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

import cv2
import numpy as np
import numpy.typing as npt

from guardian.core.frames import U8, Mode
from guardian.core.geometry import Box
from guardian.core.notes import Hand
from guardian.vision.outline import cover_box

F32 = npt.NDArray[np.float32]

GRID = (256, 144)
SURE = 0.65
"""Person probability above which a cell is foreground; shown after two such masks in a row."""
UNSURE = 0.55
"""Probability below which a shown cell is hidden at once."""
BYSTANDER = 0.3
"""Probability above which product and install hide a cell as a person."""
HAIR = 0.7
"""How far above a cover, of the face's height, the person is hidden too."""
ROUNDING = 0.15
"""Radius of a cover's corners, of its shorter side; the face grown by 1.3 stays inside."""
HEAD_SHARE, HEAD_OF_WIDTH = 0.4, 0.75
"""Share of a person without a found face that is hidden, from the top: of their height, and no more than
this of their width, for somebody seen from head to foot has a small head."""
FAST_CELLS = 24
"""Cells further than two cells from the last mask's edge that changed sides: somebody moves fast."""
STRAY_CELLS, STRAY_FOR = 2, 4
"""Cells by which an edge that moves fast may go further in a picture, and pictures this is allowed for."""
SMALLEST_PERSON = 0.004
"""Share of the picture below which a piece is not shown as a person."""
CERTAIN, LIKELY, MODEST = 0.93, 0.85, 0.05
"""Mean probability below which a piece without a face is not: of one smaller than `MODEST` of the picture,
and of others. Furniture taken for somebody has 0.4 to 0.9, and is small."""
ARM = 1.2
"""Side of the largest upright square in an arm with its hand, of the palm's: what holds a larger one may have
a head."""
HAND_EDGE = 2
"""Cells over which a hand's region fades, within its box."""
_CROSS = np.ones((3, 3), np.uint8)
_BLOCK = np.ones((5, 5), np.uint8)


@dataclass(frozen=True, slots=True)
class Bodies:
    """The people of a mask, each of one piece: opacity uint8 (144, 256), which of them a cell belongs to
    int32 (144, 256), their numbers with their boxes (x, y, w, h), and the numbers of those that need be
    nobody. What is too small is left out."""

    opacity: U8
    labels: npt.NDArray[np.int32]
    boxes: tuple[tuple[int, int, int, int, int], ...]
    doubtful: frozenset[int]

    @classmethod
    def of(cls, person: npt.NDArray[np.bool_], probability: F32) -> Bodies:
        """Those of a mask, bool (144, 256), of cells with these probabilities, float32 (144, 256)."""
        opacity = person.astype(np.uint8) * np.uint8(255)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(opacity, connectivity=4)
        sums = np.bincount(labels.ravel(), probability.ravel())
        boxes, doubtful = [], set()
        for i, (x, y, w, h, area) in enumerate(stats[1:].tolist(), start=1):
            if area < SMALLEST_PERSON * opacity.size:
                opacity[labels == i] = 0
                continue
            boxes.append((i, x, y, w, h))
            if sums[i] < area * (CERTAIN if area < MODEST * opacity.size else LIKELY):
                doubtful.add(i)
        return cls(opacity, np.asarray(labels, np.int32), tuple(boxes), frozenset(doubtful))


class ShownMask:
    """Which cells hold a person for certain; slow to show, quick to hide. One thread only."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forgets everything: nothing is a person, everything may be one."""
        self.fast = False
        """Whether an edge went further between the last two masks than erosion makes up for."""
        self.moving = False
        """Whether one did so between the last two masks or those before."""
        self.settled = False
        """Whether the last two masks agree so well that their edge can be believed."""
        self._foreground: npt.NDArray[np.bool_] | None = None
        self.person: npt.NDArray[np.bool_] | None = None
        self.bystander: npt.NDArray[np.bool_] | None = None
        self._bodies: Bodies | None = None
        self._bystanders: Bodies | None = None

    @property
    def bodies(self) -> Bodies | None:
        """The people, or None when nothing is known."""
        if self._bodies is None and self.person is not None:
            self._bodies = Bodies.of(self.person, self._probability)
        return self._bodies

    @property
    def bystanders(self) -> Bodies | None:
        """Everybody who may be there, or None when nothing is known."""
        if self._bystanders is None and self.bystander is not None:
            self._bystanders = Bodies.of(self.bystander, self._probability)
        return self._bystanders

    def update(self, probability: F32) -> None:
        """Takes a mask, float32 (h, w) 0..1 of any small size."""
        if probability.shape != GRID[::-1]:
            probability = np.asarray(cv2.resize(probability, GRID, interpolation=cv2.INTER_LINEAR))
        self._probability = probability
        sure = probability > SURE
        before, self._foreground = self._foreground, sure
        self._bodies = self._bystanders = None
        if before is None:
            self.person = np.zeros_like(sure)
            self.bystander = np.ones_like(sure)
            self._maybe = probability > BYSTANDER
            return
        deep = cv2.erode(before.astype(np.uint8), _BLOCK)
        far = cv2.dilate(before.astype(np.uint8), _BLOCK)
        strayed = int(deep[~sure].sum()) + int(np.count_nonzero(far[sure] == 0))
        self.moving = self.fast or strayed > FAST_CELLS
        self.fast = strayed > FAST_CELLS
        self.settled = strayed == 0
        shown = sure & before
        if self.person is not None:
            shown |= self.person & (probability >= UNSURE)
        self.person = shown
        maybe = probability > BYSTANDER
        self.bystander = maybe | self._maybe
        self._maybe = maybe


@dataclass(frozen=True, slots=True)
class Sights:
    """What was found in a picture, in cells of the grid. covers: of the faces, in their order; hands: those
    that no face's cover touches."""

    faces: list[Box]
    covers: list[Box]
    hands: tuple[Hand, ...] = ()


def visible(mask: ShownMask, mode: Mode, sights: Sights, age: int = 0) -> U8:
    """Opacity of the raw picture, uint8 (144, 256): 0 is hidden, 255 is shown.

    age is that of the mask in pictures. Where it is scaled up linearly, every pixel of a face's cover
    stays 0.
    """
    faces = sights.faces
    bodies = mask.bodies
    if bodies is None or mask.bystander is None or mode is Mode.PRIVATE:
        return np.zeros(GRID[::-1], np.uint8)
    hidden = _under(sights.covers) if faces else None
    if mode is Mode.SELFIE:
        shown = bodies.opacity.copy()
        _hide_faceless(shown, bodies, faces)
        if hidden is not None:
            shown = np.asarray(cv2.min(shown, cv2.bitwise_not(hidden)), np.uint8)
            _hide_hair(shown, sights)
        shown = _shrunk(shown, _CROSS if mask.settled else _reach(mask, age))
    else:
        reach = _reach(mask, age)
        most = cv2.bitwise_not(strangers(mask, mode, age))
        shown = np.full(GRID[::-1], 255, np.uint8) if mode is Mode.INSTALL else _CENTRE
        if mode is Mode.PRODUCT and sights.hands and mask.bystanders is not None:
            hands = _around_hands(sights.hands)
            shown = np.asarray(cv2.max(shown, hands), np.uint8)
            most = np.asarray(cv2.max(most, _of_people(hands, mask.bystanders, sights, reach)), np.uint8)
        shown = np.asarray(cv2.min(cv2.blur(cv2.min(shown, most), (3, 3)), most), np.uint8)
    if hidden is not None:
        # Wider than the soft edge is, so that under the cover itself nothing is left.
        soft = cv2.blur(cv2.dilate(hidden, _BLOCK), (3, 3))
        shown = np.asarray(cv2.min(shown, cv2.bitwise_not(soft)), np.uint8)
    return shown


def strangers(mask: ShownMask, mode: Mode, age: int = 0) -> U8:
    """Who is hidden whole, uint8 (144, 256), 255 on them and around: no fill is to be made of them either."""
    if mask.bystander is None or mode is Mode.SELFIE:
        return np.zeros(GRID[::-1], np.uint8)
    people = mask.bystander.astype(np.uint8) * np.uint8(255)
    return np.asarray(cv2.dilate(people, _reach(mask, age)), np.uint8)


def heads(mask: ShownMask, mode: Mode, faces: list[Box]) -> tuple[Box, ...]:
    """Where in *selfie* the heads are of those without a face, in cells of the grid: the upper part of their
    boxes."""
    bodies = mask.bodies
    if bodies is None or mode is not Mode.SELFIE:
        return ()
    found = []
    for _, x, y, w, h in bodies.boxes:
        if not any(_inside(face, x, y, w, h) for face in faces):
            rows = _head(y, w, h)
            found.append(Box(x, y, w, rows.stop - y))
    return tuple(found)


def apart(hands: tuple[Hand, ...], faces: list[Box]) -> tuple[Hand, ...]:
    """Those hands whose palm no face's cover touches: the others are taken for part of a face."""
    covers = [cover_box(face) for face in faces]
    return tuple(hand for hand in hands if not any(hand.palm.iou(box) > 0 for box in covers))


def _around_hands(hands: tuple[Hand, ...]) -> U8:
    """255 within the ellipses of the hands' boxes, fading towards their edge, 0 elsewhere."""
    grid = np.zeros(GRID[::-1], np.uint8)
    for hand in hands:
        box = hand.box
        middle = round(box.x + box.w / 2), round(box.y + box.h / 2)
        axes = tuple(floor(side / 2) - 2 * HAND_EDGE for side in (box.w, box.h))
        if min(axes) > 0:
            cv2.ellipse(grid, middle, axes, 0, 0, 360, (255,), cv2.FILLED)
    side = 2 * HAND_EDGE + 1
    return np.asarray(cv2.blur(grid, (side, side)), np.uint8)


def _of_people(hands: U8, bodies: Bodies, sights: Sights, reach: U8) -> U8:
    """What of people may be seen: those the hands belong to, around their hands, but for their heads."""
    strange = bodies.labels != 0
    for i, x, y, w, h in bodies.boxes:
        own = bodies.labels == i
        palms = [hand.palm for hand in sights.hands if _touches(hand.palm, own)]
        if not palms:
            continue
        strange &= ~own
        faceless = not any(_inside(face, x, y, w, h) for face in sights.faces)
        if faceless and not _is_arm(own, palms):
            head = _head(y, w, h)
            strange[head] |= own[head]
    of_people = hands * (cv2.dilate(strange.astype(np.uint8), reach) == 0).astype(np.uint8)
    _hide_hair(of_people, sights)
    return np.asarray(of_people, np.uint8)


def _touches(palm: Box, own: npt.NDArray[np.bool_]) -> bool:
    rows = slice(max(floor(palm.y), 0), max(ceil(palm.y + palm.h), 0))
    return bool(own[rows, max(floor(palm.x), 0) : max(ceil(palm.x + palm.w), 0)].any())


def _is_arm(own: npt.NDArray[np.bool_], palms: list[Box]) -> bool:
    """Whether what is of one piece is thin everywhere, by the smallest of its palms.

    What is cut off by the picture's edge is taken to go on: a head may.
    """
    block = (
        max(ceil(ARM * min(palm.h for palm in palms)), 1),
        max(ceil(ARM * min(palm.w for palm in palms)), 1),
    )
    thick = cv2.erode(own.astype(np.uint8), np.ones(block, np.uint8), borderType=cv2.BORDER_REPLICATE)
    return not thick.any()


def _reach(mask: ShownMask, age: int) -> U8:
    """What edges are eroded by: more the older the mask of somebody who moves fast is."""
    side = 5 + (2 * STRAY_CELLS * min(age, STRAY_FOR) if mask.moving else 0)
    return np.ones((side, side), np.uint8)


def _shrunk(shown: U8, by: U8) -> U8:
    """Without slivers, and eroded by a cell less than `by` reaches. Scaled up linearly, its edge is soft."""
    core = cv2.erode(shown, by, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.dilate(core, _CROSS), np.uint8)


def _hide_faceless(shown: U8, bodies: Bodies, faces: list[Box]) -> None:
    """Hides the head of whoever has no face, and all of what need be nobody."""
    for i, x, y, w, h in bodies.boxes:
        if not any(_inside(face, x, y, w, h) for face in faces):
            rows = slice(y, y + h) if i in bodies.doubtful else _head(y, w, h)
            shown[rows][bodies.labels[rows] == i] = 0


def _head(y: int, w: int, h: int) -> slice:
    """Rows in which the head is of somebody in a box that begins in row y."""
    return slice(y, y + max(round(min(h * HEAD_SHARE, w * HEAD_OF_WIDTH)), 1))


def _hide_hair(shown: U8, sights: Sights) -> None:
    """What of a person reaches over the cover would stand in the air."""
    for face, box in zip(sights.faces, sights.covers, strict=True):
        rows = slice(max(floor(box.y - face.h * HAIR), 0), max(ceil(box.y + face.h / 2), 0))
        shown[rows, max(floor(box.x), 0) : max(ceil(box.x + box.w), 0)] = 0


def _inside(face: Box, x: int, y: int, w: int, h: int) -> bool:
    mid_x, mid_y = face.x + face.w / 2, face.y + face.h / 2
    return x - 2 <= mid_x <= x + w + 2 and y - face.h <= mid_y <= y + h


def _under(covers: list[Box]) -> U8:
    """255 under every cover, a box with rounded corners, 0 elsewhere."""
    hidden = np.zeros(GRID[::-1], np.uint8)
    for box in covers:
        x0, y0 = floor(box.x), floor(box.y)
        x1, y1 = ceil(box.x + box.w), ceil(box.y + box.h)
        r = int(min(box.w, box.h) * ROUNDING)
        cv2.rectangle(hidden, (x0 + r, y0), (x1 - r, y1), (255,), cv2.FILLED)
        cv2.rectangle(hidden, (x0, y0 + r), (x1, y1 - r), (255,), cv2.FILLED)
        for corner in ((x0 + r, y0 + r), (x1 - r, y0 + r), (x0 + r, y1 - r), (x1 - r, y1 - r)):
            cv2.circle(hidden, corner, r, (255,), cv2.FILLED)
    return hidden


def _centre() -> U8:
    """An ellipse in the middle, 60 % of the picture wide and 70 % high."""
    grid = np.zeros(GRID[::-1], np.uint8)
    w, h = GRID
    cv2.ellipse(grid, (w // 2, h // 2), (round(w * 0.30), round(h * 0.35)), 0, 0, 360, (255,), cv2.FILLED)
    return np.asarray(cv2.blur(grid, (7, 7)), np.uint8)


_CENTRE = _centre()
