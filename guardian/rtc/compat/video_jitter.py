"""Puts video packets in order and frames together, and lets frames go as soon as they are complete.

Stock aiortc holds a complete frame until a packet of the next one arrives: one whole frame interval.
The RTP marker bit of the last packet says the same at once (RFC 7741, RFC 6184).
"""

from __future__ import annotations

from typing import NamedTuple

from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtpPacket

from guardian.rtc.compat.frames import StampedFrame, begins_frame, is_key_frame


class Piece(NamedTuple):
    """A packet and what it carries of a frame: b"" where it is padding, None where it cannot be read."""

    packet: RtpPacket
    data: bytes | None
    codec: RTCRtpCodecParameters


class VideoJitter:
    """Frames of one stream. Numbers are sequence numbers without wraps.

    Holds no more than `capacity` packets. After a gap that was given up, what is left of a frame whose
    beginning is missing is thrown away: it could be taken for something it is not.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._next: int | None = None
        self._held: dict[int, Piece] = {}
        self._parts: list[bytes] = []
        self._first: Piece | None = None
        self._gap = True
        self._skips: int | None = None
        self._after_loss = False

    @property
    def unfinished(self) -> bool:
        """Whether the newest frame has begun, nothing of it is missing, and its end has not come."""
        return self._first is not None and not self._held

    def add(self, number: int, piece: Piece, now: float) -> list[StampedFrame]:
        """The frames that are complete now, in order."""
        if self._next is None:
            self._next = number
        if number < self._next:
            return []
        frames: list[StampedFrame] = []
        if number == self._next:
            self._take(piece, now, frames)
            self._take_held(now, frames)
        else:
            self._held.setdefault(number, piece)
        if len(self._held) + len(self._parts) > self._capacity:
            self._overflow()
            self._take_held(now, frames)
        return frames

    def key_frame_at(self, number: int) -> int | None:
        """The first packet of a whole key frame that waits behind a gap and that `number` is part of."""
        piece = self._held.get(number)
        if piece is None:
            return None
        first = last = number
        while self._waits(first - 1, piece.packet.timestamp):
            first -= 1
        while not self._held[last].packet.marker:
            last += 1
            if not self._waits(last, piece.packet.timestamp):
                return None
        begin = self._held[first]
        if not begins_frame(begin.codec.name, begin.packet.payload):
            return None
        data = b"".join(self._held[n].data or b"" for n in range(first, last + 1))
        return first if is_key_frame(begin.codec.name, data) else None

    def _waits(self, number: int, timestamp: int) -> bool:
        piece = self._held.get(number)
        return piece is not None and piece.data is not None and piece.packet.timestamp == timestamp

    def give_up(self, last: int, now: float) -> list[StampedFrame]:
        """Waits no longer for packets up to `last`. Returns what can leave without them, in order."""
        if self._next is None or last < self._next:
            return []
        self._damage()
        frames: list[StampedFrame] = []
        for number in sorted(n for n in self._held if n <= last):
            if number != self._next:
                self._damage()
            self._next = number
            self._take(self._held.pop(number), now, frames)
        if self._next <= last:
            self._damage()
            self._next = last + 1
        self._take_held(now, frames)
        return frames

    def restart(self) -> None:
        """Another stream begins."""
        self._next = None
        self._held.clear()
        self._damage()

    def _take_held(self, now: float, frames: list[StampedFrame]) -> None:
        held = self._held
        while held:
            assert self._next is not None
            piece = held.pop(self._next, None)
            if piece is None:
                return
            self._take(piece, now, frames)

    def _take(self, piece: Piece, now: float, frames: list[StampedFrame]) -> None:
        """The next packet in order."""
        assert self._next is not None
        self._next += 1
        packet, data, codec = piece
        if data is None:
            self._damage()
            self._skips = packet.timestamp
            return
        if not packet.payload:
            return
        if self._first is not None and self._first.packet.timestamp != packet.timestamp:
            self._complete(now, frames)
        if self._first is None:
            if self._gap and not self._begins(packet, codec):
                return
            self._first = piece
        self._parts.append(data)
        if packet.marker:
            self._complete(now, frames)

    def _begins(self, packet: RtpPacket, codec: RTCRtpCodecParameters) -> bool:
        """Whether this is a frame's first packet, after a gap: proven by itself or by the one before it."""
        known = self._skips is not None and self._skips != packet.timestamp
        if known or begins_frame(codec.name, packet.payload):
            self._gap = False
            self._skips = None
            return True
        # What follows with the same timestamp is the rest of this frame, unless the marker was its end.
        self._skips = packet.timestamp
        if packet.marker:
            self._gap = False
            self._skips = None
        return False

    def _complete(self, now: float, frames: list[StampedFrame]) -> None:
        first, data = self._first, b"".join(self._parts)
        self._first = None
        self._parts = []
        # A decoder takes no data at all for the end of the stream.
        if first is not None and data:
            frame = StampedFrame(data, first.packet.timestamp, now)
            frame.codec = first.codec
            frame.after_loss, self._after_loss = self._after_loss, False
            frames.append(frame)

    def _damage(self) -> None:
        """Something is missing here."""
        self._parts = []
        self._first = None
        self._gap = True
        self._skips = None
        self._after_loss = True

    def _overflow(self) -> None:
        """More than a frame can have, or more than may wait: goes on with what came last."""
        self._damage()
        if self._held:
            self._next = min(self._held)
