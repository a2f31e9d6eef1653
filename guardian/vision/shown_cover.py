"""Contacts held up to the shopper's camera stay hidden from when they were found on.

They move with the hand that holds them, so each is followed by itself: what was found is looked for again in
every picture, on a small copy, near where it was last. What cannot be followed is hidden where it was, and
around that. A look that does not find it any more ends it, but not the first one: one picture in a few is
blurred.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt

from guardian.core.frames import U8, Planes, RawFrame
from guardian.core.notes import Print, PrintKind
from guardian.vision.pictures import luma
from guardian.vision.print_watch import Hidden, around, drawn

F32 = npt.NDArray[np.float32]

COPY = (160, 120)
"""Size of the copies in which things are followed."""
REACH = 12
"""Cells of the copy within which a thing is looked for in the next picture."""
SETTLED = 0.45
"""Correlation above which it is taken for found there."""
GROWS_PER_S, GROWN = 0.5, 0.6
"""How far the cover grows while a thing cannot be followed: of its size, per second and at most."""
MARGIN = 0.12
"""How far it is grown in any case: for letters beside the line that was read, and for a hand that moves."""
MISSED = {PrintKind.CODE: 4, PrintKind.TEXT: 2}
"""Looks in a row that have not found a thing and end it."""
LONGEST_S = 8.0
"""And it ends when nobody has looked for so long."""
MOST = 16
MOST_NEWS = 8
"""Looks whose answers wait, the newest: nobody takes them while no picture is trusted."""


@dataclass(frozen=True, slots=True)
class _Found:
    kind: PrintKind
    shapes: tuple[F32, ...]
    copy: U8
    t: float


@dataclass(frozen=True, slots=True)
class _Thing:
    """shape: corners (n, 2) in shares of the picture; patch: of the copy it was found in, at `at`; shift: of
    the shape since; lost_s: seconds since it was followed at last."""

    kind: PrintKind
    shape: F32
    patch: U8
    at: tuple[int, int]
    seen: float
    shift: tuple[int, int] = (0, 0)
    followed: float = 0.0
    missed: int = 0


@dataclass(slots=True)
class ShownCover:
    """What is hidden of one stream. `found` from any thread, the rest from that of the pictures."""

    _news: deque[_Found] = field(default_factory=lambda: deque(maxlen=MOST_NEWS))
    _things: list[_Thing] = field(default_factory=list)

    def found(self, raw: RawFrame, kind: PrintKind, places: tuple[Print, ...]) -> None:
        """All that was found of one kind in an earlier picture."""
        scale = np.array(raw.planes.size, np.float32)
        shapes = [np.array(place.corners, np.float32) / scale for place in places]
        # What is no place cannot be hidden; what is far outside need not be.
        sane = tuple(np.clip(shape, -1, 2) for shape in shapes if np.isfinite(shape).all())
        self._news.append(_Found(kind, sane, _copy(raw.planes), raw.arrived))

    def hidden(self, raw: RawFrame) -> Hidden | None:
        """What is hidden of a picture, or None."""
        fresh = self._take()
        if not self._things:
            return None
        now = _copy(raw.planes)
        self._things = [
            _followed(thing, now, raw.arrived, 2 * REACH if fresh else REACH)
            for thing in self._things
            if raw.arrived - thing.seen <= LONGEST_S
        ]
        return _hidden(self._things, raw) if self._things else None

    def _take(self) -> bool:
        """Takes what looks have found; whether that was anything."""
        fresh = False
        while self._news:
            self._things = _updated(self._things, self._news.popleft())
            fresh = True
        return fresh


def _updated(things: list[_Thing], found: _Found) -> list[_Thing]:
    others = [thing for thing in things if thing.kind is not found.kind]
    mine = [thing for thing in things if thing.kind is found.kind]
    new = [_thing(found, shape) for shape in found.shapes]
    kept = [
        replace(thing, missed=thing.missed + 1)
        for thing in mine
        if thing.missed + 1 < MISSED[found.kind] and not any(_meet(thing, one) for one in new)
    ]
    return (others + new + kept)[:MOST]


def _meet(one: _Thing, other: _Thing) -> bool:
    (low, high), (other_low, other_high) = _span(one), _span(other)
    return bool(np.all(low <= other_high) and np.all(other_low <= high))


def _span(thing: _Thing) -> tuple[F32, F32]:
    shape = _moved(thing)
    return shape.min(axis=0), shape.max(axis=0)


def _moved(thing: _Thing) -> F32:
    return np.asarray(
        thing.shape + np.array(thing.shift, np.float32) / np.array(COPY, np.float32), np.float32
    )


def _thing(found: _Found, shape: F32) -> _Thing:
    low = np.floor(shape.min(axis=0) * COPY).astype(int)
    high = np.ceil(shape.max(axis=0) * COPY).astype(int) + 1
    x0, y0 = (int(n) for n in np.clip(low, 0, np.array(COPY) - 4))
    x1, y1 = (int(n) for n in np.clip(high, (x0 + 4, y0 + 4), COPY))
    return _Thing(found.kind, shape, found.copy[y0:y1, x0:x1].copy(), (x0, y0), found.t, followed=found.t)


def _followed(thing: _Thing, now: U8, t: float, reach: int) -> _Thing:
    h, w = thing.patch.shape
    x, y = thing.at[0] + thing.shift[0], thing.at[1] + thing.shift[1]
    x0, y0 = max(x - reach, 0), max(y - reach, 0)
    window = now[y0 : y + h + reach, x0 : x + w + reach]
    if window.shape[0] < h or window.shape[1] < w or float(thing.patch.std()) < 2:
        return thing
    # Zero-mean normalised cross-correlation: light may change.
    match = cv2.matchTemplate(window, thing.patch, cv2.TM_CCOEFF_NORMED)
    _, best, _, (dx, dy) = cv2.minMaxLoc(match)
    if not best >= SETTLED:
        return thing
    return replace(thing, shift=(x0 + dx - thing.at[0], y0 + dy - thing.at[1]), followed=t)


def _hidden(things: list[_Thing], raw: RawFrame) -> Hidden:
    size = raw.planes.size
    shapes = [_cover(thing, raw.arrived) * np.array(size, np.float32) for thing in things]
    return Hidden(drawn(shapes, 0.0, size), tuple(around(shape, 0.0) for shape in shapes))


def _cover(thing: _Thing, t: float) -> F32:
    """The corners of what is hidden, in shares of the picture."""
    shape = _moved(thing)
    low, high = shape.min(axis=0), shape.max(axis=0)
    sides = (high - low) * COPY
    lost = min(GROWS_PER_S * max(t - thing.followed, 0.0), GROWN)
    by = (MARGIN + lost) * float(sides.max()) / np.array(COPY, np.float32)
    (x0, y0), (x1, y1) = low - by, high + by
    return np.array(((x0, y0), (x1, y0), (x1, y1), (x0, y1)), np.float32)


def _copy(planes: Planes) -> U8:
    w, h = planes.size
    if w < COPY[0] or h < COPY[1]:
        return np.asarray(cv2.resize(planes.y, COPY, interpolation=cv2.INTER_LINEAR), np.uint8)
    return luma(planes, COPY)
