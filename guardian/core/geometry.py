"""Boxes in pixels of the picture they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor


@dataclass(frozen=True, slots=True)
class Box:
    """Upright box: left, top, width, height in pixels (floats; may stick out of the picture)."""

    x: float
    y: float
    w: float
    h: float

    @property
    def area(self) -> float:
        """Area in square pixels, zero for an empty box."""
        return max(self.w, 0.0) * max(self.h, 0.0)

    def grown(self, factor: float) -> Box:
        """The box with the same centre and `factor` times its width and height."""
        w, h = self.w * factor, self.h * factor
        return Box(self.x + (self.w - w) / 2, self.y + (self.h - h) / 2, w, h)

    def shifted(self, dx: float, dy: float) -> Box:
        """The box moved by (dx, dy) pixels."""
        return Box(self.x + dx, self.y + dy, self.w, self.h)

    def scaled(self, sx: float, sy: float) -> Box:
        """The box in a picture scaled by (sx, sy)."""
        return Box(self.x * sx, self.y * sy, self.w * sx, self.h * sy)

    def shared(self, other: Box) -> float:
        """Area that both have, in square pixels."""
        w = min(self.x + self.w, other.x + other.w) - max(self.x, other.x)
        h = min(self.y + self.h, other.y + other.h) - max(self.y, other.y)
        return w * h if w > 0 and h > 0 else 0.0

    def iou(self, other: Box) -> float:
        """Intersection over union, 0..1."""
        both = self.shared(other)
        return both / (self.area + other.area - both) if both > 0 else 0.0

    def pixels(self, width: int, height: int) -> tuple[int, int, int, int] | None:
        """(x0, y0, x1, y1) clipped to the picture, rounded outwards to even numbers, or None.

        Even numbers, so that luma and chroma planes are covered alike.
        """
        x0 = max(floor(self.x / 2) * 2, 0)
        y0 = max(floor(self.y / 2) * 2, 0)
        x1 = min(ceil((self.x + self.w) / 2) * 2, width)
        y1 = min(ceil((self.y + self.h) / 2) * 2, height)
        return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None
