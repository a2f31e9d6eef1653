"""VP8 encoding at the speed of a live call.

aiortc's encoder opens libvpx with noise filtering and a slow preset, with as many threads as the machine has
cores, whatever the cgroup, and with a buffer of a second, which key frames use up.
"""

from __future__ import annotations

import os
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

_CLOCK = Fraction(1, 90_000)
_SPEED = "-10"
"""libvpx's cpu-used. Below -12 its rate control breaks."""
_SAME = "400"
"""Squared difference of a block of 256 pixels, in all, below which it is not sent anew: 1.25 levels a pixel.
Takes a third off a picture's time and 1.4 dB off its 52 (1280x720, 2 Mbit/s); 1000 takes half and 4 dB."""
_BUFFER_S = 0.6
_LARGE = 1280 * 960
_CORES_FOR_TWO = 4
MAX_PAYLOAD = 1180
"""Bytes of a packet's payload: with all headers, SRTP and TURN it fits a path of 1280 bytes (RFC 8200)."""
_ID_VALUES = 1 << 15


def usable_cores() -> float:
    """Cores this process may use: those it is bound to, or less by the cgroup's quota."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        return min(float(bound), int(quota) / int(period))
    except (OSError, ValueError):  # No cgroup v2, or `max`.
        return float(bound)


class Vp8:
    """An encoder and packetizer (RFC 7741) for one outgoing stream, whoever encoded it."""

    def __init__(self) -> None:
        self.codec: av.VideoCodecContext | None = None
        self._picture_id = random.randrange(_ID_VALUES)

    def encode(self, picture: av.VideoFrame, bits_per_s: int, _interval_s: float) -> list[av.Packet[Any]]:
        """One picture (yuv420p). A change of size or rate opens the codec anew and gives a key frame."""
        codec = self.codec
        # libvpx could be told of a new rate, but FFmpeg (8.1) does not pass it on.
        if codec is None or (codec.width, codec.height, codec.bit_rate) != (
            picture.width,
            picture.height,
            bits_per_s,
        ):
            self.codec = codec = _opened(picture.width, picture.height, bits_per_s)
        return codec.encode(picture)

    def payloads(self, data: bytes) -> list[bytes]:
        """One encoded picture as RTP payloads. Picture ids go on, whoever encoded it."""
        self._picture_id = (self._picture_id + 1) % _ID_VALUES
        first = b"\x90\x80" + (0x8000 | self._picture_id).to_bytes(2, "big")
        other = b"\x80" + first[1:]
        room = MAX_PAYLOAD - len(first)
        pieces = [other + data[at : at + room] for at in range(0, len(data), room)]
        if pieces:
            pieces[0] = first + pieces[0][len(first) :]
        return pieces


def _opened(width: int, height: int, bits_per_s: int) -> av.VideoCodecContext:
    codec = av.CodecContext.create("libvpx", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    # Without a frame rate libvpx believes in the clock's and gives the first key frame nothing.
    codec.time_base, codec.framerate = _CLOCK, Fraction(30)
    codec.bit_rate = bits_per_s
    codec.gop_size = 3000
    codec.qmin, codec.qmax = 2, 56
    codec.thread_count = 2 if width * height > _LARGE and usable_cores() >= _CORES_FOR_TWO else 1
    codec.options = {
        "bufsize": str(round(bits_per_s * _BUFFER_S)),
        "minrate": str(bits_per_s),
        "maxrate": str(bits_per_s),
        "deadline": "realtime",
        "lag-in-frames": "0",
        "cpu-used": _SPEED,
        "noise-sensitivity": "0",
        "static-thresh": _SAME,
        "overshoot-pct": "15",
        "undershoot-pct": "100",
        "partitions": "0",
    }
    return codec
