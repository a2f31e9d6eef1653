"""What is printed on things, as it holds for the picture of now.

Text and codes take too long to be looked for in every picture. They are looked for a few times a second,
beside the pictures' way, and each answer is carried on to the pictures after: moved with the camera and grown
with what is not known. What has changed since it was looked at is hidden until it is looked at again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from queue import SimpleQueue

import cv2
import numpy as np
import numpy.typing as npt

from guardian.core.config import VisionConfig
from guardian.core.frames import U8, Planes, RawFrame
from guardian.core.geometry import Box
from guardian.core.notes import Print, PrintKind, Unknown
from guardian.core.ports import PrintFinder
from guardian.core.protection import READING
from guardian.vision.answers import Doubt, believed_prints
from guardian.vision.following import COPY, Moved, copy_of, moved
from guardian.vision.mask import GRID

F32 = npt.NDArray[np.float32]
Job = Callable[[], None]

HURRY = 6
"""How many times sooner the next look is due when much of what shows has changed since the last one."""
MUCH = 0.02
"""Share of the picture that is much."""
MARGIN, MARGIN_PER_S, MARGIN_OF_SHIFT = 0.008, 0.012, 0.15
"""How far prints are grown: of the picture's shorter side, of that for every second, and of their way."""
_SOFT = (5, 5)
_WIDER = np.ones((7, 7), np.uint8)


@dataclass(frozen=True, slots=True)
class Reading:
    """What prints are found with, and what runs a look: at once, or beside the pictures' way."""

    finder: PrintFinder
    run: Callable[[Job], None]


def at_once(job: Job) -> None:
    """Runs a look where it is asked for: for files, where nobody waits."""
    job()


@dataclass(frozen=True, slots=True)
class Hidden:
    """What prints hide of one picture. cells: uint8 (144, 256), 255 where it is hidden; boxes: around all of
    it, in pixels of the picture."""

    cells: U8
    boxes: tuple[Box, ...]

    def less(self, opacity: U8) -> U8:
        """`opacity`, uint8 (144, 256), without what is hidden, with a soft edge outside of that."""
        soft = cv2.blur(cv2.dilate(self.cells, _WIDER), _SOFT)
        return np.asarray(cv2.min(opacity, cv2.bitwise_not(soft)), np.uint8)


@dataclass(frozen=True, slots=True)
class _View:
    """A picture that was looked at; copy: see `following`."""

    copy: F32
    t: float
    arrived: float
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Look:
    kind: PrintKind
    view: _View
    answer: object


@dataclass(frozen=True, slots=True)
class _Carried:
    """What was found at last, the way of the picture since, and the seconds since."""

    prints: tuple[Print, ...]
    way: Moved
    age: float

    def margin(self, size: tuple[int, int]) -> float:
        """Pixels by which prints are grown in a picture of `size`."""
        far = max(abs(self.way.dx) * size[0] / COPY[0], abs(self.way.dy) * size[1] / COPY[1])
        return (MARGIN + MARGIN_PER_S * self.age) * min(size) + MARGIN_OF_SHIFT * far


class PrintWatch:
    """Has pictures looked at and follows what was found. One thread only, beside that of the looks."""

    def __init__(self, reading: Reading | None, config: VisionConfig) -> None:
        """reading: None where nothing can be read, and so nothing shows."""
        self._reading = reading
        self._every = {PrintKind.CODE: config.codes_every_s, PrintKind.TEXT: config.text_every_s}
        self._late_s = config.prints_late_s
        self.times = 1
        """How many times less often looks are taken."""
        self._at_work = False
        self.clear()

    def clear(self) -> None:
        """Answers from before do not count any more."""
        # What a look at work still has to say goes to the queue of before.
        self._done: SimpleQueue[_Look] = SimpleQueue()
        self._asked: dict[PrintKind, float] = {}
        self._found: dict[PrintKind, tuple[_View, tuple[Print, ...]]] = {}
        self._hurried: set[PrintKind] = set()
        self._why = READING

    def hidden(self, raw: RawFrame, opacity: U8) -> Hidden:
        """What is hidden of a picture. Doubt while that is not known.

        opacity: uint8 of any small size, 0 where nothing shows in any case.
        """
        if self._reading is None:
            raise Doubt("nothing here can read")
        view = _View(copy_of(raw.planes), raw.t, raw.arrived, raw.planes.size)
        shown = np.asarray(cv2.resize(opacity, COPY, interpolation=cv2.INTER_NEAREST), np.uint8)
        self._collect()
        known = {kind: self._carried(kind, view, shown) for kind in PrintKind}
        self._ask(self._reading, raw.planes, view)
        # A look that ran at once is about this very picture.
        known |= {kind: self._carried(kind, view, shown) for kind in self._collect()}
        carried = [one for one in known.values() if one is not None]
        if len(carried) < len(PrintKind):
            raise Doubt(self._why)
        return _joined(carried, view.size)

    def _ask(self, reading: Reading, planes: Planes, view: _View) -> None:
        due = [] if self._at_work else [kind for kind in PrintKind if self._is_due(kind, view.t)]
        if not due:
            return
        done = self._done

        def look() -> None:
            try:
                for kind in due:
                    done.put(_Look(kind, view, _answer(reading.finder, planes, kind)))
            finally:
                self._at_work = False

        self._asked |= dict.fromkeys(due, view.t)
        self._at_work = True
        try:
            reading.run(look)
        except BaseException:
            self._at_work = False
            raise

    def _is_due(self, kind: PrintKind, t: float) -> bool:
        asked = self._asked.get(kind)
        if asked is None:
            return True
        # However seldom, often enough for an answer not to be late.
        every = min(self._every[kind] * self.times, self._late_s / 2)
        return abs(t - asked) >= (every / HURRY if kind in self._hurried else every)

    def _collect(self) -> set[PrintKind]:
        """Takes what looks have found; the kinds of which more is known than before."""
        fresh = set()
        while not self._done.empty():
            look = self._done.get_nowait()
            try:
                self._found[look.kind] = look.view, believed_prints(look.answer, look.view.size)
                fresh.add(look.kind)
            except Doubt as doubt:
                self._why = str(doubt)
        return fresh

    def _carried(self, kind: PrintKind, view: _View, shown: U8) -> _Carried | None:
        """What was found at last as it holds for a picture, or None where it does not."""
        if kind not in self._found:
            return None
        seen, prints = self._found[kind]
        age = max(abs(view.t - seen.t), abs(view.arrived - seen.arrived))
        # Written so that NaN is late.
        if not age <= self._late_s:
            self._why = "what is printed was looked for too long ago"
            return None
        way = moved(seen.copy, view.copy)
        if way is None:
            del self._found[kind]
            self._hurried.add(kind)
            self._why = READING
            return None
        much = np.count_nonzero(cv2.min(way.changed, shown)) > MUCH * shown.size
        self._hurried = self._hurried | {kind} if much else self._hurried - {kind}
        return _Carried(prints, way, age)


def _answer(finder: PrintFinder, planes: Planes, kind: PrintKind) -> object:
    try:
        return finder.find(planes, kind)
    except Exception as problem:  # noqa: BLE001 - whatever a finder does, nothing is known then
        return Unknown(f"failed: {type(problem).__name__}")


def _joined(known: list[_Carried], size: tuple[int, int]) -> Hidden:
    cells = np.zeros(GRID[::-1], np.uint8)
    boxes: list[Box] = []
    for one in known:
        margin = one.margin(size)
        shift = np.array((one.way.dx * size[0] / COPY[0], one.way.dy * size[1] / COPY[1]), np.float32)
        corners = [np.array(it.corners, np.float32) + shift for it in one.prints]
        boxes += [around(those, margin) for those in corners]
        cells |= drawn(corners, margin, size)
        cells |= np.asarray(cv2.resize(one.way.changed, GRID, interpolation=cv2.INTER_NEAREST), np.uint8)
        boxes += [box.scaled(size[0] / COPY[0], size[1] / COPY[1]) for box in _pieces(one.way.changed)]
    return Hidden(cells, tuple(boxes))


def drawn(shapes: list[F32], margin: float, size: tuple[int, int]) -> U8:
    """uint8 (144, 256): 255 on convex shapes, each (n, 2) in pixels, and within a margin of them."""
    cells = np.zeros(GRID[::-1], np.uint8)
    if not shapes:
        return cells
    sx, sy = GRID[0] / size[0], GRID[1] / size[1]
    for shape in shapes:
        at = np.round(shape * (sx, sy)).astype(np.int32)
        cv2.fillConvexPoly(cells, cv2.convexHull(at), (255,))
    reach = np.ones((2 * ceil(margin * sy) + 1, 2 * ceil(margin * sx) + 1), np.uint8)
    return np.asarray(cv2.dilate(cells, reach), np.uint8)


def around(shape: F32, margin: float) -> Box:
    """The box around a shape, (n, 2) in pixels, grown by a margin."""
    x, y = (shape.min(axis=0) - margin).tolist()
    right, bottom = (shape.max(axis=0) + margin).tolist()
    return Box(x, y, right - x, bottom - y)


def _pieces(changed: U8) -> list[Box]:
    """A box around each piece of what has changed, in cells of `changed`."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(changed, connectivity=4)
    return [Box(x, y, w, h) for x, y, w, h, _ in stats[1:].tolist()]
