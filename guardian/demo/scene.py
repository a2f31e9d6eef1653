"""The sample picture: the portrait that comes with scikit-image, moving before a generated room.

The portrait is NASA's picture of Eileen Collins (public domain). It is cut out at run time with the
person segmenter; nothing of it is committed. The room's wallpaper is the canary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import pi, sin
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from guardian.core.canary import BLOCK, Canary
from guardian.core.errors import Unavailable
from guardian.core.frames import U8, Planes
from guardian.core.notes import Seen
from guardian.core.ports import PersonFinder

cv2.setNumThreads(1)

WIDTH, HEIGHT, FPS = 640, 480, 30
CANARY_FRAMES = 15
"""The call begins with this many pictures of nothing but the canary."""
_SIDE = 440
_SWAY_PX, _SWAY_S = 60, 6.0
_MARGIN = 24


@dataclass(frozen=True, slots=True)
class ScenePicture:
    """One picture of the scene; searchable: bool blocks in which only the room is to be seen."""

    planes: Planes
    searchable: npt.NDArray[np.bool_]


def portrait() -> U8:
    """The portrait, RGB (512, 512, 3). Unavailable when scikit-image is not installed."""
    try:
        from skimage import data
    except ImportError:
        raise Unavailable(
            "The demo's portrait comes with scikit-image, which is not installed; "
            "run make demo, or pip install 'guardian-sidecar[demo]', or give a picture with --video."
        ) from None
    picture: U8 = np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]  # untyped library
    return picture


def planes_from_rgb(rgb: U8) -> Planes:
    """RGB (h, w, 3), even sizes, as 4:2:0 planes."""
    h, w = rgb.shape[:2]
    flat = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
    u = flat[h : h + h // 4].reshape(h // 2, w // 2)
    v = flat[h + h // 4 :].reshape(h // 2, w // 2)
    return Planes(np.ascontiguousarray(flat[:h]), np.ascontiguousarray(u), np.ascontiguousarray(v))


def rgb_from_planes(planes: Planes) -> U8:
    """The opposite of `planes_from_rgb`."""
    w, h = planes.size
    flat = np.concatenate([planes.y.reshape(-1), planes.u.reshape(-1), planes.v.reshape(-1)])
    return cv2.cvtColor(flat.reshape(h * 3 // 2, w), cv2.COLOR_YUV2RGB_I420).astype(np.uint8, copy=False)


def room(width: int, height: int) -> U8:
    """A room with a window, shelves, a family photo and a calendar; RGB (h, w, 3)."""
    wall = np.empty((height, width, 3), np.uint8)
    wall[:] = np.linspace((196, 178, 150), (150, 128, 104), height, dtype=np.float32)[:, None, :].astype(
        np.uint8
    )
    floor = int(height * 0.82)
    wall[floor:] = (96, 70, 52)
    cv2.rectangle(wall, (30, 50), (190, 230), (210, 228, 240), -1)
    cv2.rectangle(wall, (30, 50), (190, 230), (240, 240, 235), 8)
    cv2.line(wall, (110, 50), (110, 230), (240, 240, 235), 6)
    for shelf, y in enumerate((90, 170, 250)):
        cv2.rectangle(wall, (460, y + 52), (630, y + 60), (88, 60, 40), -1)
        for book in range(9):
            x = 464 + book * 18
            colour = tuple(int(c) for c in np.random.default_rng(shelf * 9 + book).integers(40, 220, 3))
            cv2.rectangle(wall, (x, y + (book * 7) % 16), (x + 14, y + 52), colour, -1)
    cv2.rectangle(wall, (226, 40), (318, 130), (60, 44, 30), -1)
    cv2.putText(wall, "12 May Rd", (230, 76), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (250, 240, 220), 1, cv2.LINE_AA)
    cv2.putText(wall, "Flat 7", (242, 106), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (250, 240, 220), 1, cv2.LINE_AA)
    return wall


class Scene:
    """The moving picture. `people` cuts the portrait out of its own background."""

    def __init__(self, people: PersonFinder) -> None:
        self.canary = Canary.of_size(WIDTH, HEIGHT)
        rgb = cv2.resize(portrait(), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(
            np.uint8, copy=False
        )
        alpha = _cut_out(rgb, people)
        person = planes_from_rgb(rgb)
        half = cv2.resize(alpha, (_SIDE // 2, _SIDE // 2), interpolation=cv2.INTER_AREA)
        self._layers = (_Layer.of(person.y, alpha), _Layer.of(person.u, half), _Layer.of(person.v, half))
        wide = np.pad((alpha > 0.05).astype(np.uint8), _MARGIN)
        self._near = cv2.dilate(wide, np.ones((2 * _MARGIN + 1, 2 * _MARGIN + 1), np.uint8)).astype(np.bool_)
        base = planes_from_rgb(room(WIDTH, HEIGHT))
        self._room = Planes(self.canary.painted(base.y, 22), base.u, base.v)
        grey = np.full((HEIGHT, WIDTH), 126, np.uint8)
        flat = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
        everywhere = np.ones((HEIGHT // BLOCK, WIDTH // BLOCK), np.bool_)
        self._only_canary = ScenePicture(Planes(self.canary.painted(grey), flat, flat), everywhere)

    def pictures(self) -> Iterator[ScenePicture]:
        """Pictures without end, FPS a second: first the canary alone, then the person moving."""
        for _ in range(CANARY_FRAMES):
            yield self._only_canary
        index = 0
        while True:
            yield self.at(index / FPS)
            index += 1

    def at(self, t: float) -> ScenePicture:
        """The picture t seconds after the person came in."""
        x = ((WIDTH - _SIDE) // 2 + round(_SWAY_PX * sin(2 * pi * t / _SWAY_S))) & ~1
        y = (HEIGHT - _SIDE + round(6 * sin(2 * pi * t / 2.5))) & ~1
        luma, u, v = self._layers
        planes = Planes(
            luma.over(self._room.y, x, y),
            u.over(self._room.u, x // 2, y // 2),
            v.over(self._room.v, x // 2, y // 2),
        )
        covered = np.zeros((HEIGHT, WIDTH), np.bool_)
        top, left = y - _MARGIN, x - _MARGIN
        near = self._near[max(0, -top) : HEIGHT - top, max(0, -left) : WIDTH - left]
        covered[max(0, top) : max(0, top) + near.shape[0], max(0, left) : max(0, left) + near.shape[1]] = near
        rows, columns = HEIGHT // BLOCK, WIDTH // BLOCK
        blocks = covered[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
        return ScenePicture(planes, np.logical_not(blocks.any(axis=(1, 3))))


@dataclass(frozen=True, slots=True)
class _Layer:
    """One plane of the cut-out person: values times opacity, and what of the room remains (0..256)."""

    value: npt.NDArray[np.uint16]
    rest: npt.NDArray[np.uint16]

    @classmethod
    def of(cls, plane: U8, alpha: npt.NDArray[Any]) -> _Layer:
        opacity = np.round(alpha * 256).astype(np.uint16)
        return cls(plane.astype(np.uint16) * opacity, np.uint16(256) - opacity)

    def over(self, room: U8, x: int, y: int) -> U8:
        """The room's plane with the person at (x, y); what sticks out below is cut off."""
        picture = room.copy()
        rows = min(self.value.shape[0], room.shape[0] - y)
        spot = picture[y : y + rows, x : x + self.value.shape[1]]
        spot[:] = (self.value[:rows] + spot * self.rest[:rows]) >> 8
        return picture


def _cut_out(rgb: U8, people: PersonFinder) -> npt.NDArray[np.float32]:
    """Opacity 0..1, float32 (h, w), of the person in the portrait."""
    answer = people.find(planes_from_rgb(rgb))
    if not isinstance(answer, Seen):
        raise Unavailable("The portrait could not be cut out; run guardian models verify.")
    mask = cv2.resize(answer.value, (rgb.shape[1], rgb.shape[0]), interpolation=cv2.INTER_LINEAR)
    alpha: npt.NDArray[np.float32] = np.clip((mask - 0.35) / 0.4, 0, 1).astype(np.float32)
    return alpha
