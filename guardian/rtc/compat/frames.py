"""What rides along with media through aiortc: arrival, wholeness, and word of what was encoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import av
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from guardian.core.frames import MOST_PIXELS

_IDR = 5
_SPS = 7
_DELIMITER = 9
_STAP_A = 24


@dataclass(frozen=True, slots=True)
class Ticket:
    """Rides on an outgoing picture, and is called from the encoder thread when it is encoded.

    sent: (milliseconds it took, monotonic seconds when done). encoded: (codec, data, whether it is a key
    frame), for whoever keeps it.
    """

    sent: Callable[[float, float], None]
    encoded: Callable[[str, bytes, bool], None] | None = None


@dataclass(frozen=True, slots=True)
class Stamp:
    """Rides on a received picture.

    arrived: monotonic seconds when its last packet was in. whole: whether everything it is decoded
    from was received and could be decoded.
    """

    arrived: float
    whole: bool


def stamp_of(frame: av.VideoFrame) -> Stamp | None:
    """The stamp of a received picture; None if it has none."""
    stamp = frame.opaque
    return stamp if isinstance(stamp, Stamp) else None


class StampedFrame(JitterFrame):
    """An encoded picture out of the jitter buffer, with its arrival."""

    def __init__(self, data: bytes, timestamp: int, arrived: float) -> None:
        super().__init__(data, timestamp)
        self.arrived = arrived
        self.codec: RTCRtpCodecParameters | None = None
        self.after_loss = False
        """Whether packets before it were given up."""

    def encoded(self, codec: str, clock_rate: int) -> EncodedFrame:
        """The same, to be passed on."""
        key = is_key_frame(codec, self.data)
        return EncodedFrame(codec, self.data, self.timestamp, clock_rate, key, self.after_loss, self.arrived)


class SoundFrame(JitterFrame):
    """An encoded piece of sound out of the jitter buffer; what it says of itself is in `EncodedFrame`."""

    def __init__(self, data: bytes, timestamp: int, arrived: float) -> None:
        super().__init__(data, timestamp)
        self.arrived = arrived
        self.stream = self.ticks = self.lost = 0

    def encoded(self, codec: str, clock_rate: int) -> EncodedFrame:
        """The same, to be passed on."""
        return EncodedFrame(
            codec,
            self.data,
            self.timestamp,
            clock_rate,
            key=True,
            after_loss=self.lost > 0,
            arrived=self.arrived,
            stream=self.stream,
            ticks=self.ticks,
            lost=self.lost,
        )


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """A received frame, complete and in order, not decoded.

    codec: `VP8`, `H264` or `opus`. timestamp: ticks of clock_rate since the stream's first frame,
    without wraps. key: needs no other frame. after_loss: something before it was given up.
    arrived: monotonic seconds. Of sound only: stream differs where timestamps have nothing to do with those
    before; ticks is how long the sound lasts; lost is how much of what should be just before it was given up.
    """

    codec: str
    data: bytes
    timestamp: int
    clock_rate: int
    key: bool
    after_loss: bool
    arrived: float
    stream: int = 0
    ticks: int = 0
    lost: int = 0

    @property
    def seconds(self) -> float:
        """How long the sound lasts."""
        return self.ticks / self.clock_rate

    @property
    def lost_s(self) -> float:
        """Seconds of sound just before this that were given up."""
        return self.lost / self.clock_rate


def is_key_frame(codec: str, data: bytes) -> bool:
    """Whether an encoded frame needs no other: VP8 (RFC 6386, 9.1), H.264 (an IDR picture from its top)."""
    if codec == "VP8":
        return len(data) >= 10 and not data[0] & 1 and data[3:6] == b"\x9d\x01\x2a"
    # The first bit after the header of a slice is 1 where its first macroblock is number 0.
    return any(
        len(unit) > 1 and unit[0] & 0x1F == _IDR and unit[1] & 0x80 for unit in data.split(b"\x00\x00\x01")
    )


def refuse_giant(codec: str, data: bytes) -> None:
    """ValueError for a VP8 key frame of more than MOST_PIXELS (RFC 6386, 9.1).

    libvpx makes room before FFmpeg learns of the size; decoders of FFmpeg's own are told `max_pixels`.
    """
    if codec == "VP8" and is_key_frame(codec, data):
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        if width * height > MOST_PIXELS:
            raise ValueError("the picture is larger than any that is decoded")


def begins_frame(codec: str, payload: bytes) -> bool:
    """Whether an RTP payload is certainly the first of its frame.

    VP8: the start of the first partition (RFC 7741, 4.2). H.264: parameters or a delimiter, which come
    before the slices of a key frame (RFC 6184, 5.6 and 5.7.1); other frames do not tell.
    """
    if codec == "VP8":
        return bool(payload) and payload[0] & 0x17 == 0x10
    if len(payload) < 4:
        return False
    unit = payload[3] if payload[0] & 0x1F == _STAP_A else payload[0]
    return unit & 0x1F in (_SPS, _DELIMITER)


def vp8_body(payload: bytes) -> bytes:
    """What a VP8 payload (not empty) carries of its frame: all behind the descriptor (RFC 7741, 4.2).

    ValueError when it ends within the descriptor. Does what `aiortc.codecs.depayload` does, without
    making objects of what nobody asks for.
    """
    at = 1
    if payload[0] & 0x80:
        try:
            extended = payload[1]
            at = 2
            if extended & 0x80:
                at += 2 if payload[2] & 0x80 else 1
        except IndexError as error:
            raise ValueError("the VP8 descriptor is cut") from error
        at += (extended >> 6 & 1) + bool(extended & 0x30)
        if len(payload) < at:
            raise ValueError("the VP8 descriptor is cut")
    return payload[at:]
