"""Finding what is printed or shown on things: text, codes, and what they stand on."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from guardian.core.frames import U8, Planes
from guardian.core.notes import Print, PrintKind, Seen
from guardian.vision.codes import find_codes
from guardian.vision.looks import fit
from guardian.vision.outlines import around, outlines
from guardian.vision.pictures import luma, small_bgr

F32 = npt.NDArray[np.float32]

TEXT_SCALE = 0.75
"""Text is looked for on a copy of this scale."""
LEAST_AREA, MOST_AREA = 480 * 352, 640 * 384
"""Area of that copy: a small picture is not made smaller, a large one costs no more."""
LARGE_AREA = 160 * 128
"""Area of a second copy, for letters that are too large on the first."""
OUTLINE_AREA = 320 * 240
REACH = 0.45
"""How far a line is grown on every side, of its height: lines nearer than twice that are hidden in one."""

MOST_REACH = 0.03
"""And at most, of the picture's shorter side."""


class LineFinder(Protocol):
    """Finds lines of text in a picture whose sides are numbers of the multiple. One thread at a time."""

    name: str
    multiple: int

    def detect(self, bgr: U8) -> F32:
        """float32 (n, 4, 2): corners (x, y) of the lines' turned boxes, in pixels of `bgr`."""
        ...


class PrintFinder:
    """Finds text and codes. One thread at a time."""

    def __init__(self, text: LineFinder) -> None:
        self._text = text
        self.name = text.name

    def find(self, planes: Planes, kind: PrintKind) -> Seen[tuple[Print, ...]]:
        """See `guardian.core.ports.PrintFinder`."""
        found = find_codes(planes.y) if kind is PrintKind.CODE else self._text_blocks(planes)
        return Seen(_on_their_ground(found, planes) if found else ())

    def _text_blocks(self, planes: Planes) -> tuple[Print, ...]:
        w, h = planes.size
        area = round(min(max(w * h * TEXT_SCALE**2, LEAST_AREA), MOST_AREA))
        near, far = self._copy(planes, LARGE_AREA), self._copy(planes, area)
        lines = [
            *_scaled(self._text.detect(near), near, planes),
            *_scaled(self._text.detect(far), far, planes),
            *_scaled(self._upward(far), far, planes),
        ]
        return tuple(_print(PrintKind.TEXT, _reaching(line, MOST_REACH * min(w, h))) for line in lines)

    def _copy(self, planes: Planes, area: int) -> U8:
        return small_bgr(planes, fit(*planes.size, area, self._text.multiple))

    def _upward(self, bgr: U8) -> F32:
        """Lines that run up or down, of which the network misses half of the small ones as they are."""
        turned = np.asarray(cv2.rotate(bgr, cv2.ROTATE_90_CLOCKWISE), np.uint8)
        found = self._text.detect(turned)
        return np.stack([found[..., 1], bgr.shape[0] - 1 - found[..., 0]], axis=-1)


def _scaled(lines: F32, bgr: U8, planes: Planes) -> F32:
    """Lines found on a copy, in pixels of the picture."""
    scale = np.array(planes.size, np.float32) / np.array(bgr.shape[1::-1], np.float32)
    return np.asarray(lines * scale, np.float32)


def _reaching(line: F32, most: float) -> F32:
    """A line's box, (4, 2), grown on every side, by so many pixels at most."""
    middle, (w, h), degrees = cv2.minAreaRect(line)
    by = 2 * min(REACH * min(w, h), most)
    return np.asarray(cv2.boxPoints((middle, (w + by, h + by), degrees)), np.float32)


def _on_their_ground(found: tuple[Print, ...], planes: Planes) -> tuple[Print, ...]:
    """Each with the corners of the sheet, screen, label or frame it stands on, where one is seen."""
    w, h = planes.size
    size = fit(w, h, OUTLINE_AREA, 2)
    scale = np.array((w / size[0], h / size[1]), np.float32)
    seen = outlines(luma(planes, size))
    whole = []
    for one in found:
        quad = around(np.array(one.corners, np.float32) / scale, seen)
        whole.append(one)
        if quad is not None:
            whole.append(_print(one.kind, quad * scale, one.text))
    return tuple(whole)


def _print(kind: PrintKind, corners: F32, text: str = "") -> Print:
    return Print(kind, tuple((float(x), float(y)) for x, y in corners), text)
