"""Outgoing video. What a source raises ends no stream: the sender counts it and asks again."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Awaitable, Callable
from fractions import Fraction
from functools import partial
from typing import Any

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from guardian.core.evidence_ports import PictureKeeper
from guardian.core.frames import SafeFrame
from guardian.core.recording import SentPicture
from guardian.rtc.compat import EncodedFrame, Ticket
from guardian.rtc.convert import VIDEO_CLOCK, VIDEO_TIME_BASE, picture_of
from guardian.rtc.relay import VideoRelay
from guardian.rtc.transcoding import Transcoder

logger = logging.getLogger(__name__)

_WAIT_S = 1.0
_OF_THESE_ONE = 3
"""So many decoded pictures become one sent while newer ones wait."""
_JUMP_S = 2.0
"""A step that differs from the time that passed by more than this begins a stream of its own."""

SafeSource = Callable[[], Awaitable[SafeFrame]]
"""Waits for the next picture that may leave; bounded waits, never raises while the call lives."""
SentAccount = Callable[[SafeFrame, float, float], None]
"""Told from the encoder thread: picture, encode time in ms, monotonic seconds when done."""

_numbers = itertools.count()


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
    """Timestamps as the source has them, moved to the wall clock where a stream begins or jumps.

    The source may run off the wall's clock: only a step that no time explains is a jump.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._start = time.monotonic()
        self._offset: int | None = None
        self._before = (0, 0)
        self._last = -1

    def begin(self) -> None:
        """The next timestamp is of another stream."""
        self._offset = None

    def stamp(self, timestamp: int) -> int:
        now = int((time.monotonic() - self._start) * self._rate)
        step, passed = timestamp - self._before[0], now - self._before[1]
        self._before = (timestamp, now)
        jumped = abs(step - passed) > _JUMP_S * self._rate
        if self._offset is None or jumped or timestamp + self._offset <= self._last:
            self._offset = max(now, self._last + 1) - timestamp
        self._last = timestamp + self._offset
        return self._last


class SafeVideoTrack(MediaStreamTrack):
    """The shopper's picture on its way to the merchant. Takes `SafeFrame` and nothing else."""

    kind = "video"

    def __init__(self, source: SafeSource, sent: SentAccount, keeper: PictureKeeper | None = None) -> None:
        super().__init__()
        self._source = source
        self._sent = sent
        self._keeper = keeper
        self._number = next(_numbers)
        self._clock = _WallClock(VIDEO_CLOCK)

    @property
    def key_frame_every_s(self) -> float:
        """Asked by the sender: the longest time there may be between key frames; 0: any."""
        return self._keeper.key_every_s if self._keeper is not None else 0.0

    async def recv(self) -> av.VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        safe = await self._source()
        frame = picture_of(safe, self._clock.stamp())
        encoded = partial(self._keep, self._keeper, safe) if self._keeper is not None else None
        frame.opaque = Ticket(lambda encode_ms, done: self._sent(safe, encode_ms, done), encoded)
        return frame

    def _keep(self, keeper: PictureKeeper, safe: SafeFrame, codec: str, data: bytes, key: bool) -> None:
        keeper.sent(safe, SentPicture(codec, data, key, self._number))


class RelayVideoTrack(MediaStreamTrack):
    """The merchant's picture on its way to the shopper: needs no cover and stays encoded."""

    kind = "video"

    def __init__(self, relay: VideoRelay) -> None:
        super().__init__()
        self.transcoded = 0
        """Pictures that had to be encoded anew, as the two legs have no codec in common."""
        self._relay = relay
        self._transcoder = Transcoder()
        self._clock = _SourceClock(VIDEO_CLOCK)
        self._source = relay.source
        self._skipped_before = relay.skipped
        self._codec = ""
        self._passed_over = 0

    def negotiated(self, codec: str) -> None:
        """Told by the sender what the other side was promised."""
        self._codec = codec
        self._relay.hand_to(self)

    def key_frame_wanted(self) -> None:
        """Told by the sender that the other side asks for a key frame."""
        self._relay.ask()

    def counts(self) -> dict[str, int]:
        """Pictures encoded anew, and those that were not sent on."""
        return {"transcoded": self.transcoded, "skipped": self._relay.skipped - self._skipped_before}

    async def recv(self) -> av.Packet[Any] | av.VideoFrame:
        while self.readyState == "live":
            try:
                frame = await self._relay.get(self, _WAIT_S)
            except TimeoutError:
                continue
            if self.readyState != "live":
                break  # Stopped meanwhile: a transcoder opened now would have nobody to close it.
            if frame.codec == self._codec:
                return _packet(frame, self._stamp(frame))
            picture = await self._transcode(frame)
            if picture is not None and not self._passes_over():
                return picture
        raise MediaStreamError

    async def _transcode(self, frame: EncodedFrame) -> av.VideoFrame | None:
        try:
            picture = await self._transcoder.picture(frame)
        except (av.FFmpegError, TimeoutError):
            self._relay.hand_to(self)
            return None
        if picture is None:
            return None
        if not self.transcoded:
            logger.warning("video is encoded anew", extra={"source": frame.codec, "wanted": self._codec})
        self.transcoded += 1
        picture.pts, picture.time_base = self._stamp(frame), VIDEO_TIME_BASE
        return picture

    def _passes_over(self) -> bool:
        """Whether a decoded picture is left out, as newer ones wait: encoding is what takes long."""
        self._passed_over = self._passed_over + 1 if self._relay.waiting else 0
        return self._passed_over % _OF_THESE_ONE != 0

    def _stamp(self, frame: EncodedFrame) -> int:
        if self._relay.source != self._source:
            self._source = self._relay.source
            self._clock.begin()
        return self._clock.stamp(frame.timestamp)

    def stop(self) -> None:
        """Ends the track and its thread."""
        super().stop()
        self._transcoder.close()


def _packet(frame: EncodedFrame, pts: int) -> av.Packet[Any]:
    packet: av.Packet[Any] = av.Packet(frame.data)
    packet.pts = pts
    packet.time_base = Fraction(1, frame.clock_rate)
    return packet
