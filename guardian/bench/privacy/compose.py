"""Clips of people moving before rooms, so that what is person and what is room is known exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import pi, sin

import cv2
import numpy as np
import numpy.typing as npt

from guardian.bench.privacy.people import Still, movable, spread
from guardian.bench.privacy.rooms import ROOM, emptied, rooms
from guardian.bench.privacy.takes import FPS
from guardian.core.errors import Unavailable
from guardian.core.frames import U8, Planes
from guardian.demo.scene import planes_from_rgb

F32 = npt.NDArray[np.float32]

SIZE = (640, 480)
_HIGHEST = 460
"""Rows a cut-out has at most: as large as it is shown."""


@dataclass(frozen=True, slots=True)
class Person:
    """A person cut out of a photo, RGB (h, w, 3); opacity (h, w), 0..1, with a soft edge of a pixel."""

    rgb: U8
    opacity: F32


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a person is: the middle of their lower edge in shares of the picture's width and height, their
    height in shares of the picture's, and their lean in degrees to the left."""

    x: float
    y: float = 1.0
    height: float = 0.85
    lean: float = 0.0


@dataclass(frozen=True, slots=True)
class Motion:
    """How people move. poses: one for each person at second t. pan: pixels by which the camera looks to the
    right of the room's left edge, even and at most the room's width less the picture's."""

    name: str
    people: int
    poses: Callable[[float], Sequence[Pose]]
    pan: Callable[[float], int] = lambda t: (ROOM[0] - SIZE[0]) // 4 * 2


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture of a clip. person: bool (h, w), where they are by half or more; touched: where at all.
    pan: as of the motion."""

    planes: Planes
    person: npt.NDArray[np.bool_]
    touched: npt.NDArray[np.bool_]
    pan: int


@dataclass(frozen=True, slots=True)
class Clip:
    """Some people moving before a room, RGB (480, 800, 3)."""

    name: str
    motion: Motion
    people: tuple[Person, ...]
    room: U8

    def shots(self, seconds: float) -> Iterator[Shot]:
        """FPS pictures a second."""
        for number in range(round(seconds * FPS)):
            yield self.shot(number / FPS)

    def shot(self, t: float) -> Shot:
        """The picture at second t."""
        w, h = SIZE
        pan = self.motion.pan(t)
        picture = np.ascontiguousarray(self.room[:, pan : pan + w])
        together = np.zeros((h, w), np.float32)
        for person, pose in zip(self.people, self.motion.poses(t), strict=True):
            rgb, opacity = _placed(person, pose)
            picture = np.asarray(cv2.blendLinear(rgb, picture, opacity, 1 - opacity), np.uint8)
            together = np.maximum(together, opacity)
        return Shot(planes_from_rgb(picture), together >= 0.5, together > 0.01, pan)


def clips(stills: Sequence[Still], count: int, seed: int) -> list[Clip]:
    """`count` clips: every motion in turn, with other people and rooms. Unavailable without people."""
    fit = [still for still in stills if movable(still)]
    if not fit:
        raise Unavailable("None of the photos of people shows somebody who can be cut out whole.")
    # The photos with the least of a person in them make rooms.
    empty = spread(sorted(stills, key=lambda still: still.share)[:12], 4)
    places = rooms(seed) + [emptied(still.rgb, still.person) for still in empty]
    people = [cut_out(still) for still in spread(fit, count * 2)]
    made = []
    for number in range(count):
        motion = MOTIONS[number % len(MOTIONS)]
        cast = tuple(people[(number + i * count) % len(people)] for i in range(motion.people))
        again = number // len(MOTIONS) + 1
        made.append(Clip(f"{motion.name} {again}", motion, cast, places[number % len(places)]))
    return made


def cut_out(still: Still) -> Person:
    """The person alone. The mask's outermost pixel is left off, for it often has the old room's colour."""
    x, y, w, h = cv2.boundingRect(still.person)
    # Not at the lower edge, where the photo and not the person ends.
    mask = cv2.erode(still.person, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    rgb, inner = still.rgb[y : y + h, x : x + w], mask[y : y + h, x : x + w]
    scale = min(_HIGHEST / h, 1.0)
    if scale < 1:
        size = (round(w * scale), round(h * scale))
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        inner = cv2.resize(inner, size, interpolation=cv2.INTER_AREA)
    soft = np.asarray(cv2.GaussianBlur(inner, (3, 3), 0) / 255, np.float32)
    return Person(np.ascontiguousarray(rgb), soft)


def _placed(person: Person, pose: Pose) -> tuple[U8, F32]:
    """The person's colours and opacity in a whole picture."""
    h, w = person.rgb.shape[:2]
    scale = pose.height * SIZE[1] / h
    way = cv2.getRotationMatrix2D((w / 2, h), pose.lean, scale)
    way[:, 2] += (pose.x * SIZE[0] - w / 2, pose.y * SIZE[1] - h)
    rgb = cv2.warpAffine(person.rgb, way, SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    opacity = cv2.warpAffine(person.opacity, way, SIZE, flags=cv2.INTER_LINEAR)
    return np.asarray(rgb, np.uint8), np.asarray(opacity, np.float32)


# --- motions -----------------------------------------------------------------------------------


def _wave(t: float, seconds: float) -> float:
    """-1..1 and back in so many seconds."""
    return sin(2 * pi * t / seconds)


def _sway(t: float) -> list[Pose]:
    """Somebody who talks."""
    return [Pose(0.5 + 0.05 * _wave(t, 3.1), 1.02, 0.85 + 0.01 * _wave(t, 2.3), 2 * _wave(t, 4.3))]


def _walk(t: float) -> list[Pose]:
    """In from the left, a while in the middle, out to the right, and once again; 8 seconds each."""
    phase = t % 8
    x = -0.35 + 0.85 * min(phase / 2.5, 1) + 0.85 * max((phase - 5.0) / 2.5, 0)
    return [Pose(x, 1.04 + 0.01 * _wave(t, 0.6))]


def _lean(t: float) -> list[Pose]:
    """Far over to either side, and back."""
    return [Pose(0.5, 1.04, 0.85, 16 * _wave(t, 3.7))]


def _near(t: float) -> list[Pose]:
    """Up to the camera and back."""
    near = 0.5 - 0.5 * sin(2 * pi * t / 6 + pi / 2)
    return [Pose(0.5, 1.02 + 0.45 * near, 0.65 + 0.75 * near)]


def _quick(t: float) -> list[Pose]:
    """To and fro faster than people talk: half the picture in half a second."""
    return [Pose(0.5 + 0.2 * _wave(t, 1.3), 1.03, 0.8, 5 * _wave(t, 0.9))]


def _two(t: float) -> list[Pose]:
    """Two who sway apart and together."""
    return [
        Pose(0.27 + 0.05 * _wave(t, 3.3), 1.03, 0.72, 2 * _wave(t, 2.9)),
        Pose(0.73 + 0.06 * _wave(t, 2.7), 1.03, 0.78, 2 * _wave(t, 3.9)),
    ]


def _small(t: float) -> list[Pose]:
    """Somebody further away who crosses the picture slowly."""
    return [Pose(0.5 + 0.3 * _wave(t, 9.0), 1.02, 0.5)]


def _panned(t: float) -> int:
    """The camera looks about."""
    middle = (ROOM[0] - SIZE[0]) / 2
    return round((middle + middle * 0.95 * _wave(t, 5.0)) / 2) * 2


MOTIONS = (
    Motion("sway", 1, _sway),
    Motion("walk", 1, _walk),
    Motion("lean", 1, _lean),
    Motion("near and far", 1, _near),
    Motion("quick", 1, _quick),
    Motion("two people", 2, _two),
    Motion("camera pans", 1, _sway, _panned),
    Motion("far", 1, _small),
)
