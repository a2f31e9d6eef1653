"""H.264 constrained baseline at the speed of a live call, for those who do not speak VP8.

aiortc's encoder takes x264's preset "medium" and all threads, a key frame every 12 pictures, and counts time
in thirtieths of a second.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
from aiortc.codecs.h264 import H264Encoder

_CLOCK = Fraction(1, 90_000)
_PRESET = "superfast"
_BUFFER_S = 0.6
_PEAK = 1.2
"""Times the rate it is opened for that a codec may be told to go up to; and down to half of it."""
_LEAST = 0.5
_RATES = (15, 30, 60)
_LEVELS = ((1_620, 40_500, "30"), (3_600, 108_000, "31"), (5_120, 216_000, "32"), (8_192, 245_760, "40"))
"""Macroblocks of a picture and per second that a level allows (ITU-T H.264, table A-1)."""
_HIGHEST_LEVEL = "42"


class H264:
    """An encoder and packetizer (RFC 6184, mode 1) for one outgoing stream, whoever encoded it."""

    def __init__(self) -> None:
        self.codec: av.VideoCodecContext | None = None
        self._opened_for = (0, 0)

    def encode(self, picture: av.VideoFrame, bits_per_s: int, interval_s: float) -> list[av.Packet[Any]]:
        """One picture (yuv420p). The rate of the open codec is changed where x264 can follow."""
        per_s = min(_RATES, key=lambda rate: abs(rate - 1 / interval_s))
        codec = self.codec
        if codec is None or not self._follows(picture, bits_per_s, per_s):
            self.codec = codec = _opened(picture.width, picture.height, bits_per_s, per_s)
            self._opened_for = (bits_per_s, per_s)
        codec.bit_rate = bits_per_s
        return codec.encode(picture)

    def _follows(self, picture: av.VideoFrame, bits_per_s: int, per_s: int) -> bool:
        codec, (opened_bits, opened_per_s) = self.codec, self._opened_for
        return (
            codec is not None
            and (codec.width, codec.height, opened_per_s) == (picture.width, picture.height, per_s)
            and _LEAST * opened_bits <= bits_per_s <= _PEAK * opened_bits
        )

    def payloads(self, data: bytes) -> list[bytes]:
        """One encoded picture (Annex B) as RTP payloads."""
        return H264Encoder._packetize(H264Encoder._split_bitstream(data))


def _opened(width: int, height: int, bits_per_s: int, per_s: int) -> av.VideoCodecContext:
    codec = av.CodecContext.create("libx264", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.time_base, codec.framerate = _CLOCK, Fraction(per_s)
    codec.bit_rate = bits_per_s
    codec.gop_size = 3000
    codec.thread_count = 1
    codec.max_b_frames = 0
    codec.options = {
        "profile": "baseline",
        "preset": _PRESET,
        "tune": "zerolatency",
        "level": _level(width, height, per_s),
        "maxrate": str(round(bits_per_s * _PEAK)),
        "bufsize": str(round(bits_per_s * _BUFFER_S)),
        "forced-idr": "1",
        "sc_threshold": "0",
    }
    return codec


def _level(width: int, height: int, per_s: int) -> str:
    blocks = -(-width // 16) * -(-height // 16)
    fitting = (name for most, most_per_s, name in _LEVELS if blocks <= most and blocks * per_s <= most_per_s)
    return next(fitting, _HIGHEST_LEVEL)
