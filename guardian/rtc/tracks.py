"""Outgoing tracks. Their `recv` raises nothing but MediaStreamError: aiortc ends a sender silently
when its track throws anything else, so sources are awaited behind a guard.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from fractions import Fraction

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from guardian.core.frames import SafeFrame
from guardian.rtc.compat import Ticket
from guardian.rtc.convert import VIDEO_CLOCK, VIDEO_TIME_BASE, picture_of

AUDIO_RATE = 48_000
AUDIO_SAMPLES = 960
_QUIET_S = 0.2
"""Without sound from the source for this long, silence is sent so that the stream stays alive."""

SafeSource = Callable[[], Awaitable[SafeFrame]]
"""Waits for the next picture that may leave; bounded waits, never raises while the call lives."""
RelaySource = Callable[[float], Awaitable[av.VideoFrame]]
"""Waits (seconds) for the next picture of the merchant's camera; TimeoutError."""
VoiceSource = Callable[[float], Awaitable[av.AudioFrame]]
"""Waits (seconds) for the next piece of the other voice; TimeoutError."""
SentAccount = Callable[[SafeFrame, float, float], None]
"""Told from the encoder thread: picture, encode time in ms, monotonic seconds when done."""


class _WallClock:
    """Timestamps by the wall, strictly increasing."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._start = time.monotonic()
        self._last = -1

    def stamp(self) -> int:
        now = int((time.monotonic() - self._start) * self._rate)
        self._last = max(now, self._last + 1)
        return self._last


class SafeVideoTrack(MediaStreamTrack):
    """The shopper's picture on its way to the merchant. Takes `SafeFrame` and nothing else."""

    kind = "video"

    def __init__(self, source: SafeSource, sent: SentAccount) -> None:
        super().__init__()
        self._source = source
        self._sent = sent
        self._clock = _WallClock(VIDEO_CLOCK)

    async def recv(self) -> av.VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        safe = await self._source()
        frame = picture_of(safe, self._clock.stamp())
        frame.opaque = Ticket(lambda encode_ms, done: self._sent(safe, encode_ms, done))
        return frame


class RelayVideoTrack(MediaStreamTrack):
    """The merchant's picture on its way to the shopper: needs no cover."""

    kind = "video"

    def __init__(self, source: RelaySource) -> None:
        super().__init__()
        self._source = source
        self._clock = _WallClock(VIDEO_CLOCK)

    async def recv(self) -> av.VideoFrame:
        while self.readyState == "live":
            try:
                frame = await self._source(1.0)
            except TimeoutError:
                continue
            frame.pts = self._clock.stamp()
            frame.time_base = VIDEO_TIME_BASE
            return frame
        raise MediaStreamError


class VoiceTrack(MediaStreamTrack):
    """One voice on its way to the other leg, untouched; silence where there is none."""

    kind = "audio"

    def __init__(self, source: VoiceSource) -> None:
        super().__init__()
        self._source = source
        self._start: float | None = None
        self._next_pts = 0

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        try:
            frame = await self._source(_QUIET_S)
        except TimeoutError:
            frame = _silence()
        return self._stamped(frame)

    def _stamped(self, frame: av.AudioFrame) -> av.AudioFrame:
        now = time.monotonic()
        if self._start is None:
            self._start = now
        by_wall = int((now - self._start) * frame.sample_rate)
        # Pieces follow each other without a seam; after a pause the wall clock decides.
        if by_wall - self._next_pts > frame.sample_rate // 10:
            self._next_pts = by_wall
        frame.pts = self._next_pts
        frame.time_base = Fraction(1, frame.sample_rate)
        self._next_pts += frame.samples
        return frame


def _silence() -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.zeros((1, AUDIO_SAMPLES * 2), np.int16), "s16", "stereo")
    frame.sample_rate = AUDIO_RATE
    return frame


async def next_frame(track: MediaStreamTrack, timeout_s: float) -> av.VideoFrame | av.AudioFrame:
    """The next decoded frame of an incoming track. TimeoutError; MediaStreamError at its end."""
    async with asyncio.timeout(timeout_s):
        frame = await track.recv()
    if not isinstance(frame, av.VideoFrame | av.AudioFrame):
        raise MediaStreamError
    return frame
