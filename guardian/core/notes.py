"""What stages say sideways, beside the frames and sounds they pass on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from guardian.core.frames import Mode, Showing, State
from guardian.core.geometry import Box

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """A detector's answer. An empty answer means "looked, and nothing is there"."""

    value: T


@dataclass(frozen=True, slots=True)
class Unknown:
    """A detector could not tell. Never the same as an empty answer."""

    reason: str


@dataclass(frozen=True, slots=True)
class Face:
    """A face in picture pixels; score 0..1; held: not seen in this frame, kept from before."""

    box: Box
    score: float
    held: bool = False


@dataclass(frozen=True, slots=True)
class Hand:
    """In picture pixels; box: around all of it and what it holds, palm: around its palm; score 0..1."""

    box: Box
    palm: Box
    score: float

    def scaled(self, sx: float, sy: float) -> Hand:
        """The hand in a picture scaled by (sx, sy)."""
        return Hand(self.box.scaled(sx, sy), self.palm.scaled(sx, sy), self.score)


class PrintKind(StrEnum):
    """What is printed or shown on a thing."""

    CODE = "code"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Print:
    """Something printed or shown on a thing. corners: three or more (x, y) around it in picture pixels,
    convex; text: what a code says, where it could be read."""

    kind: PrintKind
    corners: tuple[tuple[float, float], ...]
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class FrameNotes:
    """What `protect` did with one frame. Times in milliseconds, mask_age in frames; hands: those shown."""

    state: State
    mode: Mode
    showing: Showing
    faces: tuple[Face, ...]
    mask_age: int
    stages_ms: Mapping[str, float]
    protect_ms: float
    reason: str = ""
    hands: tuple[Hand, ...] = ()


class Part(StrEnum):
    """What a lapse is a lapse of."""

    PICTURE = "picture"
    HEARING = "hearing"
    WATCHING = "watching"
    """Looking for contacts that are held up."""
    EVIDENCE = "evidence"
    """Keeping a clip of what has happened."""


@dataclass(frozen=True, slots=True)
class Lapse:
    """A span in which something was not seen or not heard. Times are media seconds of the call."""

    part: Part
    leg: str
    t_start: float
    t_end: float
    reason: str
