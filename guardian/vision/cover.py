"""The only maker of `SafeFrame`.

What is hidden is replaced by a picture made of averages of 16x16 pixels (32x32 in strict) that no face has
any part in: cells a face's cover touches are thrown away and filled in from the cells around them
(push-pull interpolation, Gortler et al., The Lumigraph, 1996). So a face's cover looks like a blur
and holds none of its pixels, and with nothing around it is grey.

Output planes are freshly allocated for every frame and never written again, so an encoder may
read a frame for as long as it likes. Input planes are only read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor

import cv2
import numpy as np
import numpy.typing as npt

from guardian.core.frames import U8, Planes, RawFrame, SafeFrame, Showing
from guardian.core.geometry import Box
from guardian.core.ports import CurtainMaker
from guardian.core.protection import CurtainReason
from guardian.vision import pictures
from guardian.vision.card import TEXTS, card

F32 = npt.NDArray[np.float32]

CELL, STRICT_CELL = 16, 32
GREY = (110.0, 128.0, 128.0)


@dataclass(frozen=True, slots=True)
class Covering:
    """What to hide of one frame.

    opacity: uint8 (h', w'), any small size; 255 where the raw picture shows, 0 where nothing of it may.
    faces: the boxes that no fill may take a pixel from, in picture pixels. people: uint8 (h', w'), 0 but
    where no fill may take a pixel from either.
    """

    opacity: U8
    faces: tuple[Box, ...]
    cell: int = CELL
    people: U8 | None = None


def cover(raw: RawFrame, covering: Covering) -> SafeFrame:
    """The picture with everything hidden that `covering` hides."""
    w, h = raw.planes.size
    cells = averages(raw.planes, covering)
    buffer = np.empty((h * 3 // 2, w), np.uint8)
    flat = buffer.reshape(-1)
    y = buffer[:h]
    u = flat[w * h : w * h * 5 // 4].reshape(h // 2, w // 2)
    v = flat[w * h * 5 // 4 :].reshape(h // 2, w // 2)
    hidden = np.asarray(cv2.bitwise_not(covering.opacity), np.uint8)
    for average, target in zip(cells, (y, u, v), strict=True):
        _fill(average, hidden, target)
    _show(raw.planes, covering.opacity, (y, u, v))
    buffer.setflags(write=False)
    return SafeFrame(Planes(y, u, v), raw.t, raw.arrived, Showing.COVERED)


def held(last: SafeFrame, t: float, arrived: float) -> SafeFrame:
    """The last covered picture again, standing for a frame of time t."""
    return SafeFrame(last.planes, t, arrived, Showing.HELD)


def curtain(size: tuple[int, int], t: float, arrived: float, reason: CurtainReason) -> SafeFrame:
    """A card of an even size (w, h) that says why there is no picture. From any thread."""
    return _card(size, t, arrived, TEXTS[reason])


def curtains(texts: Mapping[str, tuple[str, str]]) -> CurtainMaker:
    """As `curtain`, with other texts (Chinese, English) for some reasons."""
    lines = {str(reason): text for reason, text in TEXTS.items()}
    lines |= {str(reason): (zh, en) for reason, (zh, en) in texts.items()}

    def make(size: tuple[int, int], t: float, arrived: float, reason: CurtainReason) -> SafeFrame:
        return _card(size, t, arrived, lines[reason])

    return make


def _card(size: tuple[int, int], t: float, arrived: float, text: tuple[str, str]) -> SafeFrame:
    w, h = (max(int(side) // 2 * 2, 2) for side in size)
    return SafeFrame(card((w, h), text), t, arrived, Showing.CURTAIN)


def averages(planes: Planes, covering: Covering) -> tuple[U8, U8, U8]:
    """Averages of y, u, v over cells of about `cell` pixels, uint8 (rows, columns), without any face and
    anybody else."""
    w, h = planes.size
    cell = covering.cell
    grid = (max(w // cell, 1), max(h // cell, 1))
    small = list(pictures.averages(planes, grid, grid))
    known = _known(covering, grid, planes.size)
    if not known.all():
        small = _solid(small, known) if cell >= STRICT_CELL else _smooth(small, known)
    smooth = [np.asarray(cv2.blur(plane, (3, 3)), np.uint8) for plane in small]
    return smooth[0], smooth[1], smooth[2]


def _known(covering: Covering, grid: tuple[int, int], size: tuple[int, int]) -> F32:
    """1 for cells that no face and nobody else has any part in, else 0; float32 (rows, columns)."""
    known = np.ones((grid[1], grid[0]), np.float32)
    for face in covering.faces:
        box = face.scaled(grid[0] / size[0], grid[1] / size[1])
        x0, y0 = max(floor(box.x), 0), max(floor(box.y), 0)
        x1, y1 = max(ceil(box.x + box.w), 0), max(ceil(box.y + box.h), 0)
        known[y0:y1, x0:x1] = 0
    if covering.people is not None:
        # Any part of somebody leaves more than nothing in the average; of whole numbers little would be none.
        part = cv2.resize(covering.people.astype(np.float32), grid, interpolation=cv2.INTER_AREA)
        known[part > 0] = 0
    # Where a side is no multiple of its cells, averages of averages reach up to half a cell further.
    reach = [3 if side % cells else 1 for side, cells in zip(size, grid, strict=True)]
    return np.asarray(cv2.erode(known, np.ones(reach[::-1], np.uint8)), np.float32) if 3 in reach else known


def _solid(small: list[U8], known: F32) -> list[U8]:
    """Cells of faces in one colour, the mean of all the others."""
    unknown = known == 0
    for plane, grey in zip(small, GREY, strict=True):
        plane[unknown] = round(float(plane[~unknown].mean())) if not unknown.all() else int(grey)
    return small


def _smooth(small: list[U8], known: F32) -> list[U8]:
    """Cells of faces filled in from those around them."""
    near = _around(known == 0)
    weight = known[near]
    filled = _push_pull(np.dstack([*[plane[near].astype(np.float32) * weight for plane in small], weight]))
    for i, plane in enumerate(small):
        # Known cells come back as they were, but for rounding.
        plane[near] = np.clip(np.round(filled[:, :, i]), 0, 255).astype(np.uint8)
    return small


def _around(unknown: npt.NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns that hold all unknown cells and as much again on every side."""
    x, y, w, h = cv2.boundingRect(unknown.astype(np.uint8))
    return slice(max(y - h, 0), y + 2 * h), slice(max(x - w, 0), x + 2 * w)


def _push_pull(stack: F32) -> F32:
    """Fills cells of weight 0 from those around.

    stack: float32 (rows, columns, 4), three values times their weight, and the weight. Returns
    float32 (rows, columns, 3), `GREY` when nothing at all is known.
    """
    rows, columns = stack.shape[:2]
    weight = stack[:, :, 3:4]
    known = weight > 1e-6
    if known.all():
        return np.asarray(stack[:, :, :3] / weight, np.float32)
    if rows == 1 and columns == 1:
        coarse = np.full((1, 1, 3), GREY, np.float32)
    else:
        half = (max((columns + 1) // 2, 1), max((rows + 1) // 2, 1))
        smaller = np.asarray(cv2.resize(stack, half, interpolation=cv2.INTER_AREA), np.float32)
        filled = _push_pull(smaller.reshape(half[1], half[0], 4))
        coarse = np.asarray(cv2.resize(filled, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32)
        coarse = coarse.reshape(rows, columns, 3)
    return np.asarray(np.where(known, stack[:, :, :3] / np.maximum(weight, 1e-6), coarse), np.float32)


def _fill(cells: U8, hidden: U8, out: U8) -> None:
    """Fills `out` with the cells as far as it is hidden: 0 where `hidden`, of any small size, is 0."""
    h, w = out.shape
    # Smoothly to the small size, then on linearly: as smooth, at half the cost.
    smooth = cv2.resize(cells, (hidden.shape[1], hidden.shape[0]), interpolation=cv2.INTER_CUBIC)
    cv2.resize(cv2.multiply(smooth, hidden, scale=1 / 255), (w, h), dst=out, interpolation=cv2.INTER_LINEAR)


def _show(raw: Planes, opacity: U8, out: tuple[U8, U8, U8]) -> None:
    """Adds the raw picture to `out` as far as it may be seen."""
    x, y, w, h = cv2.boundingRect(opacity)
    if not w or not h:
        return
    luma = np.asarray(cv2.resize(opacity, raw.size, interpolation=cv2.INTER_LINEAR), np.uint8)
    half = (raw.size[0] // 2, raw.size[1] // 2)
    chroma = np.asarray(cv2.resize(opacity, half, interpolation=cv2.INTER_LINEAR), np.uint8)
    # Scaling up spreads a cell over its neighbours: one more on every side holds all of it.
    area = Box(x - 1, y - 1, w + 2, h + 2).scaled(
        raw.size[0] / opacity.shape[1], raw.size[1] / opacity.shape[0]
    )
    pixels = area.pixels(*raw.size)
    if pixels is None:
        return
    x0, y0, x1, y1 = pixels
    _add(raw.y[y0:y1, x0:x1], luma[y0:y1, x0:x1], out[0][y0:y1, x0:x1])
    part = np.s_[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2]
    _add(raw.u[part], chroma[part], out[1][part])
    _add(raw.v[part], chroma[part], out[2][part])


def _add(raw: U8, shown: U8, out: U8) -> None:
    """out += raw as far as shown: all of it where that is 255, nothing where it is 0."""
    cv2.add(out, cv2.multiply(raw, shown, scale=1 / 255), dst=out)
