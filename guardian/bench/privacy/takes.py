"""Pictures through the live chain, each take as the beginning of a call of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from guardian.core.config import VisionConfig
from guardian.core.errors import Unavailable
from guardian.core.frames import Mode, Planes, RawFrame, SafeFrame, State
from guardian.core.notes import FrameNotes
from guardian.demo.show import shared_media
from guardian.eyes import open_eyes
from guardian.models import ModelStore

FPS = 30
ARMING = 30
"""Pictures within which a chain has to trust a picture that does not change."""
_BLANK = (64, 48)


@dataclass(slots=True)
class ClipTime:
    """A clock that goes by the pictures' own times: on a busy machine none is late."""

    t: float = 0.0

    def __call__(self) -> float:
        return self.t


class Take:
    """One chain at FPS pictures a second of media time. One thread only."""

    def __init__(self, store: ModelStore, mode: Mode) -> None:
        self._clock = ClipTime()
        self._chain = open_eyes(store, VisionConfig(), mode, clock=self._clock)
        self._count = 0
        self.mode = mode

    def begin(self) -> None:
        """Forgets all it has seen, by a picture of a size that no take has."""
        w, h = _BLANK
        grey = np.full((h // 2, w // 2), 128, np.uint8)
        self.show(Planes(np.full((h, w), 128, np.uint8), grey, grey))

    def show(self, planes: Planes) -> tuple[SafeFrame, FrameNotes]:
        """The next picture."""
        t = self._clock.t = self._count / FPS
        self._count += 1
        return self._chain.protect(RawFrame(planes, t, t))

    def settled(self, planes: Planes, more: int) -> tuple[SafeFrame, FrameNotes]:
        """The same picture until it is shown, and then `more` times. Unavailable when it never is."""
        for _ in range(ARMING):
            safe, notes = self.show(planes)
            if notes.state is State.ARMED:
                break
        else:
            raise Unavailable(f"The chain did not trust a still picture within {ARMING} frames.")
        for _ in range(more):
            safe, notes = self.show(planes)
        return safe, notes


def media(name: str) -> Path:
    """A folder of the shared media. Unavailable when it is not here."""
    folder = shared_media()
    found = folder / name if folder is not None else None
    if found is None or not found.is_dir():
        raise Unavailable(f"media/{name} is not here; set GUARDIAN_SHARED to the folder that holds media.")
    return found
