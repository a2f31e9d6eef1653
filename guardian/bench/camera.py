"""The camera of a measured call: numbered pictures, encoded before the call begins.

Peers and the box in the middle share one machine. A camera that encodes while it is measured would
take as much of it as Guardian does, and what is measured would be the machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import av
import cv2
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av.video.codeccontext import VideoCodecContext

from guardian.bench import timecode
from guardian.core.errors import GuardianError
from guardian.core.frames import U8, Planes
from guardian.demo.scene import planes_from_rgb, portrait, room
from guardian.rtc.convert import VIDEO_CLOCK, VIDEO_TIME_BASE, writable_rows

LOOP = 512
"""Pictures until the numbers begin again: more seconds than any delay that is believed."""
SWAYS = 8
_KEY_EVERY = 60
_BITS_PER_PIXEL = 0.1


@dataclass(frozen=True, slots=True)
class Film:
    """What a camera sends: size (w, h), at least 640 wide for the number, and pictures per second."""

    size: tuple[int, int]
    fps: int = 30

    def __str__(self) -> str:
        return f"{self.size[0]}x{self.size[1]} at {self.fps}"


def has_person() -> bool:
    """Whether the portrait is there to be put into the pictures."""
    try:
        portrait()
    except GuardianError:
        return False
    return True


def still(size: tuple[int, int]) -> Planes:
    """A room, with the portrait in its lower part where it can be had."""
    width, height = size
    rgb: U8 = cv2.resize(room(640, 480), size).astype(np.uint8, copy=False)
    if has_person():
        side = (height - timecode.ROWS) & ~1
        picture = cv2.resize(portrait(), (side, side), interpolation=cv2.INTER_AREA)
        x = (width - side) // 2
        rgb[height - side :, x : x + side] = picture
    return planes_from_rgb(np.ascontiguousarray(rgb))


def sway(number: int) -> int:
    """How far this picture is swayed: 0 up to SWAYS - 1 and back, for a jump would be a new scene."""
    at = number // 4 % (2 * SWAYS - 2)
    return min(at, 2 * SWAYS - 2 - at)


def pictures(film: Film) -> Iterator[av.VideoFrame]:
    """One loop of numbered pictures that sway by a few pixels, so that nothing stands still."""
    scene = still(film.size)
    for number in range(LOOP):
        luma = np.roll(scene.y, 2 * sway(number), axis=1)
        timecode.paint(luma, number)
        frame = av.VideoFrame(*film.size, "yuv420p")
        for index, plane in enumerate((luma, scene.u, scene.v)):
            writable_rows(frame, index)[:, : plane.shape[1]] = plane
        frame.pts, frame.time_base = number * VIDEO_CLOCK // film.fps, VIDEO_TIME_BASE
        yield frame


@lru_cache(maxsize=4)
def encoded_loop(film: Film) -> tuple[bytes, ...]:
    """LOOP numbered pictures as VP8, one packet each, a key frame every 60. Takes seconds the first time."""
    codec: Any = av.CodecContext.create("libvpx", "w")
    assert isinstance(codec, VideoCodecContext)
    codec.width, codec.height = film.size
    codec.pix_fmt, codec.time_base = "yuv420p", VIDEO_TIME_BASE
    codec.bit_rate = int(film.size[0] * film.size[1] * film.fps * _BITS_PER_PIXEL)
    codec.gop_size, codec.thread_count = _KEY_EVERY, 1
    codec.options = {"deadline": "realtime", "cpu-used": "-8", "lag-in-frames": "0"}
    packets = [bytes(packet) for frame in pictures(film) for packet in codec.encode(frame)]
    packets += [bytes(packet) for packet in codec.encode(None)]
    return tuple(packets)


@dataclass(slots=True)
class SentTimes:
    """Monotonic seconds when the picture with each number was handed over; 0 before the first time."""

    at: list[float]

    @classmethod
    def none(cls) -> SentTimes:
        """Nothing sent yet."""
        return cls([0.0] * LOOP)


class NumberedCamera(MediaStreamTrack):
    """Hands over the encoded loop by the wall clock and notes when."""

    kind = "video"

    def __init__(self, film: Film, sent: SentTimes) -> None:
        super().__init__()
        self._packets = encoded_loop(film)
        self._fps = film.fps
        self._sent = sent
        self._start: float | None = None
        self._count = 0

    async def recv(self) -> av.Packet[Any]:
        """The next picture's packet, when it is due."""
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        self._start = self._start or now
        await asyncio.sleep(max(0.0, self._start + self._count / self._fps - now))
        number = self._count % LOOP
        packet = av.Packet(self._packets[number])
        packet.pts, packet.time_base = self._count * VIDEO_CLOCK // self._fps, VIDEO_TIME_BASE
        self._sent.at[number] = time.monotonic()
        self._count += 1
        return packet
