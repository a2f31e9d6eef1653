"""Voices that say the lines of a role again and again: spoken as they go, or encoded before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av.audio.codeccontext import AudioCodecContext

from guardian.core.frames import I16
from guardian.core.violations import Role
from guardian.demo.voices import RATE, Line, english_lines

_PIECE = RATE // 50
_TIME_BASE = Fraction(1, RATE)
_BITRATE = 32_000


def spoken(role: Role, lines: Sequence[Line]) -> I16:
    """Whole pieces of 20 ms, int16 mono at 48 kHz: the lines of a role and quiet room noise between."""
    length = max(line.t_end for line in lines) + 1.0
    sound: I16 = np.random.default_rng(1).normal(0, 8, int(length * 50) * _PIECE).astype(np.int16)
    for line in lines:
        if line.role is role:
            at = int(line.t_start * RATE)
            sound[at : at + len(line.samples)] += line.samples
    return sound


@lru_cache(maxsize=2)
def packed(role: Role) -> tuple[bytes, ...]:
    """The English lines of a role as Opus, a packet for each piece."""
    codec: Any = av.CodecContext.create("libopus", "w")
    assert isinstance(codec, AudioCodecContext)
    codec.sample_rate, codec.layout, codec.format = RATE, "mono", "s16"
    codec.bit_rate = _BITRATE
    codec.options = {"application": "voip"}
    sound = spoken(role, english_lines())
    pieces = [_frame(sound[at : at + _PIECE], at) for at in range(0, len(sound), _PIECE)]
    return tuple(bytes(packet) for piece in pieces for packet in codec.encode(piece))


class Mouth(MediaStreamTrack):
    """Speaks by the wall clock, to be encoded by the peer."""

    kind = "audio"

    def __init__(self, role: Role, lines: Sequence[Line]) -> None:
        super().__init__()
        self._sound = spoken(role, lines)
        self._paced = _Paced()

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        at = await self._paced.due() * _PIECE
        within = at % len(self._sound)
        return _frame(self._sound[within : within + _PIECE], at)


class PackedMouth(MediaStreamTrack):
    """Speaks by the wall clock what was encoded before."""

    kind = "audio"

    def __init__(self, role: Role) -> None:
        super().__init__()
        self._packets = packed(role)
        self._paced = _Paced()

    async def recv(self) -> av.Packet[Any]:
        if self.readyState != "live":
            raise MediaStreamError
        number = await self._paced.due()
        packet = av.Packet(self._packets[number % len(self._packets)])
        packet.pts, packet.time_base = number * _PIECE, _TIME_BASE
        return packet


class _Paced:
    """Counts pieces by the wall clock."""

    def __init__(self) -> None:
        self._start: float | None = None
        self._count = 0

    async def due(self) -> int:
        """The number of the next piece, when it is due."""
        now = time.monotonic()
        self._start = self._start or now
        await asyncio.sleep(max(0.0, self._start + self._count * _PIECE / RATE - now))
        self._count += 1
        return self._count - 1


def _frame(samples: I16, at: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "s16", "mono")
    frame.sample_rate, frame.pts, frame.time_base = RATE, at, _TIME_BASE
    return frame
