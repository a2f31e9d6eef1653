"""Portraits of known people (the ORL set) before a camera: where they lie, how they move, what comes out.

Whoever looks at what comes out knows exactly where the face is and how it has moved, which is more than
an onlooker would.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor, pi, sin, sqrt
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from guardian.bench.privacy.takes import media
from guardian.core.config import VisionConfig
from guardian.core.errors import MediaError
from guardian.core.frames import U8, Planes
from guardian.core.geometry import Box
from guardian.core.notes import Seen
from guardian.core.ports import FaceFinder
from guardian.demo.scene import planes_from_rgb, room
from guardian.eyes import open_finders
from guardian.models import ModelStore

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

SCENE = (640, 480)
FACE = 190.0
"""Side of a square as large as a face in the scene, in pixels: of the largest usual ones most is seen through
any cover that is made of cells of a fixed size."""
CROP = (32, 40)
"""Width and height of what attacks see."""
_MARKED, _LARGER = 320, 2.0
"""Side of the picture in which a portrait's face is marked, and how much larger the portrait is there."""
_NOISE = 2.0
_ROOMS = 7
_FACE = (0.14, 0.20, 0.72, 0.72)
"""Left, top, width, height of a face in its portrait, where no detector says better."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """One picture, uint8 (h, w), of one person, and the box of the face in it."""

    person: int
    picture: U8
    face: Box


@dataclass(frozen=True, slots=True)
class Crop:
    """What an attack sees of one picture: luma float32 (40, 32) and both chroma planes (2, 10, 8)."""

    luma: F32
    chroma: F32


def portraits(store: ModelStore, people: int, each: int) -> list[Portrait]:
    """The first `each` portraits of the first `people` people. Unavailable, MediaError."""
    folder = media("faces_orl")
    files = {
        int(one.name[1:]): sorted(one.glob("*.pgm"), key=lambda path: int(path.stem))
        for one in folder.glob("s*")
        if one.name[1:].isdigit()
    }
    if len(files) < people:
        raise MediaError(f"{folder} does not hold {people} people.")
    pictures = [(person, _read(path)) for person in sorted(files)[:people] for path in files[person][:each]]
    finder = open_finders(store, VisionConfig()).faces
    return [Portrait(person, picture, face_in(picture, finder)) for person, picture in pictures]


def face_in(picture: U8, finder: FaceFinder) -> Box:
    """The face of a portrait that nearly fills a picture of its own; the usual place where none is found."""
    h, w = picture.shape
    usual = Box(w * _FACE[0], h * _FACE[1], w * _FACE[2], h * _FACE[3])
    canvas = np.full((_MARKED, _MARKED), 128, np.uint8)
    large = cv2.resize(picture, None, fx=_LARGER, fy=_LARGER, interpolation=cv2.INTER_CUBIC)
    x, y = (_MARKED - large.shape[1]) // 2, (_MARKED - large.shape[0]) // 2
    canvas[y : y + large.shape[0], x : x + large.shape[1]] = large
    finder.find(planes_from_rgb(np.zeros((48, 64, 3), np.uint8)))  # the next picture is a new scene
    answer = finder.find(planes_from_rgb(np.dstack([canvas] * 3)))
    found = answer.value if isinstance(answer, Seen) else ()
    boxes = [
        face.box.shifted(-x, -y).scaled(1 / _LARGER, 1 / _LARGER)
        for face in sorted(found, key=lambda face: -face.score)
    ]
    return next((box for box in boxes if box.iou(usual) > 0.35), usual)


def place(portrait: Portrait, frame: int, take: int) -> F64:
    """Where a portrait lies in the picture `frame` of a take: float64 (2, 3), portrait to scene.

    The face is about as large and about in the same place in every take, whoever it belongs to: where
    somebody sits does not tell who they are, but where faces lie in the portraits of this set does. It
    sways by some pixels and some hundredths of its size, never by whole pixels.
    """
    size, right, down = np.random.default_rng(take).uniform(-1, 1, 3)
    face = portrait.face
    scale = FACE / sqrt(face.area) * (1 + 0.08 * size) * (1 + 0.02 * sin(2 * pi * frame / 23))
    x = SCENE[0] / 2 + 16 * right + 4.3 * sin(2 * pi * frame / 17)
    y = SCENE[1] / 2 + 16 * down + 3.1 * sin(2 * pi * frame / 13)
    return np.array(
        [[scale, 0, x - (face.x + face.w / 2) * scale], [0, scale, y - (face.y + face.h / 2) * scale]],
        np.float64,
    )


def scene_with(portrait: Portrait, frame: int, take: int) -> Planes:
    """The portrait in a room, with a camera's noise."""
    rng = np.random.default_rng((take, frame))
    rooms, grain = _rooms()
    room_now = rooms[int(rng.integers(len(rooms)))]
    y, u, v = room_now.y.copy(), room_now.u.copy(), room_now.v.copy()
    way = place(portrait, frame, take)
    h, w = portrait.picture.shape
    lies = box_in_scene(Box(0, 0, w, h), way)
    # The portrait's pixels are those whose middles lie in it.
    x0, y0 = max(ceil(lies.x), 0), max(ceil(lies.y), 0)
    x1, y1 = min(floor(lies.x + lies.w), SCENE[0]), min(floor(lies.y + lies.h), SCENE[1])
    part = way - np.array([[0, 0, x0], [0, 0, y0]])
    limited = portrait.picture.astype(np.float32) * np.float32(219 / 255) + 16
    size = (x1 - x0, y1 - y0)
    seen = cv2.warpAffine(limited, part, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    # Shifting a stock of noise is as good as new noise and takes no time.
    rows, columns = rng.integers(0, 64, 2)
    noisy = seen + grain[rows : rows + size[1], columns : columns + size[0]]
    y[y0:y1, x0:x1] = np.clip(np.round(noisy), 0, 255)
    for plane in (u, v):
        plane[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2] = 128
    return Planes(y, u, v)


def seen_at(planes: Planes, region: Box, way: F64) -> Crop:
    """What the planes show of `region`, a box of the portrait that lies in them by `way`."""
    return Crop(
        _aligned(planes.y, region, way, CROP),
        np.stack(
            [_aligned(plane, region, way / 2, (CROP[0] // 4, CROP[1] // 4)) for plane in (planes.u, planes.v)]
        ),
    )


def averaged(crops: Sequence[Crop]) -> Crop:
    """The mean of several crops, finer than any one of them."""
    return Crop(
        np.mean([crop.luma for crop in crops], axis=0, dtype=np.float32),
        np.mean([crop.chroma for crop in crops], axis=0, dtype=np.float32),
    )


def box_in_scene(box: Box, way: F64) -> Box:
    """A box of a portrait as it lies in the scene."""
    scale = float(way[0, 0])
    return Box(box.x * scale + way[0, 2], box.y * scale + way[1, 2], box.w * scale, box.h * scale)


def usual_covers(planes: Planes, box: Box) -> Iterator[tuple[str, Planes]]:
    """What others make of the box: a Gaussian half as wide as the face (as deface), and 8x8 cells."""
    x0, y0, x1, y1 = box.pixels(*planes.size) or (0, 0, 2, 2)
    half = np.s_[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2]
    for name in ("Gaussian blur", "mosaic of 8x8"):
        found = [plane.copy() for plane in (planes.y, planes.u, planes.v)]
        for plane, part in zip(found, (np.s_[y0:y1, x0:x1], half, half), strict=True):
            area = plane[part]
            h, w = area.shape
            if name == "Gaussian blur":
                kernel = max(w // 2, 3) | 1
                plane[part] = cv2.GaussianBlur(area, (kernel, kernel), 0)
            else:
                cells = cv2.resize(area, (8, 8), interpolation=cv2.INTER_AREA)
                plane[part] = cv2.resize(cells, (w, h), interpolation=cv2.INTER_NEAREST)
        yield name, Planes(*found)


def _aligned(plane: U8, region: Box, way: F64, size: tuple[int, int]) -> F32:
    """The region at four times `size` and averaged down, float32 (h, w)."""
    w, h = size[0] * 4, size[1] * 4
    into = np.array([[region.w / w, 0, region.x], [0, region.h / h, region.y], [0, 0, 1]], np.float64)
    whole = np.vstack([way, [0, 0, 1]]) @ into
    crop = cv2.warpAffine(
        plane.astype(np.float32),
        whole[:2],
        (w, h),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.float32)


def _read(path: Path) -> U8:
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise MediaError(f"{path.name} cannot be read as a picture.")
    return np.asarray(picture, np.uint8)


@lru_cache(maxsize=1)
def _rooms() -> tuple[tuple[Planes, ...], F32]:
    """The room with several kinds of noise, and noise for what is put into it."""
    rng = np.random.default_rng(5)
    planes = planes_from_rgb(room(*SCENE))
    noisy = [planes.y + rng.normal(0, _NOISE, planes.y.shape) for _ in range(_ROOMS)]
    rooms = tuple(Planes(np.clip(np.round(y), 0, 255).astype(np.uint8), planes.u, planes.v) for y in noisy)
    return rooms, rng.normal(0, _NOISE, (SCENE[1] + 64, SCENE[0] + 64)).astype(np.float32)
