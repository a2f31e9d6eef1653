"""The labelled stills, how they are shown to a finder, and what of their faces it found.

A size is the shorter side of a face's box in the picture as it is stored. The stored pictures are 416 pixels
wide and high, most of them made so from larger ones that were wider than high; a call's picture is 640 pixels
wide and more. So they are shown as they are and enlarged, and the sizes stay those of the stored picture.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians, sin

import cv2
import numpy as np
import numpy.typing as npt

from guardian.bench.privacy.clips import picture_at
from guardian.bench.privacy.takes import media
from guardian.core.errors import MediaError
from guardian.core.frames import U8, Planes
from guardian.core.geometry import Box
from guardian.core.tracks import REVISIT_FRAMES
from guardian.demo.scene import planes_from_rgb

FOUND_IOU = 0.4
"""Overlap with a label above which a hit is that face; the facts of the detectors were measured with it."""
UNLABELLED_IOU = 0.1
"""Overlap with every label below which a hit is no labelled face."""
COVERED_SHARE = 0.9
"""Share of a face's box that must be hidden, besides its centre."""
ROTATION = REVISIT_FRAMES
"""Pictures within which a finder has to look everywhere."""
GREY = 128

Boxes = npt.NDArray[np.float64]
"""(n, 4): left, top, width, height."""
Bits = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Still:
    """A photo, RGB (h, w, 3), and the boxes of its faces in pixels of it."""

    name: str
    rgb: U8
    faces: Boxes


@dataclass(frozen=True, slots=True)
class Showing:
    """How stills are shown: so many pixels wide and high, with a share of the light, turned by degrees."""

    name: str
    side: int
    light: float = 1.0
    turn: float = 0.0


def stills(every: int) -> list[Still]:
    """Every so manieth labelled still. MediaError, Unavailable."""
    folder = media("faces")
    labels: dict[str, list[list[float]]] = {}
    try:
        with (folder / "boxes.csv").open(encoding="utf-8", newline="") as lines:
            for line in csv.DictReader(lines):
                box = [float(line[key]) for key in ("x", "y", "w", "h")]
                labels.setdefault(line["image"], []).append(box)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise MediaError(f"{folder / 'boxes.csv'} cannot be read as boxes (image, x, y, w, h).") from error
    names = sorted(labels)[::every]
    return [Still(name, picture_at(folder / name), np.array(labels[name], np.float64)) for name in names]


def sizes(faces: Boxes) -> npt.NDArray[np.float64]:
    """The shorter side of each box."""
    return np.asarray(faces[:, 2:].min(axis=1), np.float64)


def shown(still: Still, how: Showing) -> tuple[Planes, Boxes]:
    """The still as a finder sees it, and where its faces are there."""
    h, w = still.rgb.shape[:2]
    size = (how.side, round(how.side * h / w / 4) * 4)
    way = cv2.INTER_AREA if how.side < w else cv2.INTER_CUBIC
    rgb = np.asarray(cv2.resize(still.rgb, size, interpolation=way), np.uint8)
    faces = still.faces * np.tile(np.array(size, np.float64) / (w, h), 2)
    if how.turn:
        rgb, faces = _turned(rgb, faces, how.turn)
    planes = planes_from_rgb(rgb)
    if how.light == 1:
        return planes, faces
    return Planes(_dimmed(planes.y, 16, how), _dimmed(planes.u, 128, how), _dimmed(planes.v, 128, how)), faces


def _dimmed(plane: U8, dark: int, how: Showing) -> U8:
    return np.clip(np.round((plane.astype(np.float32) - dark) * how.light + dark), 0, 255).astype(np.uint8)


def _turned(rgb: U8, faces: Boxes, degrees: float) -> tuple[U8, Boxes]:
    """The picture turned against the clock on a grey ground that holds all of it; faces as squares of their
    area, for a turned face's upright box is not known."""
    h, w = rgb.shape[:2]
    c, s = abs(cos(radians(degrees))), abs(sin(radians(degrees)))
    wide, high = (round(side / 4) * 4 for side in (w * c + h * s, w * s + h * c))
    matrix = cv2.getRotationMatrix2D((w / 2, h / 2), degrees, 1.0)
    matrix[:, 2] += ((wide - w) / 2, (high - h) / 2)
    ground = (GREY, GREY, GREY)
    turned = cv2.warpAffine(rgb, matrix, (wide, high), flags=cv2.INTER_LINEAR, borderValue=ground)
    middles = np.concatenate([faces[:, :2] + faces[:, 2:] / 2, np.ones((len(faces), 1))], axis=1) @ matrix.T
    return np.asarray(turned, np.uint8), squares(
        np.concatenate([middles - faces[:, 2:] / 2, faces[:, 2:]], axis=1)
    )


def squares(boxes: Boxes) -> Boxes:
    """Squares with the middles and the areas of boxes."""
    side = np.sqrt(boxes[:, 2:3] * boxes[:, 3:4])
    middle = boxes[:, :2] + boxes[:, 2:] / 2
    return np.concatenate([middle - side / 2, side, side], axis=1)


def overlaps(some: Boxes, others: Boxes) -> npt.NDArray[np.float64]:
    """Intersection over union of each with each, (len(some), len(others))."""
    a, b = some[:, np.newaxis], others[np.newaxis]
    ends = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    shared = np.prod(np.clip(ends - np.maximum(a[..., :2], b[..., :2]), 0, None), axis=2)
    union = np.prod(a[..., 2:], axis=2) + np.prod(b[..., 2:], axis=2) - shared
    return np.asarray(shared / np.maximum(union, 1e-9), np.float64)


def found(faces: Boxes, hits: Boxes) -> Bits:
    """Which faces were hit. A hit is for the one face it overlaps most: none counts for two."""
    result = np.zeros(len(faces), np.bool_)
    if len(hits) and len(faces):
        overlap = overlaps(hits, faces)
        best = overlap.argmax(axis=1)
        good = overlap[np.arange(len(hits)), best] > FOUND_IOU
        result[best[good]] = True
    return result


def unlabelled(faces: Boxes, held: Boxes) -> int:
    """How many of the boxes lie on no labelled face."""
    if not len(held) or not len(faces):
        return len(held)
    return int(np.count_nonzero(overlaps(held, faces).max(axis=1) < UNLABELLED_IOU))


def covered(faces: Boxes, hidden: Bits) -> Bits:
    """Which faces are hidden: the centre and `COVERED_SHARE` of the box; hidden: bool (h, w)."""
    h, w = hidden.shape
    result = np.zeros(len(faces), np.bool_)
    for i, (x, y, across, down) in enumerate(faces.tolist()):
        pixels = Box(x, y, across, down).pixels(w, h)
        if pixels is None:
            result[i] = True  # nothing of it is in the picture
            continue
        x0, y0, x1, y1 = pixels
        middle = hidden[min(max(int(y + down / 2), 0), h - 1), min(max(int(x + across / 2), 0), w - 1)]
        result[i] = bool(middle) and float(hidden[y0:y1, x0:x1].mean()) >= COVERED_SHARE
    return result


def as_boxes(boxes: Sequence[Box]) -> Boxes:
    """Boxes as an array."""
    return np.array([(box.x, box.y, box.w, box.h) for box in boxes], np.float64).reshape(-1, 4)
