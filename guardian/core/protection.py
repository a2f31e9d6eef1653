"""How far the protection of one stream is trusted: slow to trust, quick to doubt.

WARMING --proven--> ARMED <--proven/doubt--> DEGRADED --many doubts--> FAILED --proven, longer--> ARMED
"""

from __future__ import annotations

from enum import StrEnum

from guardian.core.frames import State

FAIL_AFTER = 90
"""Doubtful frames in a row (3 s at 30/s) after which protection counts as failed."""
SLOWER = 5
"""A failed protection must prove itself this many times longer than a fresh one."""


TOO_DARK = "too dark"
"""The reason of a doubt that light would end."""


READING = "what is printed in the scene is not known yet"
"""The reason of a doubt that ends with the first look for text and codes."""


class CurtainReason(StrEnum):
    """Why a curtain is shown; the card tells the merchant so."""

    WAITING = "waiting"
    """The other side has not joined yet."""
    CAMERA_OFF = "camera_off"
    """The shopper's camera is off: a state, not a lapse."""
    STARTING = "starting"
    """Protection is being proven."""
    DARK = "dark"
    """Too little light to tell what is in the picture."""
    INTERRUPTED = "interrupted"
    """Protection is in doubt or has failed."""
    PRIVATE = "private"
    """The mode hides everything, or the shopper has not agreed to show a picture."""


class Protection:
    """The state of one stream. Pure bookkeeping; one thread only."""

    def __init__(self, warm_frames: int) -> None:
        """warm_frames: proven frames in a row needed before the first picture is shown."""
        self._warm_frames = max(warm_frames, 1)
        self._proven = 0
        self._doubts = 0
        self.state = State.WARMING
        self.reason = "starting"

    def restart(self, reason: str) -> None:
        """Everything known is void (new size, new mode): back to WARMING."""
        self.state, self.reason = State.WARMING, reason
        self._proven = self._doubts = 0

    def proven(self) -> bool:
        """Counts a frame in which every finder answered in time; True when it may be shown."""
        self._doubts = 0
        if self.state is State.ARMED:
            return True
        self._proven += 1
        needed = self._warm_frames * (SLOWER if self.state is State.FAILED else 1)
        if self._proven <= needed:
            return False
        self.state, self.reason = State.ARMED, ""
        return True

    def doubt(self, reason: str) -> None:
        """Counts a frame that cannot be trusted."""
        self.reason = reason
        self._proven = 0
        self._doubts += 1
        if self._doubts >= FAIL_AFTER:
            self.state = State.FAILED
        elif self.state is State.ARMED:
            self.state = State.DEGRADED

    @property
    def curtain(self) -> CurtainReason:
        """What to say while no picture may be shown."""
        if self._doubts and self.reason == TOO_DARK:
            return CurtainReason.DARK
        if self._doubts and self.reason == READING and self.state is not State.FAILED:
            return CurtainReason.STARTING
        starting = self.state is State.WARMING and self._doubts == 0
        return CurtainReason.STARTING if starting else CurtainReason.INTERRUPTED
