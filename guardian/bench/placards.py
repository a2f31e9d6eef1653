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
    """Lines of letters about so many pixels high on paper, uint8 (h, w); Chinese ones too."""
    step = round(height * 1.8)
    widths = [_write(None, line, (0, 0), height) for line in lines]
    card = np.full((step * len(lines) + 2 * _EDGE, max(widths) + 2 * _EDGE), PAPER, np.uint8)
    for i, line in enumerate(lines):
        _write(card, line, (_EDGE, _EDGE + i * step + round(height * 1.3)), height)
    return card


def _write(card: U8 | None, line: str, at: tuple[int, int], height: int) -> int:
    """Writes a line, its baseline at (x, y), where there is a card; gives its width in pixels."""
    if not line.isascii():
        font = cv2.FontFace("uni")
        size = round(height * 1.1)
        if card is not None:
            cv2.putText(card, line, at, (INK,), font, size, 400)
        return int(cv2.getTextSize((1, 1), line, (0, 0), font, size, 400)[2])
    thick = max(height // 9, 1)
    scale = cv2.getFontScaleFromHeight(_FONT, height, thick)
    if card is not None:
        cv2.putText(card, line, at, _FONT, scale, (INK,), thick, cv2.LINE_AA)
    return int(cv2.getTextSize(line, _FONT, scale, thick)[0][0])


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
