"""Finding codes: every symbology zxing-cpp knows, read or only recognised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import zxingcpp

from guardian.core.frames import U8
from guardian.core.notes import Print, PrintKind

F32 = npt.NDArray[np.float32]

LARGE = 1280 * 800
"""Pixels above which a picture is looked at in half its size and less: a look may not take long."""
SMALL = 1280 * 960
"""Pixels up to which a picture is looked at in twice its size too."""
MARGIN = 0.12
"""How far a code is grown on every side, of its size: for its quiet zone and for corners found roughly."""
BARS_HEIGHT = 0.7
"""Height a code of bars is given at least, of its length: it is found by some of its rows, and all of them
say the same."""
_MATRIX = zxingcpp.barcode_formats_list(zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.AllMatrix))
_SYMBOLOGIES = frozenset(format.symbology for format in _MATRIX)


class Care(Enum):
    """How hard codes are tried to be read."""

    QUICK = 0
    """As a call can afford a few times a second."""
    THOROUGH = 1
    """As a file or a question can."""


@dataclass(frozen=True, slots=True)
class Code:
    """A code that was read. corners: float32 (4, 2) in pixels; bars: not squares."""

    text: str
    corners: F32
    bars: bool


def read_codes(luma: U8, care: Care) -> tuple[Code, ...]:
    """The codes of a picture, uint8 (h, w) of any strides, that can be read, each once."""
    found: list[Code] = []
    for read in _attempts(np.ascontiguousarray(luma), care):
        for code in read:
            if not any(_is_same(code, other) for other in found):
                found.append(code)
    return tuple(found)


def _attempts(plane: U8, care: Care) -> Iterator[list[Code]]:
    """What each way of looking reads, the likeliest first."""
    large = plane.size > LARGE
    half = _halved(plane)
    if not large:
        yield _read(plane, 1.0)
    yield _read(half, 2.0)
    if care is Care.QUICK:
        return
    if large:
        yield _read(plane, 1.0)
    if plane.size <= SMALL:
        double = cv2.resize(plane, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        yield _read(np.asarray(double, np.uint8), 0.5)
    yield _read(half, 2.0, binarizer=zxingcpp.Binarizer.GlobalHistogram)
    yield _read(_halved(half), 4.0)


def _read(plane: U8, scale: float, **options: Any) -> list[Code]:
    """scale: how many times larger the picture is than this copy of it."""
    found = zxingcpp.read_barcodes(plane, text_mode=zxingcpp.TextMode.Plain, **options)
    return [
        Code(code.text, _corners(code) * np.float32(scale), not _is_matrix(code))
        for code in found
        if code.text
    ]


def _is_same(one: Code, other: Code) -> bool:
    """Whether two are one code that was read twice."""
    if one.text != other.text:
        return False
    apart = float(np.linalg.norm(one.corners.mean(axis=0) - other.corners.mean(axis=0)))
    return apart <= float(np.linalg.norm(np.ptp(one.corners, axis=0))) / 2


def find_codes(luma: U8) -> tuple[Print, ...]:
    """The codes of a picture, uint8 (h, w) of any strides, in pixels of it, with what they say.

    A code of squares that is found and cannot be read is one too, without a text. The picture is looked at in
    half its size too, for large blurred codes; so a code can come twice.
    """
    whole, scale = np.ascontiguousarray(luma), 1.0
    if whole.size > LARGE:
        whole, scale = _halved(whole), 2.0
    return _codes(whole, scale) + _codes(_halved(whole), 2 * scale)


def _halved(plane: U8) -> U8:
    return np.asarray(cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)


def _codes(plane: U8, scale: float) -> tuple[Print, ...]:
    found = zxingcpp.read_barcodes(plane, text_mode=zxingcpp.TextMode.Plain, return_errors=True)
    return tuple(_print(code, scale) for code in found if code.valid or _is_matrix(code))


def _is_matrix(code: zxingcpp.Barcode) -> bool:
    # Errors of bars are mostly no codes at all.
    return code.symbology in _SYMBOLOGIES


def _print(code: zxingcpp.Barcode, scale: float) -> Print:
    grown = _corners(code) * scale
    return Print(
        PrintKind.CODE, tuple((float(x), float(y)) for x, y in grown), code.text if code.valid else ""
    )


def _corners(code: zxingcpp.Barcode) -> F32:
    """Those of the code with its quiet zone, in order from the top left."""
    at = code.position
    points = (at.top_left, at.top_right, at.bottom_right, at.bottom_left)
    corners = np.array([(point.x, point.y) for point in points], np.float32)
    if not _is_matrix(code):
        corners = _thickened(corners)
    middle = corners.mean(axis=0)
    return np.asarray(middle + (corners - middle) * (1 + 2 * MARGIN), np.float32)


def _thickened(corners: F32) -> F32:
    """At least `BARS_HEIGHT` of the length high; corners in order from the top left."""
    left, right = (corners[0] + corners[3]) / 2, (corners[1] + corners[2]) / 2
    along = right - left
    high = float(np.linalg.norm(corners[3] - corners[0]) + np.linalg.norm(corners[2] - corners[1])) / 2
    missing = max(float(np.linalg.norm(along)) * BARS_HEIGHT - high, 0.0) / 2
    across = np.array([-along[1], along[0]], np.float32) / max(float(np.linalg.norm(along)), 1.0)
    signs = np.array([[-1], [-1], [1], [1]], np.float32)
    return np.asarray(corners + signs * across * missing, np.float32)
