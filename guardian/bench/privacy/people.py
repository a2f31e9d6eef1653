"""Photos of people with the masks that say where they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from guardian.bench.privacy.clips import picture_at
from guardian.bench.privacy.takes import media
from guardian.core.errors import MediaError
from guardian.core.frames import U8

LONGEST = 1280
_BORDER = 3
"""Pixels at a photo's edge within which a person counts as cut off by it."""


@dataclass(frozen=True, slots=True)
class Still:
    """A photo, RGB (h, w, 3), sides multiples of four, and its person: uint8 (h, w), 255 where they are."""

    name: str
    rgb: U8
    person: U8

    @property
    def share(self) -> float:
        """Share of the photo that the person takes."""
        return float(np.count_nonzero(self.person)) / self.person.size

    def letterboxed(self, size: tuple[int, int]) -> Still:
        """The whole photo in the middle of a black picture of `size` (w, h)."""
        w, h = size
        scale = min(w / self.rgb.shape[1], h / self.rgb.shape[0])
        inner = (round(self.rgb.shape[1] * scale), round(self.rgb.shape[0] * scale))
        rgb, person = np.zeros((h, w, 3), np.uint8), np.zeros((h, w), np.uint8)
        x, y = (w - inner[0]) // 2, (h - inner[1]) // 2
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        rgb[y : y + inner[1], x : x + inner[0]] = cv2.resize(self.rgb, inner, interpolation=way)
        grown = cv2.resize(self.person, inner, interpolation=cv2.INTER_LINEAR)
        person[y : y + inner[1], x : x + inner[0]] = (grown > 127).astype(np.uint8) * np.uint8(255)
        return Still(self.name, rgb, person)


def stills() -> Iterator[Still]:
    """The labelled photos of the shared media, by name. Unavailable, MediaError."""
    folder = media("people")
    masks = sorted(folder.glob("*_mask.png"), key=lambda path: (len(path.name), path.name))
    if not masks:
        raise MediaError(f"{folder} holds no photos of people with their masks.")
    for path in masks:
        yield _still(path)


def spread(found: list[Still], count: int) -> list[Still]:
    """`count` of them from all over the list."""
    if len(found) <= count:
        return found
    return [found[round(i)] for i in np.linspace(0, len(found) - 1, count)]


def movable(still: Still) -> bool:
    """Whether the person can be moved about: one, upright, large, cut off by the lower edge at most."""
    h, w = still.person.shape
    if min(w, h) < 400 or not 0.12 < still.share < 0.6:
        return False
    count, _, stats, _ = cv2.connectedComponentsWithStats(still.person)
    if count < 2:
        return False
    x, y, wide, high, area = (int(value) for value in max(stats[1:], key=lambda one: int(one[4])))
    at_side = x < _BORDER or y < _BORDER or x + wide > w - _BORDER
    whole = area > 0.97 * int(np.count_nonzero(still.person))
    return whole and not at_side and y + high >= h - _BORDER and high > 0.8 * wide


def _still(path: Path) -> Still:
    rgb = picture_at(path.with_name(path.name.replace("_mask.png", ".jpg")))
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise MediaError(f"{path} cannot be read as a mask.")
    scale = min(LONGEST / max(rgb.shape[:2]), 1.0)
    w, h = (round(side * scale) // 4 * 4 for side in (rgb.shape[1], rgb.shape[0]))
    if scale < 1:
        rgb = np.asarray(cv2.resize(rgb, (w, h), interpolation=cv2.INTER_AREA), np.uint8)
    whole = cv2.resize(mask, (rgb.shape[1], rgb.shape[0]), interpolation=cv2.INTER_LINEAR)
    person = (whole > 127).astype(np.uint8) * np.uint8(255)
    return Still(path.stem.removesuffix("_mask"), np.ascontiguousarray(rgb[:h, :w]), person[:h, :w].copy())
