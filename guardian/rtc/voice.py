"""A voice on its way to the other leg: as it came, still encoded, with its gaps, and never late for long."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from fractions import Fraction
from typing import Any

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from guardian.rtc.compat import EncodedFrame
from guardian.rtc.opus import OPUS_CLOCK, SILENCE, SILENCE_TICKS

VoiceSource = Callable[[float], Awaitable[EncodedFrame]]
"""Waits (seconds) for the next piece of the other voice; TimeoutError."""

QUIET_S = 0.5
"""Without a piece for this long the stream is kept alive with silence. A silent sender's own pieces come
every 0.4 s (Opus DTX)."""

_TIME_BASE = Fraction(1, OPUS_CLOCK)
_BEHIND_S = 0.1
"""How far silence stays behind the voice's own time, so that the voice can come back a little late."""
_STALE_S = 0.3
"""Pieces later than this against the earliest ones are what gathered somewhere, and are skipped."""
_BELIEVED_S = 0.15
"""After this long of pieces that are all late alike it is the way that has become longer."""
_ALIKE_S = 0.05
_LEAK = 1e-3
"""How fast (s/s) the earliest is forgotten: faster than clocks drift, slower than delay varies."""


class VoiceClock:
    """Timestamps of an outgoing voice, 1/48000 s. Pure: times are given, in seconds.

    They are the source's, moved once where a stream of it begins, so that its gaps stay gaps and its clock
    may run off the wall's by any amount. What came late by more than others is skipped: sent on, it
    would be delay for the rest of the call.
    """

    def __init__(self, now: float) -> None:
        self._start = now
        self._stream: int | None = None
        self._offset = 0
        self._last = -1
        self._end = 0
        self._earliest = 0
        """Ticks by which the source's line is behind the wall when nothing delays it."""
        self._at = now
        self._late: tuple[float, int] | None = None
        self.skipped = 0
        """Pieces that were not sent as they were too late."""

    def silence(self, now: float) -> int:
        """The timestamp of a piece of silence: where the voice would be now, and a little behind."""
        line = self._wall(now) - self._earliest - round(_BEHIND_S * OPUS_CLOCK)
        return self._sent(max(line, self._end), SILENCE_TICKS)

    def stamp(self, piece: EncodedFrame, now: float) -> int | None:
        """The timestamp of a piece; None when it is too late to be sent."""
        wall = self._wall(now)
        if piece.stream != self._stream:
            self._stream = piece.stream
            self._anchor(piece, wall)
        late = wall - (piece.timestamp + self._offset)
        forgotten = round((now - self._at) * _LEAK * OPUS_CLOCK)
        self._earliest, self._at = min(late, self._earliest + forgotten), now
        if late - self._earliest > _STALE_S * OPUS_CLOCK:
            if not self._believed(late, now):
                self.skipped += 1
                return None
            self._anchor(piece, wall)
        self._late = None
        if piece.timestamp + self._offset <= self._last:
            self.skipped += 1  # Silence stands in its place.
            return None
        return self._sent(piece.timestamp + self._offset, piece.ticks)

    def _anchor(self, piece: EncodedFrame, wall: int) -> None:
        at = max(wall, self._end)
        self._offset = at - piece.timestamp
        self._earliest = wall - at

    def _believed(self, late: int, now: float) -> bool:
        """Whether pieces have been late alike for long enough: a backlog gets shorter as it comes in."""
        if self._late is None or late < self._late[1] - _ALIKE_S * OPUS_CLOCK:
            self._late = (now, late)
        return now - self._late[0] >= _BELIEVED_S

    def _sent(self, timestamp: int, ticks: int) -> int:
        self._last, self._end = timestamp, timestamp + ticks
        return timestamp

    def _wall(self, now: float) -> int:
        return round((now - self._start) * OPUS_CLOCK)


class VoiceTrack(MediaStreamTrack):
    """One voice on its way to the other leg, untouched and still encoded; silence where there is none."""

    kind = "audio"

    def __init__(self, source: VoiceSource) -> None:
        super().__init__()
        self._source = source
        self.clock = VoiceClock(time.monotonic())

    def counts(self) -> dict[str, int]:
        """Pieces that were not sent on."""
        return {"skipped": self.clock.skipped}

    async def recv(self) -> av.Packet[Any]:
        while self.readyState == "live":
            try:
                piece = await self._source(QUIET_S)
            except TimeoutError:
                return _packet(SILENCE, self.clock.silence(time.monotonic()))
            at = self.clock.stamp(piece, time.monotonic())
            if at is not None:
                return _packet(piece.data, at)
        raise MediaStreamError


def _packet(data: bytes, timestamp: int) -> av.Packet[Any]:
    packet: av.Packet[Any] = av.Packet(data)
    packet.pts = timestamp
    packet.time_base = _TIME_BASE
    return packet
