"""Sound out of packets: in order at once, and never held up for longer than a bounded wait.

Stock aiortc prefetches 4 packets, stands still for 300 ms at a lost one, and keeps what gathered meanwhile
as delay for the rest of the call (aiortc issue 543). Here packets that come in order leave as they come. At
a gap the buffer waits a little for what is missing, gives it up and goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aiortc.rtp import RtpPacket

from guardian.core.config import MediaConfig
from guardian.rtc.compat.frames import SoundFrame
from guardian.rtc.compat.serial import signed
from guardian.rtc.compat.sound_timeline import Timeline

WAIT_S = MediaConfig().sound_wait_s
"""How long packets beyond a gap are held for what is missing, unless a leg is told otherwise."""

_MISORDER = 100
_DROPOUT = 3000
"""Steps back or ahead in sequence numbers that are still the same stream (RFC 3550, appendix A.1)."""
_MOST_HELD = 128
"""More packets than a wait can gather in real time."""
_RETIRED_S = 1.0
"""How long packets of an SSRC that was replaced are ignored after the last of them."""
_REMEMBERED = 64
_EARLY_S = 1e-3
"""Timers may fire a little early."""


@dataclass(slots=True)
class SoundCounts:
    """Packets since the beginning. lost were given up; late are those of them that came after all.

    strange belonged to no place in the stream.
    """

    lost: int = 0
    late: int = 0
    duplicates: int = 0
    reordered: int = 0
    strange: int = 0


@dataclass(slots=True)
class _Order:
    """What of one stream is here. Sequence numbers count on beyond 65535."""

    ssrc: int
    following: int
    held: dict[int, tuple[RtpPacket, float]] = field(default_factory=dict)
    """Packets with their arrival; nothing stays that is not beyond a gap."""
    missing: int = 0
    """Packets given up just before the one that follows."""


class SoundJitter:
    """Packets of Opus in, pieces of sound in order out. Pure: times are given, in seconds.

    A sender that starts anew, with another SSRC or far away in its sequence numbers, is followed; what
    waited of the stream before leaves first.
    """

    def __init__(self, wait_s: float = WAIT_S) -> None:
        self.wait_s = wait_s
        self.counts = SoundCounts()
        self._order: _Order | None = None
        self._timeline = Timeline()
        self._retired: tuple[int, float] | None = None
        self._suspect: tuple[RtpPacket, float] | None = None
        self._given_up: deque[int] = deque(maxlen=_REMEMBERED)

    @property
    def due(self) -> float | None:
        """When `release` will have something to do; None while nothing waits."""
        order = self._order
        if order is None or not order.held:
            return None
        return min(arrived for _, arrived in order.held.values()) + self.wait_s

    def add(self, packet: RtpPacket, now: float) -> list[SoundFrame]:
        """Takes a packet (its payload in `_data`); gives what can leave now."""
        order, before = self._order, []
        if order is None or packet.ssrc != order.ssrc:
            if self._is_retired(packet.ssrc, now):
                self.counts.strange += 1
                return []
            before = self._flush()
            if order is not None:
                self._retired = (order.ssrc, now + _RETIRED_S)
            order = self._begin(packet)
        ahead = signed(packet.sequence_number - order.following, 16)
        if not -_MISORDER <= ahead <= _DROPOUT:
            return self._strange(packet, now)
        self._suspect = None
        self._place(order, packet, order.following + ahead, now)
        return before + self.release(now)

    def release(self, now: float) -> list[SoundFrame]:
        """What can leave at `now`: all that is in order, and what has waited long enough for a gap."""
        frames: list[SoundFrame] = []
        order = self._order
        while order is not None and (due := self.due) is not None:
            in_order = order.following in order.held
            if not in_order and now < due - _EARLY_S and len(order.held) <= _MOST_HELD:
                break
            frames += self._take(order)
        return frames

    def _is_retired(self, ssrc: int, now: float) -> bool:
        if self._retired is None or self._retired[0] != ssrc or now >= self._retired[1]:
            return False
        self._retired = (ssrc, now + _RETIRED_S)
        return True

    def _begin(self, packet: RtpPacket) -> _Order:
        self._suspect = None
        self._given_up.clear()
        self._timeline.begin()
        self._order = _Order(packet.ssrc, packet.sequence_number)
        return self._order

    def _strange(self, packet: RtpPacket, now: float) -> list[SoundFrame]:
        """A sequence number from elsewhere. A second one after it shows that the sender began anew."""
        before, self._suspect = self._suspect, (packet, now)
        if before is None or signed(packet.sequence_number - before[0].sequence_number, 16) != 1:
            self.counts.strange += 1
            return []
        self.counts.strange -= 1
        frames = self._flush()
        order = self._begin(before[0])
        order.held[order.following] = before
        order.held[order.following + 1] = (packet, now)
        return frames + self.release(now)

    def _place(self, order: _Order, packet: RtpPacket, index: int, now: float) -> None:
        if index in order.held:
            self.counts.duplicates += 1
        elif index < order.following:
            late = index in self._given_up
            self.counts.late += late
            self.counts.duplicates += not late
        else:
            self.counts.reordered += any(index < other for other in order.held)
            order.held[index] = (packet, now)

    def _flush(self) -> list[SoundFrame]:
        """All that is held, gaps or not."""
        frames: list[SoundFrame] = []
        while self._order is not None and self._order.held:
            frames += self._take(self._order)
        return frames

    def _take(self, order: _Order) -> list[SoundFrame]:
        """The first piece of those held; what should have come before it is given up."""
        first = min(order.held)
        self.counts.lost += first - order.following
        order.missing += first - order.following
        self._given_up.extend(range(max(order.following, first - _REMEMBERED), first))
        order.following = first + 1
        packet, arrived = order.held.pop(first)
        data: bytes = packet._data  # type: ignore[attr-defined]  # set by the receiver
        if not data:
            return []  # Padding keeps its place in the order and is no sound.
        missing, order.missing = order.missing, 0
        return [self._timeline.place(packet.timestamp, data, arrived, missing)]


class SoundBuffer:
    """`SoundJitter` in the place of aiortc's buffer, with a timer: what waits leaves though nothing comes.

    give: called on the event loop with a payload type and pieces of sound in order.
    """

    def __init__(self, give: Callable[[int, Sequence[SoundFrame]], None]) -> None:
        self.jitter = SoundJitter()
        self._give = give
        self._payload_type = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """Takes a packet, as aiortc's buffer does; what can leave is given away, never returned."""
        self._payload_type = packet.payload_type
        self._pass(self.jitter.add(packet, time.monotonic()))
        return False, None

    def close(self) -> None:
        """Nothing more leaves by itself."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _pass(self, frames: list[SoundFrame]) -> None:
        if frames:
            self._give(self._payload_type, frames)
        due = self.jitter.due
        if due is None:
            self.close()
        elif self._timer is None:
            delay_s = max(0.0, due - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._pass(self.jitter.release(time.monotonic()))
