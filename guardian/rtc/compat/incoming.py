"""What stock aiortc leaves without bound or sign on the way in: tracks, timestamps, statistics of senders."""

from __future__ import annotations

import asyncio
from typing import Any

from aiortc.rtcrtpreceiver import RemoteStreamTrack, StreamStatistics, TimestampMapper
from aiortc.rtp import RtpPacket

from guardian.rtc.compat.serial import signed

_MOST_PICTURES = 3
_MOST_SOUNDS = 50


class FreshQueue(asyncio.Queue[Any]):
    """Holds no more than `most` items; where nobody takes them, the oldest go and are counted."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.dropped = 0
        self._most = most

    def put_nowait(self, item: Any) -> None:
        """Never full."""
        while self.qsize() >= self._most:
            self.get_nowait()
            self.dropped += 1
        super().put_nowait(item)


class FreshTrack(RemoteStreamTrack):
    """An incoming track whose reader gets what is new. Stock keeps everything until it is read."""

    def __init__(self, kind: str, id: str | None = None) -> None:
        super().__init__(kind, id)
        self._queue: FreshQueue = FreshQueue(_MOST_PICTURES if kind == "video" else _MOST_SOUNDS)

    @property
    def unread(self) -> int:
        """Frames that nobody took in time."""
        return self._queue.dropped

    def end(self) -> None:
        """Nothing more will come. Whoever waits for it is told."""
        self._queue.put_nowait(None)


class SignedTimestampMapper(TimestampMapper):
    """RTP timestamps without wraps, counted from the first.

    Stock takes every step back for a wrap, and adds 2^32 ticks, 13 hours, for a packet out of order.
    """

    def __init__(self) -> None:
        super().__init__()
        self._mapped = 0
        self._before: int | None = None

    def map(self, timestamp: int) -> int:
        """Ticks since the first timestamp; the step from the one before is the shorter way round."""
        if self._before is not None:
            self._mapped += signed(timestamp - self._before, 32)
        self._before = timestamp
        return self._mapped

    def restart(self, ticks: int) -> None:
        """The next timestamp is of another stream: it counts as `ticks` after the last."""
        if self._before is not None:
            self._mapped += ticks
            self._before = None


class SenderStatistics(StreamStatistics):
    """What reports tell a sender about its stream. Stock cannot pack what it computes of odd timestamps."""

    def add(self, packet: RtpPacket) -> None:
        """Counts a packet."""
        last, timestamp = self._last_timestamp, packet.timestamp
        if last is not None and timestamp != last:
            # Stock's arithmetic, with the difference made the shorter way round.
            self._last_timestamp = timestamp - signed(timestamp - last, 32)
        super().add(packet)

    @property
    def jitter(self) -> int:
        """In ticks, 0..2^32-1."""
        return min(super().jitter, 0xFFFFFFFF)
