"""How often people are looked for: more often when the picture moves, always before it is trusted."""

from __future__ import annotations

from math import ceil

import cv2
import numpy as np

from guardian.core.frames import U8, Planes

STILL_TIMES = 2
"""A still picture is segmented this many times less often than a moving one."""
MOVING = 2.0
"""Mean luma difference of thumbnails, since the last mask, above which a picture moves."""
PLACES, STRUCK, WARY_EVERY = (16, 9), 14.0, 2
"""Parts of a picture, the mean difference in one of them that may be somebody who comes in, and every how
many pictures there is a mask then."""
JUMPED = 9.0
"""The same, above which the mask is of no use any more."""
RESTED, CALM = 2, 3.0
"""Pictures longer that the next mask may take when the last two agreed, and the difference up to which."""
FIRST = 3
"""Masks made one after another at the start."""
USUAL_FPS, MOST_PACE = 30.0, 3
LONGEST_S, MEMORY = 0.5, 0.9
"""Seconds without a picture that are a pause, and what is kept of the mean with each picture."""


class Pace:
    """How many pictures at the usual rate one of this stream stands for, 1 to `MOST_PACE`."""

    def __init__(self) -> None:
        self._t: float | None = None
        self._lasting = 1 / USUAL_FPS

    def of(self, t: float) -> int:
        """With the picture of media time t (seconds)."""
        lasted = 0.0 if self._t is None else t - self._t
        self._t = t
        if 0 < lasted < LONGEST_S:
            self._lasting = MEMORY * self._lasting + (1 - MEMORY) * lasted
        # Somewhat early: at 29.97 or 14.9 a second, and where they come unevenly.
        return min(max(int(self._lasting * USUAL_FPS + 0.1), 1), MOST_PACE)


class Cadence:
    """Says when the next person mask is due. One thread only."""

    def __init__(self, every: int) -> None:
        """every: frames between two masks of a moving picture."""
        self._every = max(every, 1)
        self.times = 1
        """How many times less often than that, while nobody moves fast."""
        self.pace = 1
        """See `Pace`: how many times sooner, counted in pictures."""
        self.wary = False
        """Whether what is not known to be a person is shown: one who comes in is then looked for at once."""
        self.restart()

    def restart(self) -> None:
        """The next masks are due at once."""
        self.age = 0
        self._made = 0
        self._hurried = self._rested = False
        self._seen: U8 | None = None
        self._thumbnail: U8 | None = None

    def hurry(self) -> None:
        """Somebody moves fast: the next mask is due with the next picture."""
        self._hurried = True

    def rest(self) -> None:
        """The last two masks agree: the next may come a little later."""
        self._rested = True

    def due(self, planes: Planes) -> bool:
        """Whether this picture needs a mask of its own."""
        self._thumbnail = np.asarray(cv2.resize(planes.y, (64, 36), interpolation=cv2.INTER_LINEAR), np.uint8)
        if self._seen is None or self._made < FIRST:
            return True
        differs = cv2.absdiff(self._seen, self._thumbnail)
        moved = float(cv2.mean(differs)[0])
        self.age += 1
        every = self._every * (max(self.times, 1) if moved > MOVING else max(self.times, STILL_TIMES))
        if self._rested and moved <= CALM:
            every = max(every, self._every + RESTED)
        if self.wary and float(cv2.resize(differs, PLACES, interpolation=cv2.INTER_AREA).max()) > STRUCK:
            every = min(every, WARY_EVERY)
        return self._hurried or moved > JUMPED or self.age >= ceil(every / self.pace)

    def answered(self) -> None:
        """The mask of the picture of the last `due` has come."""
        self.age = 0
        self._hurried = self._rested = False
        self._made += 1
        self._seen = self._thumbnail
