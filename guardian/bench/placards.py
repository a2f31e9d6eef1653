"""Cards with a code or with writing on them, to be held into pictures."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import zxingcpp

from guardian.core.frames import U8, Planes

PAPER, INK = 235, 25
_EDGE = 12
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def code_card(text: str, side: int, symbology: str = "QRCode") -> U8:
    """A printed code, uint8 (h, w), at most `side` wide and high with its quiet zone."""
    code = zxingcpp.create_barcode(text, zxingcpp.barcode_format_from_str(symbology))
    small = np.array(zxingcpp.write_barcode_to_image(code), np.uint8)
    times = max(side // max(small.shape), 1)
    large = np.kron(small, np.ones((times, times), np.uint8))
    return np.where(large > 127, PAPER, INK).astype(np.uint8)


def text_card(lines: Sequence[str], height: int) -> U8:
    """Lines of letters so many pixels high on paper, uint8 (h, w)."""
    thick = max(height // 9, 1)
    scale = cv2.getFontScaleFromHeight(_FONT, height, thick)
    sizes = [cv2.getTextSize(line, _FONT, scale, thick)[0] for line in lines]
    step = round(height * 1.8)
    card = np.full((step * len(lines) + 2 * _EDGE, max(w for w, _ in sizes) + 2 * _EDGE), PAPER, np.uint8)
    for i, line in enumerate(lines):
        below = _EDGE + i * step + round(height * 1.3)
        cv2.putText(card, line, (_EDGE, below), _FONT, scale, (INK,), thick, cv2.LINE_AA)
    return card


def held(planes: Planes, card: U8, at: tuple[int, int]) -> Planes:
    """A copy of the picture with the card at (left, top), even numbers; what sticks out is cut off."""
    y, u, v = planes.y.copy(), planes.u.copy(), planes.v.copy()
    left, top = at
    part = y[top : top + card.shape[0], left : left + card.shape[1]]
    part[:] = card[: part.shape[0], : part.shape[1]]
    h, w = part.shape
    half = np.s_[top // 2 : (top + h) // 2, left // 2 : (left + w) // 2]
    u[half] = v[half] = 128
    return Planes(y, u, v)
