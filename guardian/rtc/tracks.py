"""Outgoing tracks. Their `recv` raises nothing but MediaStreamError: aiortc ends a sender silently
when its track throws anything else, so sources are awaited behind a guard.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from fractions import Fraction
from typing import Any

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from guardian.core.frames import SafeFrame
from guardian.rtc.compat import EncodedFrame, Ticket
from guardian.rtc.convert import VIDEO_CLOCK, picture_of
from guardian.rtc.relay import VideoRelay

AUDIO_RATE = 48_000
AUDIO_SAMPLES = 960
_QUIET_S = 0.2
"""Without sound from the source for this long, silence is sent so that the stream stays alive."""
_SILENCE = b"\xf8\xff\xfe"
"""20 ms of silence in Opus (RFC 6716): one CELT frame of nothing."""
_JUMP_S = 2.0

SafeSource = Callable[[], Awaitable[SafeFrame]]
"""Waits for the next picture that may leave; bounded waits, never raises while the call lives."""
VoiceSource = Callable[[float], Awaitable[EncodedFrame]]
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


class _SourceClock:
    """Timestamps as the source has them, moved to the wall clock where a stream begins or jumps."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._start = time.monotonic()
        self._offset: int | None = None
        self._last = -1

    def stamp(self, timestamp: int) -> int:
        now = int((time.monotonic() - self._start) * self._rate)
        if self._offset is None or abs(timestamp + self._offset - now) > _JUMP_S * self._rate:
            self._offset = max(now, self._last + 1) - timestamp
        self._last = timestamp + self._offset
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
    """The merchant's picture on its way to the shopper: needs no cover and stays encoded."""

    kind = "video"

    def __init__(self, relay: VideoRelay) -> None:
        super().__init__()
        self._relay = relay
        self._clock = _SourceClock(VIDEO_CLOCK)
        self._codec = ""

    def negotiated(self, codec: str) -> None:
        """Told by the sender what the other side was promised."""
        self._codec = codec
        self._relay.restart()

    def key_frame_wanted(self) -> None:
        """Told by the sender that the other side asks for a key frame."""
        self._relay.ask()

    async def recv(self) -> av.Packet[Any]:
        while self.readyState == "live":
            try:
                frame = await self._relay.get(1.0)
            except TimeoutError:
                continue
            if frame.codec == self._codec:
                return _packet(frame, self._clock.stamp(frame.timestamp))
        raise MediaStreamError


class VoiceTrack(MediaStreamTrack):
    """One voice on its way to the other leg, untouched and still encoded; silence where there is none."""

    kind = "audio"

    def __init__(self, source: VoiceSource) -> None:
        super().__init__()
        self._source = source
        self._clock = _SourceClock(AUDIO_RATE)
        self._quiet = _WallClock(AUDIO_RATE)

    async def recv(self) -> av.Packet[Any]:
        if self.readyState != "live":
            raise MediaStreamError
        try:
            frame = await self._source(_QUIET_S)
        except TimeoutError:
            frame = _silence(self._quiet.stamp())
        return _packet(frame, self._clock.stamp(frame.timestamp))


def _packet(frame: EncodedFrame, pts: int) -> av.Packet[Any]:
    packet: av.Packet[Any] = av.Packet(frame.data)
    packet.pts = pts
    packet.time_base = Fraction(1, frame.clock_rate)
    return packet


def _silence(timestamp: int) -> EncodedFrame:
    return EncodedFrame("opus", _SILENCE, timestamp, AUDIO_RATE, True, False, time.monotonic())


async def next_frame(track: MediaStreamTrack, timeout_s: float) -> av.VideoFrame | av.AudioFrame:
    """The next decoded frame of an incoming track. TimeoutError; MediaStreamError at its end."""
    async with asyncio.timeout(timeout_s):
        frame = await track.recv()
    if not isinstance(frame, av.VideoFrame | av.AudioFrame):
        raise MediaStreamError
    return frame
