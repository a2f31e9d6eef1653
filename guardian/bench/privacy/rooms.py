"""Rooms that hold what homes hold: wallpaper, shelves, pictures, writing, tiles, lamps, curtains."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from guardian.core.frames import U8
from guardian.demo.scene import room

ROOM = (800, 480)
"""Wider than the picture: cameras pan."""


def rooms(seed: int) -> list[U8]:
    """Four drawn rooms, RGB (480, 800, 3)."""
    rng = np.random.default_rng(seed)
    w, h = ROOM
    return [_lit(picture, rng) for picture in (room(w, h), _study(rng), _kitchen(rng), _bedroom(rng))]


def emptied(photo: U8, person: U8) -> U8:
    """A photo with the person (255) painted over from around them, as a room: RGB (480, 800, 3)."""
    w, h = ROOM
    scale = max(w / photo.shape[1], h / photo.shape[0])
    size = (max(round(photo.shape[1] * scale), w), max(round(photo.shape[0] * scale), h))
    small = (size[0] // 4, size[1] // 4)
    # What is painted over is smooth anyway, and a quarter of the size is done sixteen times as fast.
    gone = cv2.dilate(cv2.resize(person, small, interpolation=cv2.INTER_AREA), np.ones((7, 7), np.uint8))
    gone = np.asarray(gone > 0, np.uint8) * np.uint8(255)
    filled = cv2.inpaint(cv2.resize(photo, small, interpolation=cv2.INTER_AREA), gone, 5, cv2.INPAINT_TELEA)
    large = cv2.resize(photo, size, interpolation=cv2.INTER_LINEAR)
    cv2.copyTo(
        cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR),
        cv2.resize(gone, size, interpolation=cv2.INTER_NEAREST),
        large,
    )
    x, y = (size[0] - w) // 2, (size[1] - h) // 2
    return np.ascontiguousarray(large[y : y + h, x : x + w])


def _study(rng: np.random.Generator) -> U8:
    """Striped wallpaper, full shelves, framed pictures, a whiteboard with writing."""
    w, h = ROOM
    wall = np.full((h, w, 3), (206, 196, 178), np.uint8)
    wall[:, (np.arange(w) // 12) % 2 == 0] = (188, 176, 160)
    for y in (60, 150, 240, 330):
        _shelf(wall, rng, (20, y), 240)
    _frame(wall, rng, (300, 40, 110, 80))
    _frame(wall, rng, (430, 60, 70, 90))
    cv2.rectangle(wall, (540, 40), (780, 220), (240, 242, 244), cv2.FILLED)
    cv2.rectangle(wall, (540, 40), (780, 220), (90, 90, 96), 4)
    _write(wall, ("INVOICE 20418", "Elm Street 7, flat 3", "rent due 1 May", "tel 555 0134"), (552, 80))
    wall[400:] = (120, 86, 60)
    return wall


def _kitchen(rng: np.random.Generator) -> U8:
    """Tiles, cupboards, bottles, a window and a calendar."""
    w, h = ROOM
    wall = np.full((h, w, 3), (222, 226, 224), np.uint8)
    for x in range(0, w, 28):
        cv2.line(wall, (x, 0), (x, h), (170, 178, 178), 2)
    for y in range(0, h, 28):
        cv2.line(wall, (0, y), (w, y), (170, 178, 178), 2)
    for x in range(0, w, 160):
        cv2.rectangle(wall, (x + 4, 0), (x + 152, 110), (150, 118, 84), cv2.FILLED)
        cv2.rectangle(wall, (x + 16, 12), (x + 140, 98), (120, 92, 62), 3)
    for x in range(30, w - 60, 46):
        top = int(rng.integers(190, 250))
        colour = tuple(int(c) for c in rng.integers(40, 220, 3))
        cv2.rectangle(wall, (x, top), (x + int(rng.integers(14, 30)), 300), colour, cv2.FILLED)
    cv2.rectangle(wall, (0, 300), (w, h), (92, 74, 66), cv2.FILLED)
    cv2.rectangle(wall, (620, 130), (760, 280), (250, 250, 246), cv2.FILLED)
    _write(wall, ("MAY", "Mo Tu We Th", "dentist 14.30", "Anna 0170"), (630, 160))
    return wall


def _bedroom(rng: np.random.Generator) -> U8:
    """A dim wall, dark curtains as dark as clothes, a lamp and a poster of something round."""
    w, h = ROOM
    slope = np.linspace(110, 60, w, dtype=np.float32)[None, :, None] * np.array((1.0, 0.9, 0.8), np.float32)
    wall = np.broadcast_to(slope, (h, w, 3)).astype(np.uint8).copy()
    for x in range(0, 200, 20):
        cv2.rectangle(wall, (x, 0), (x + 10, h), (52, 40, 58), cv2.FILLED)
        cv2.rectangle(wall, (x + 10, 0), (x + 20, h), (34, 28, 40), cv2.FILLED)
    cv2.circle(wall, (600, 150), 60, (250, 236, 190), cv2.FILLED)
    cv2.rectangle(wall, (594, 210), (606, 400), (40, 36, 30), cv2.FILLED)
    _frame(wall, rng, (300, 60, 160, 200))
    cv2.ellipse(wall, (380, 160), (40, 56), 0, 0, 360, (205, 160, 130), cv2.FILLED)
    wall[390:] = (70, 78, 104)
    return wall


def _shelf(wall: U8, rng: np.random.Generator, at: tuple[int, int], width: int) -> None:
    x, y = at
    book = x
    while book < x + width - 24:
        thick, high = int(rng.integers(8, 24)), int(rng.integers(38, 60))
        colour = tuple(int(c) for c in rng.integers(30, 230, 3))
        cv2.rectangle(wall, (book, y + 62 - high), (book + thick, y + 62), colour, cv2.FILLED)
        book += thick + 1
    cv2.rectangle(wall, (x, y + 62), (x + width, y + 70), (86, 60, 42), cv2.FILLED)


def _frame(wall: U8, rng: np.random.Generator, box: tuple[int, int, int, int]) -> None:
    """A picture of coarse patches in a dark frame."""
    x, y, w, h = box
    patches = rng.integers(30, 230, (6, 8, 3), np.uint8)
    wall[y : y + h, x : x + w] = cv2.resize(patches, (w, h), interpolation=cv2.INTER_CUBIC)
    cv2.rectangle(wall, (x, y), (x + w, y + h), (40, 30, 22), 6)


def _write(wall: U8, lines: Sequence[str], at: tuple[int, int]) -> None:
    for number, line in enumerate(lines):
        place = (at[0], at[1] + number * 32)
        cv2.putText(wall, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (40, 40, 60), 2, cv2.LINE_AA)


def _lit(picture: U8, rng: np.random.Generator) -> U8:
    """With the grain that photos have."""
    grain = rng.normal(0, 3, picture.shape)
    return np.clip(picture + grain, 0, 255).astype(np.uint8)
