"""Pictures to measure with, made on the spot: a person moving before a room."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np

from guardian.core.frames import U8, Planes


def scene(size: tuple[int, int], count: int) -> list[Planes]:
    """`count` pictures of an even size (w, h): a portrait, or a drawn one, before a drawn room."""
    person, opacity = _person(size[1])
    room = _room(size)
    # Round and round without a jump, no faster than people move who talk.
    sways = np.sin(np.arange(count) * 2 * np.pi / max(count, 1))
    return [_planes(_paste(room, person, opacity, 0.5 + 0.07 * float(sway))) for sway in sways]


def bgr(planes: Planes) -> U8:
    """The picture as BGR, uint8 (h, w, 3)."""
    w, h = planes.size
    i420 = np.concatenate([planes.y.ravel(), planes.u.ravel(), planes.v.ravel()]).reshape(h * 3 // 2, w)
    return np.asarray(cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420), np.uint8)


def _person(height: int) -> tuple[U8, U8]:
    """A person of most of the height, BGR, and where they are opaque."""
    if find_spec("skimage") is not None:
        data: Any = import_module("skimage.data")  # the public-domain portrait inside its wheel
        portrait = np.ascontiguousarray(data.astronaut()[:, :430, ::-1])
        # The person alone: head and body, without the flag and the rocket behind her.
        outline = np.zeros(portrait.shape[:2], np.uint8)
        cv2.ellipse(outline, (226, 110), (78, 108), 0, 0, 360, (255,), cv2.FILLED)
        cv2.ellipse(outline, (205, 512), (190, 370), 0, 0, 360, (255,), cv2.FILLED)
        scale = height * 0.85 / portrait.shape[0]
        picture = np.asarray(cv2.resize(portrait, None, fx=scale, fy=scale), np.uint8)
        opacity = np.asarray(
            cv2.resize(outline, picture.shape[1::-1], interpolation=cv2.INTER_NEAREST), np.uint8
        )
        return picture, opacity
    w, h = round(height * 0.5) // 2 * 2, round(height * 0.85) // 2 * 2
    picture = np.full((h, w, 3), (70, 60, 50), np.uint8)
    opacity = np.zeros((h, w), np.uint8)
    skin = (150, 180, 225)
    cv2.ellipse(opacity, (w // 2, h), (w // 2, h * 6 // 10), 0, 180, 360, (255,), cv2.FILLED)
    cv2.ellipse(opacity, (w // 2, h // 4), (w // 5, h // 5), 0, 0, 360, (255,), cv2.FILLED)
    cv2.ellipse(picture, (w // 2, h // 4), (w // 5, h // 5), 0, 0, 360, skin, cv2.FILLED)
    for side in (-1, 1):
        cv2.circle(picture, (w // 2 + side * w // 12, h // 5), max(w // 40, 2), (40, 30, 30), cv2.FILLED)
    cv2.ellipse(picture, (w // 2, h // 3), (w // 14, h // 60 + 1), 0, 0, 360, (70, 70, 160), cv2.FILLED)
    return picture, opacity


def _room(size: tuple[int, int]) -> U8:
    w, h = size
    room = np.full((h, w, 3), (190, 205, 210), np.uint8)
    room[h * 3 // 4 :] = (60, 95, 140)
    rng = np.random.default_rng(7)
    for _ in range(14):
        x, y = int(rng.integers(0, w * 4 // 5)), int(rng.integers(0, h * 2 // 3))
        colour = tuple(int(c) for c in rng.integers(30, 240, 3))
        cv2.rectangle(room, (x, y), (x + w // 8, y + h // 6), colour, cv2.FILLED)
        cv2.rectangle(room, (x, y), (x + w // 8, y + h // 6), (20, 20, 20), 2)
    noise = rng.integers(0, 12, room.shape, np.uint8)
    return np.asarray(cv2.add(room, noise), np.uint8)


def _paste(room: U8, person: U8, opacity: U8, place: float) -> U8:
    picture = room.copy()
    h, w = person.shape[:2]
    free = max(room.shape[1] - w, 1)
    x = int(free * place)
    y = room.shape[0] - h
    area = picture[y:, x : x + w]
    cv2.copyTo(person[:, : area.shape[1]], opacity[:, : area.shape[1]], area)
    return picture


def _planes(picture: U8) -> Planes:
    h, w = picture.shape[:2]
    i420 = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), np.uint8)
    flat = i420.reshape(-1)
    quarter = h * w // 4
    u = flat[h * w : h * w + quarter].reshape(h // 2, w // 2)
    v = flat[h * w + quarter :].reshape(h // 2, w // 2)
    return Planes(i420[:h], u, v)
