"""A camera that encodes while it sends, as a bad network makes it: key frames when asked for, fewer bits.

Its pictures carry a number, and in the room beside the person a canary that must not arrive.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from guardian.bench import timecode
from guardian.bench.camera import LOOP, SWAYS, Film, SentTimes, still, sway
from guardian.bench.pair import number_of
from guardian.core.canary import BLOCK, Canary
from guardian.rtc.compat import stamp_of
from guardian.rtc.convert import VIDEO_CLOCK, VIDEO_TIME_BASE, planes_of, writable_rows

_STRENGTH = 22.0
_MARGIN = 48
"""Pixels beside the person in which the cover may still be growing or shrinking."""
_MISTAKEN = 3
"""Blocks of a picture decoded after a loss that may look like the canary without being it: a decoder that
lacks something paints checks of its own (docs/decisions/0154). What is not covered shows dozens."""


class LiveCamera(MediaStreamTrack):
    """Numbered pictures by the wall clock, to be encoded by the peer."""

    kind = "video"

    def __init__(self, film: Film, sent: SentTimes) -> None:
        super().__init__()
        self._film = film
        self._sent = sent
        self._start: float | None = None
        self._count = 0
        self._still = still(film.size)
        canary = Canary.of_size(*film.size)
        where = np.kron(searchable(film.size), np.ones((BLOCK, BLOCK), np.bool_))
        self._lumas = []
        for step in range(SWAYS):
            luma = np.roll(self._still.y, 2 * step, axis=1)
            part = luma[: where.shape[0], : where.shape[1]]
            painted = canary.painted(luma, _STRENGTH)[: where.shape[0], : where.shape[1]]
            part[where] = painted[where]
            self._lumas.append(luma)

    async def recv(self) -> av.VideoFrame:
        """The next picture, when it is due."""
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        self._start = self._start or now
        await asyncio.sleep(max(0.0, self._start + self._count / self._film.fps - now))
        number = self._count % LOOP
        frame = av.VideoFrame(*self._film.size, "yuv420p")
        luma = writable_rows(frame, 0)[:, : self._film.size[0]]
        luma[:] = self._lumas[sway(number)]
        timecode.paint(luma, number)
        for index, plane in ((1, self._still.u), (2, self._still.v)):
            writable_rows(frame, index)[:, : plane.shape[1]] = plane
        frame.pts, frame.time_base = self._count * VIDEO_CLOCK // self._film.fps, VIDEO_TIME_BASE
        self._sent.at[number] = time.monotonic()
        self._count += 1
        return frame


def searchable(size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Blocks that show nothing but the room: below the number, well beside the person.

    bool (h // BLOCK, w // BLOCK).
    """
    width, height = size
    side = height - timecode.ROWS
    left, right = (width - side) // 2 - _MARGIN, (width + side) // 2 + _MARGIN + 2 * SWAYS
    columns = np.arange(width // BLOCK) * BLOCK
    rows = np.arange(height // BLOCK) * BLOCK >= timecode.ROWS
    beside = (columns + BLOCK <= left) | (columns >= right)
    return np.asarray(rows[:, None] & beside[None, :], np.bool_)


@dataclass(slots=True)
class Seen:
    """What a peer saw of a `LiveCamera`: pictures with numbers, those without, and the canary."""

    film: Film
    sent: SentTimes
    first: asyncio.Event = field(default_factory=asyncio.Event)
    new_at: list[float] = field(default_factory=list)
    """Monotonic seconds at which a picture with another number than the one before came."""
    delay_ms: list[float] = field(default_factory=list)
    """By new picture."""
    pictures: int = 0
    uncovered: int = 0
    """Pictures in which a block of the canary was found; more than a few, where the picture is damaged."""
    damaged: int = 0
    """Pictures that are not whole: something they are decoded from was lost on the way here."""
    _last: int | None = None

    def __post_init__(self) -> None:
        self._canary = Canary.of_size(*self.film.size)
        self._where = searchable(self.film.size)

    _canary: Canary = field(init=False)
    _where: npt.NDArray[np.bool_] = field(init=False)

    def take(self, frame: Any, now: float) -> None:
        """The next picture, which came at `now`."""
        self.pictures += 1
        planes = planes_of(frame)
        stamp = stamp_of(frame)
        damaged = stamp is not None and not stamp.whole
        self.damaged += damaged
        found = self._canary.blocks_seen(planes.y, self._where)
        self.uncovered += found > (_MISTAKEN if damaged else 0)
        number = number_of(frame, self.film.size[0])
        if number is None or number == self._last:
            return
        self._last = number
        self.first.set()
        self.new_at.append(now)
        self.delay_ms.append((now - self.sent.at[number]) * 1000)


def frozen_s(new_at: list[float], since: float, until: float) -> float:
    """Seconds frozen between two monotonic seconds, by the definition of WebRTC's statistics.

    A time between two pictures is a freeze when it is longer than both three times the average of the 30
    before it and that average plus 150 ms (totalFreezesDuration, W3C "Identifiers for WebRTC's
    Statistics API"). The last picture counts as followed by one at `until`.
    """
    frozen = 0.0
    before: list[float] = []
    times = [t for t in new_at if t < until]
    for earlier, later in zip(times, [*times[1:], until], strict=True):
        gap = later - earlier
        average = float(np.mean(before)) if before else gap
        inside = later - max(earlier, since)
        if gap > max(3 * average, average + 0.15) and inside > 0:
            frozen += inside
        before = [*before[-29:], gap]
    return frozen
