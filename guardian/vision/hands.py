"""Finding hands: MediaPipe's palm detector, and from each palm the hand it belongs to.

Geometry after MediaPipe's palm_detection_detection_to_roi.pbtxt: the palm's box is moved by half its height
towards the fingers, whose direction the wrist and the middle finger's knuckle give, and made 2.6 times as
large. A square that large turned by any angle has one circle in it, and that holds the hand: so the box here
stands upright and only the ellipse in it is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from math import hypot
from pathlib import Path

from guardian.core.frames import Planes
from guardian.core.geometry import Box
from guardian.core.notes import Hand, Seen, Unknown
from guardian.vision.anchors import AnchorNet
from guardian.vision.heaps import alone
from guardian.vision.pictures import small_bgr

LAYERS = ((24, 2), (12, 6))
"""2016 anchors, after MediaPipe's palm_detection_cpu.pbtxt."""
WRIST, KNUCKLE = 5, 9
"""Where a row has x and y of the wrist and of the middle finger's knuckle."""
MOST = 8
"""Hands of one picture, the surest first."""
SAME_PALM_IOU = 0.3
TOWARDS_FINGERS, AROUND = 0.5, 2.6
"""How far the hand's middle is from the palm's, of its height, and how large its box is, of the palm's."""


class PalmFinder:
    """See `guardian.core.ports.HandFinder`. One thread only.

    Its network is opened with the first look: calls that never are in *product* save the memory.
    """

    def __init__(self, net: Callable[[], AnchorNet], name: str) -> None:
        self._net = cache(net)
        self.name = name

    @classmethod
    def open(cls, model: Path, threshold: float) -> PalmFinder:
        """With palm_detection_full.tflite. threshold: score, 0..1, from which on something is a palm."""
        return cls(partial(AnchorNet.open, model, LAYERS, 0, threshold), model.stem)

    def find(self, planes: Planes) -> Seen[tuple[Hand, ...]] | Unknown:
        """Hands in pixels of `planes`, but for those that are larger than the picture."""
        w, h = planes.size
        net = self._net()
        scale = net.side / max(w, h)
        size = (_even(w * scale), _even(h * scale))
        rows = alone(net.detect(small_bgr(planes, size)), SAME_PALM_IOU)
        stretch = (w / size[0], h / size[1])
        hands = (hand_of(row, stretch) for row in rows.astype(float).tolist())
        return Seen(tuple(hand for hand in hands if hand.box.w <= max(w, h))[:MOST])


def hand_of(row: list[float], stretch: tuple[float, float]) -> Hand:
    """The hand of a palm's row (see `AnchorNet.detect`), stretched by (x, y) to the picture it is in."""
    sx, sy = stretch
    x, y, w, h, score = row[:5]
    palm = Box(x, y, w, h).scaled(sx, sy)
    dx = (row[KNUCKLE] - row[WRIST]) * sx
    dy = (row[KNUCKLE + 1] - row[WRIST + 1]) * sy
    shift = TOWARDS_FINGERS * palm.h / max(hypot(dx, dy), 1e-6)
    side = AROUND * max(palm.w, palm.h)
    mid_x, mid_y = palm.x + palm.w / 2 + dx * shift, palm.y + palm.h / 2 + dy * shift
    return Hand(Box(mid_x - side / 2, mid_y - side / 2, side, side), palm, min(score, 1.0))


def _even(side: float) -> int:
    return max(round(side / 2) * 2, 2)
