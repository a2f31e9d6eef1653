"""Files that stand for cameras and microphones: Chromium plays them round and round."""

from __future__ import annotations

import wave
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from guardian.core.canary import BLOCK
from guardian.core.frames import U8, Planes
from guardian.demo.scene import CANARY_FRAMES, FPS, Scene, planes_from_rgb
from guardian.vision.people import SelfieSegmenter
from tests.loopback.harness import canary_of, canary_pictures

RATE = 48_000
SHOPPER_HZ, MERCHANT_HZ = 1000, 2400
"""What the two sing: whole numbers of waves in a second, so that the loop has no click."""
COLOURS = ((200, 40, 40), (40, 170, 60), (50, 60, 200), (220, 200, 60))
"""RGB of the merchant's picture: its quarters in reading order."""
CAMERA_FPS = 15
"""Two browsers, their codecs and Guardian share the machine."""
SCENE_FRAMES = 45


@dataclass(frozen=True)
class Film:
    """A camera's film; `room`: bool blocks, (h, w) / BLOCK, in which no picture of it shows a person."""

    path: Path
    size: tuple[int, int]
    room: npt.NDArray[np.bool_]

    def canary_blocks(self, luma: U8) -> int:
        """Blocks of the film's room that a picture made of it, cropped and scaled, shows the canary in."""
        width, height = self.size
        h, w = luma.shape
        scale = min(width / w, height / h)
        wide, high = min(round(w * scale), width), min(round(h * scale), height)
        whole = np.full((height, width), luma.mean(), np.uint8)
        left, top = (width - wide) // 2, (height - high) // 2
        whole[top : top + high, left : left + wide] = cv2.resize(luma, (wide, high))
        return canary_of(self.size).blocks_seen(whole, self.room)


def write_film(path: Path, pictures: Iterable[Planes], fps: int) -> tuple[int, int]:
    """A YUV4MPEG2 file of 4:2:0 pictures of one size, which is returned."""
    size = (0, 0)
    with path.open("wb") as film:
        for planes in pictures:
            if size == (0, 0):
                size = planes.size
                film.write(f"YUV4MPEG2 W{size[0]} H{size[1]} F{fps}:1 Ip A1:1 C420\n".encode())
            film.write(b"FRAME\n")
            for plane in (planes.y, planes.u, planes.v):
                film.write(np.ascontiguousarray(plane).tobytes())
    return size


def write_tone(path: Path, hertz: int) -> Path:
    """A second of a steady tone."""
    t = np.arange(RATE) / RATE
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes((8000 * np.sin(2 * np.pi * hertz * t)).astype("<i2").tobytes())
    return path


def shoppers_room(path: Path, person_model: Path) -> Film:
    """The sample scene, 640x480: the canary alone, then a person before a wall full of it."""
    every = FPS // CAMERA_FPS
    scene = Scene(SelfieSegmenter(person_model))
    shots = list(islice(scene.pictures(), 0, SCENE_FRAMES * every, every))
    room = np.logical_and.reduce([shot.searchable for shot in shots[CANARY_FRAMES // every + 1 :]])
    return Film(path, write_film(path, (shot.planes for shot in shots), CAMERA_FPS), room)


def canary_room(path: Path, size: tuple[int, int], fps: int) -> Film:
    """A second of nothing but the canary."""
    everywhere = np.ones((size[1] // BLOCK, size[0] // BLOCK), np.bool_)
    pictures = (shot.planes for shot in islice(canary_pictures(size), fps))
    return Film(path, write_film(path, pictures, fps), everywhere)


def merchants_card(path: Path, size: tuple[int, int] = (320, 240)) -> Film:
    """Four coloured quarters and a white bar that moves down the middle; nothing to search for."""
    pictures = (planes_from_rgb(_card(size, t / CAMERA_FPS)) for t in range(CAMERA_FPS))
    nowhere = np.zeros((size[1] // BLOCK, size[0] // BLOCK), np.bool_)
    return Film(path, write_film(path, pictures, CAMERA_FPS), nowhere)


def _card(size: tuple[int, int], t: float) -> np.ndarray:
    width, height = size
    quarters = np.array(COLOURS, np.uint8).reshape(2, 2, 3)
    card = np.kron(quarters, np.ones((height // 2, width // 2, 1), np.uint8))
    top = int(t * (height - 20))
    card[top : top + 20, width // 2 - 10 : width // 2 + 10] = 255
    return card
