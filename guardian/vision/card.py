"""The curtain: a card that says why there is no picture, and holds nothing of it."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from guardian.core.frames import U8, Planes
from guardian.core.protection import CurtainReason

TEXTS: dict[CurtainReason, tuple[str, str]] = {
    CurtainReason.WAITING: ("等待对方加入", "Waiting for the other side"),
    CurtainReason.CAMERA_OFF: ("对方未开启摄像头", "The camera is off"),
    CurtainReason.STARTING: ("隐私保护启动中", "Privacy protection is starting"),
    CurtainReason.DARK: ("光线太暗, 画面暂不显示", "Too dark to show the picture safely"),
    CurtainReason.INTERRUPTED: ("画面暂不可用, 隐私保护中", "Protection interrupted, please wait"),
    CurtainReason.PRIVATE: ("对方已隐藏画面", "The picture is private"),
}
_BACK, _INK, _SOFT_INK = 44, 214, 150
_LONGEST = 0.86
"""Share of the width the text may take."""


@lru_cache(maxsize=32)
def card(size: tuple[int, int], text: tuple[str, str]) -> Planes:
    """The card for an even size (w, h); its planes are shared and cannot be written."""
    w, h = size
    y = np.full((h, w), _BACK, np.uint8)
    chroma = np.full((h // 2, w // 2), 128, np.uint8)
    if min(w, h) >= 64:
        first = max(h // 15, 10)
        _write(y, text[0], h // 2 - first // 3, first, _INK)
        _write(y, text[1], h // 2 + first, max(first * 6 // 10, 8), _SOFT_INK)
    y.setflags(write=False)
    chroma.setflags(write=False)
    return Planes(y, chroma, chroma)


def _write(y: U8, text: str, baseline: int, height: int, ink: int) -> None:
    """One centred line; smaller when it would not fit."""
    font = cv2.FontFace("uni")
    w = y.shape[1]
    while True:
        wide = cv2.getTextSize((w, y.shape[0]), text, (0, 0), font, height, 400)[2]
        if wide <= w * _LONGEST or height <= 8:
            break
        height = max(int(height * w * _LONGEST / wide), 8)
    cv2.putText(y, text, ((w - wide) // 2, baseline), (ink,), font, height, 400)
