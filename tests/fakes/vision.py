"""Finders that answer from a script, and a picture whose every block would be recognised."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from guardian.core.frames import Planes, RawFrame
from guardian.core.geometry import Box
from guardian.core.notes import Face, Hand, Seen
from guardian.vision.mask import Sights
from guardian.vision.outline import cover_box

Answer = Callable[[], Any]


def boom() -> Any:
    """An answer that is an exception."""
    raise RuntimeError("planted")


@dataclass
class Scripted:
    """Gives the answers in turn, the last one for ever after; an answer may raise."""

    answers: Iterable[Answer]
    name: str = "scripted"
    looks: int = 1
    revisit: int = 1
    whole_share: float = 1.0
    pace: int = 1
    beside: bool = False
    everywhere: bool = False
    expected: tuple[Box, ...] = ()
    asked: int = 0
    restarts: int = 0
    _left: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._left = list(self.answers)

    def restart(self) -> None:
        self.restarts += 1

    def find(self, planes: Planes) -> Any:
        self.asked += 1
        answer = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        return answer()


class Steps:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def faces(*boxes: Box) -> Answer:
    """These faces, each time."""
    return lambda: Seen(tuple(Face(box, 0.9) for box in boxes))


def everywhere_person() -> Any:
    """A mask that calls every pixel a person."""
    return Seen(np.ones((144, 256), np.float32))


def nobody() -> Any:
    """A mask without any person."""
    return Seen(np.zeros((144, 256), np.float32))


def canary(size: tuple[int, int] = (128, 96), seed: int = 1) -> Planes:
    """Noise in all planes: no average, card or fill looks like a block of it."""
    w, h = size
    rng = np.random.default_rng(seed)
    return Planes(
        rng.integers(0, 256, (h, w), np.uint8),
        rng.integers(0, 256, (h // 2, w // 2), np.uint8),
        rng.integers(0, 256, (h // 2, w // 2), np.uint8),
    )


def raw(planes: Planes, t: float, arrived: float = 100.0) -> RawFrame:
    """A raw frame of these planes."""
    return RawFrame(planes, t, arrived)


BLOCK = 8


def raw_blocks(before: Planes, after: Planes) -> np.ndarray:
    """bool (rows, columns): blocks of 8x8 luma that show their own texture.

    A tenth of its strength is enough, if the block follows the texture and is no accident.
    """
    a, b = (_tiles(planes.y) for planes in (before, after))
    a, b = a - a.mean(-1, keepdims=True), b - b.mean(-1, keepdims=True)
    both = (a * b).sum(-1)
    gain = both / np.maximum((a * a).sum(-1), 1e-6)
    alike = both / np.maximum(np.sqrt((a * a).sum(-1) * (b * b).sum(-1)), 1e-6)
    return (gain > 0.1) & (alike > 0.6)


def inside(box: Box) -> tuple[slice, slice]:
    """The blocks that lie wholly within a box."""
    x0, y0 = -int(-box.x // BLOCK), -int(-box.y // BLOCK)
    x1, y1 = int((box.x + box.w) // BLOCK), int((box.y + box.h) // BLOCK)
    assert x1 > x0
    assert y1 > y0
    return slice(y0, y1), slice(x0, x1)


def _tiles(plane: np.ndarray) -> np.ndarray:
    h, w = (side // BLOCK * BLOCK for side in plane.shape)
    cut = plane[:h, :w].astype(np.float32).reshape(h // BLOCK, BLOCK, w // BLOCK, BLOCK)
    return cut.swapaxes(1, 2).reshape(h // BLOCK, w // BLOCK, BLOCK * BLOCK)


def sights(faces: list[Box], hands: tuple[Hand, ...] = ()) -> Sights:
    """What was found, in cells of the grid, with the covers it needs."""
    return Sights(faces, [cover_box(face) for face in faces], hands)
