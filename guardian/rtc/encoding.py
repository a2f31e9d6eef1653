"""Encoding one outgoing video stream: pictures of any size and pace into what the network can take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol

import av
from av.video.frame import PictureType
from av.video.reformatter import Interpolation, VideoReformatter

from guardian.rtc.h264 import H264
from guardian.rtc.shape import ShapePlan, Supply
from guardian.rtc.vp8 import Vp8

_CLOCK = 90_000
_SHORTEST_S, _LONGEST_S = 1 / 120, 0.5
_SMOOTH = 0.1


class Codec(Protocol):
    """`Vp8` or `H264`."""

    codec: av.VideoCodecContext | None

    def encode(self, picture: av.VideoFrame, bits_per_s: int, interval_s: float) -> list[av.Packet[Any]]: ...

    def payloads(self, data: bytes) -> list[bytes]: ...


@dataclass(frozen=True, slots=True)
class Order:
    """How to encode a picture: bits per second aimed at and lately used, and whether as a key frame."""

    bits_per_s: int
    used: int
    key: bool


@dataclass(frozen=True, slots=True)
class Encoded:
    """One encoded picture. timestamp: 1/90000 s."""

    data: bytes
    timestamp: int
    key: bool


class VideoEncoding:
    """One stream's encoder. `encode` is for the encoder thread, `payloads` for whoever sends; not at once."""

    def __init__(self, codec_name: str) -> None:
        self._codec: Codec = Vp8() if codec_name == "VP8" else H264()
        self._shapes = ShapePlan()
        self._reformatter = VideoReformatter()
        self._interval_s = 1 / 30
        self._last: float | None = None
        self._count = 0

    def encode(self, picture: av.VideoFrame, order: Order) -> Encoded | None:
        """Encodes a picture; None when it is left out for want of bits. av.FFmpegError."""
        assert picture.pts is not None
        assert picture.time_base is not None
        at = float(picture.pts * picture.time_base)
        self._measure_interval(at)
        supply = Supply(order.bits_per_s, order.used, self._interval_s)
        shape = self._shapes.shape((picture.width, picture.height), supply, time.monotonic())
        self._count += 1
        if not order.key and self._count % shape.every:
            return None
        if (picture.format.name, picture.width, picture.height) != ("yuv420p", shape.width, shape.height):
            picture = self._reformatter.reformat(
                picture, shape.width, shape.height, "yuv420p", interpolation=Interpolation.BILINEAR
            )
        picture.pict_type = PictureType.I if order.key else PictureType.NONE
        packets = self._codec.encode(picture, order.bits_per_s, self._interval_s)
        data = b"".join(bytes(packet) for packet in packets)
        if not data:
            return None
        return Encoded(data, round(at * _CLOCK), any(packet.is_keyframe for packet in packets))

    def payloads(self, data: bytes) -> list[bytes]:
        """An encoded picture of this codec, ours or another's, as RTP payloads."""
        return self._codec.payloads(data)

    def restart(self) -> None:
        """Begins anew, with a key frame; what receivers count goes on."""
        self._codec.codec = None

    def _measure_interval(self, at: float) -> None:
        if self._last is not None:
            passed = min(max(at - self._last, _SHORTEST_S), _LONGEST_S)
            self._interval_s += _SMOOTH * (passed - self._interval_s)
        self._last = at
