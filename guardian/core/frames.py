"""Pictures and sound in motion.

`RawFrame` is what came in, `SafeFrame` what may go out. Only `guardian.vision.cover` builds a
`SafeFrame` (tests/test_architecture.py reads the syntax tree), and the outgoing track takes
nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
I16 = npt.NDArray[np.int16]

MOST_PIXELS = 4096 * 2304
"""Of a picture that is decoded. A VP8 header of ten bytes can ask for 400 MB a picture (16383x16383)."""

SPEECH_RATE = 16_000
"""Samples per second of every `AudioChunk`."""


class Mode(StrEnum):
    """What the shopper's picture may show; from `selfie` (a person) to `private` (nothing)."""

    SELFIE = "selfie"
    PRODUCT = "product"
    INSTALL = "install"
    PRIVATE = "private"


class State(StrEnum):
    """How far protection is trusted; anything but ARMED shows a curtain or a held cover."""

    WARMING = "warming"
    ARMED = "armed"
    DEGRADED = "degraded"
    FAILED = "failed"


class Showing(StrEnum):
    """What a `SafeFrame` shows."""

    COVERED = "covered"
    """This frame's own picture, with everything hidden that the mode hides."""
    HELD = "held"
    """The last covered picture, repeated."""
    CURTAIN = "curtain"
    """No picture at all: the whole-frame cover."""


@dataclass(frozen=True, slots=True)
class Planes:
    """One 4:2:0 picture, limited range BT.601.

    y: uint8 (h, w); u, v: uint8 (h/2, w/2). h and w are even. Rows may be strided views.
    """

    y: U8
    u: U8
    v: U8

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return int(self.y.shape[1]), int(self.y.shape[0])


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A picture as received. Never leaves the process.

    t: media time in seconds. arrived: monotonic seconds when its last packet was in. whole: False
    from a loss that was not made good to the next key frame; decoders do not say so themselves.
    """

    planes: Planes
    t: float
    arrived: float
    whole: bool = True


@dataclass(frozen=True, slots=True)
class SafeFrame:
    """A picture that is fit to leave. Built in `guardian.vision.cover` only.

    t and arrived are those of the frame it stands for.
    """

    planes: Planes
    t: float
    arrived: float
    showing: Showing


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Mono speech sound at `SPEECH_RATE`; samples int16 (n,); t is the media time of sample 0."""

    samples: I16
    t: float

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / SPEECH_RATE
