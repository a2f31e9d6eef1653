"""Which hands may show: looked for now and then, kept a moment, forgotten at any doubt.

Without hands the centre alone shows, which is lawful: so nothing here raises, and what fails or takes long is
left alone for a while, each time for longer.
"""

from __future__ import annotations

import cv2
import numpy as np

from guardian.core.config import VisionConfig
from guardian.core.frames import U8, Planes
from guardian.core.hands import HeldHands
from guardian.core.notes import Hand
from guardian.core.ports import Clock, HandFinder
from guardian.vision.answers import believed_hands
from guardian.vision.pictures import luma

GLANCE = (20, 15)
JUMPED = 12.0
"""Mean luma difference of thumbnails, since the last look, above which no hand is where it was."""
WAITS = 2
"""Pictures a look is left to the next because something else that costs much is done in them."""
REST, MOST_REST = 30, 1800
"""Pictures without a look after a failure; twice as many after each further one."""


class ShownHands:
    """The hands of one stream. One thread only."""

    def __init__(self, finder: HandFinder | None, config: VisionConfig, clock: Clock) -> None:
        """Without a finder there are none."""
        self._finder, self._clock = finder, clock
        self._every = config.hands_every
        self._again_s = config.hands_hold_s / 2
        self._slow_s = config.late_s / 2
        self._held = HeldHands(config.hands_hold_s, config.hand_threshold)
        self._resting, self._rest = 0, REST
        self.clear()

    def clear(self) -> None:
        """Forgets every hand; the next look is due at once."""
        self._held.clear()
        self._since, self._waited = self._every, 0
        self._looked_t = 0.0
        self._seen: U8 | None = None

    def warm_up(self, planes: Planes) -> None:
        """Looks once, so that the first look in earnest is quick."""
        if self._finder is not None:
            self._look(self._finder, planes, 0.0)
        # The first look of all takes long on a busy machine and says nothing about the others.
        self._resting, self._rest = 0, REST
        self.clear()

    def of(self, planes: Planes, t: float, looks: int) -> tuple[Hand, ...]:
        """The hands to show in the picture of media time t.

        looks: what has been done in it besides what is done in every picture, closer looks for faces and a
        person mask. After any, a look for hands is left to one of the next pictures.
        """
        if self._finder is None:
            return ()
        thumbnail = luma(planes, GLANCE)
        if self._seen is not None and float(cv2.mean(cv2.absdiff(self._seen, thumbnail))[0]) > JUMPED:
            self._held.clear()
        if self._due(t, looks):
            self._seen = np.asarray(thumbnail, np.uint8)
            self._look(self._finder, planes, t)
        return self._held.at(t)

    def _due(self, t: float, looks: int) -> bool:
        if self._resting:
            self._resting -= 1
            return False
        self._since += 1
        # Where pictures come seldom, hands would be too old before the next look.
        if self._since < self._every and abs(t - self._looked_t) < self._again_s:
            return False
        if looks and self._waited < WAITS:
            self._waited += 1
            return False
        self._since = self._waited = 0
        self._looked_t = t
        return True

    def _look(self, finder: HandFinder, planes: Planes, t: float) -> None:
        began = self._clock()
        try:
            hands = believed_hands(finder.find(planes), planes.size)
        except Exception:  # noqa: BLE001 - whatever a finder does, the centre alone may show
            hands = None
        # Written so that NaN is too slow.
        if hands is None or not self._clock() - began <= self._slow_s:
            self._held.clear()
            self._resting, self._rest = self._rest, min(self._rest * 2, MOST_REST)
            return
        self._rest = REST
        self._held.saw(hands, t)
