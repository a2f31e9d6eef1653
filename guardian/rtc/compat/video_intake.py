"""Everything between the packets of one incoming video and its frames, without sending or waiting.

One stream at a time: packets of another SSRC are those of a sender that began anew (a page reloaded behind
an SFU) if the old one has fallen silent, and nobody's business otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from aiortc.codecs import depayload
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtpPacket

from guardian.rtc.compat.frames import StampedFrame, is_key_frame, vp8_body
from guardian.rtc.compat.loss import MAX_GAP, KeyFrameWish, LossWatch
from guardian.rtc.compat.serial import signed
from guardian.rtc.compat.video_jitter import Piece, VideoJitter

CAPACITY = 512
"""Packets that may wait: more than a key frame of 1080p has."""
_SILENT_S = 0.2
"""A stream without packets for this long may be followed by another."""
_TAIL_S = 0.06
"""A frame whose last packet does not come for this long has most likely lost it."""
_MAX_LATE = 512
_MAX_AHEAD = 3000
"""Sequence numbers further off are a sender's new beginning, if the next one follows (RFC 3550, A.1)."""


@dataclass(slots=True)
class VideoCounts:
    """What was done about the network since the beginning."""

    nack: int = 0
    """Requests for packets, each for one or several."""
    recovered: int = 0
    given_up: int = 0
    pli: int = 0
    key_frames: int = 0
    malformed: int = 0
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Reaction:
    """What is to be done now. frames: those that leave because something was given up."""

    frames: list[StampedFrame]
    nack: list[int]
    """Sequence numbers (0..65535), ascending."""
    key_frame: bool


class VideoIntake:
    """Packets in, frames out, and when to do what about those that are missing. Times: monotonic seconds."""

    def __init__(self) -> None:
        self.counts = VideoCounts()
        self.wish = KeyFrameWish()
        self.ssrc: int | None = None
        """The stream; None before the first packet."""
        self.resends_apart = True
        """Whether what is sent again comes as such (RTX, RFC 4588)."""
        self._watch = LossWatch()
        self._jitter = VideoJitter(CAPACITY)
        self._last = -math.inf
        self._began = False
        self._marks = False
        self._odd: int | None = None

    @property
    def rtt(self) -> float | None:
        """Round-trip time in seconds; None while unknown."""
        return self._watch.rtt

    def admits(self, ssrc: int, now: float) -> bool:
        """Whether a packet of this SSRC belongs to the stream; it may be the first of a new one."""
        if ssrc != self.ssrc:
            if now - self._last < _SILENT_S:
                return False
            if self.ssrc is not None:
                self._restart(now)
            self.ssrc = ssrc
        self._last = now
        return True

    def ended(self, ssrc: int) -> None:
        """The sender has said that a stream is over (BYE): another may follow at once."""
        if ssrc == self.ssrc:
            self._last = -math.inf

    def add(self, packet: RtpPacket, codec: RTCRtpCodecParameters, now: float) -> list[StampedFrame]:
        """A packet that was admitted. Returns the frames that are complete now."""
        number = self._place(packet.sequence_number, now)
        if number is None:
            return []
        highest = self._watch.highest
        frames: list[StampedFrame] = []
        if highest is not None and number - highest > MAX_GAP:
            self.counts.given_up += self._watch.skip(number, now)
            frames = self._jitter.give_up(number - 1, now)
            self.wish.want_anew(now)
        elif self.resends_apart or highest is None or number > highest:
            self._watch.arrived(number, now)
        elif self._watch.resent(number, now):
            self.counts.recovered += 1
        return self._into(number, packet, codec, now, frames)

    def add_resent(self, packet: RtpPacket, codec: RTCRtpCodecParameters, now: float) -> list[StampedFrame]:
        """A packet that was sent again, as it was (RTX unwrapped)."""
        highest = self._watch.highest
        if highest is None:
            return []
        number = highest + signed(packet.sequence_number - highest, 16)
        if not self._watch.resent(number, now):
            return []
        self.counts.recovered += 1
        return self._into(number, packet, codec, now, [])

    def due(self) -> float:
        """When `react` has something to do; infinite when nothing is missing or wanted."""
        if self.ssrc is None:
            return math.inf
        due = self.wish.due() if self.wish.pending else math.inf
        if len(self._watch):
            due = min(due, self._watch.due())
        elif self._marks and self._jitter.unfinished:
            due = min(due, self._last + _TAIL_S)
        return due

    def react(self, now: float) -> Reaction:
        """What is to be done at `now`."""
        if not len(self._watch) and self._marks and self._jitter.unfinished and self._last + _TAIL_S <= now:
            self._watch.suspect(now)
        frames: list[StampedFrame] = []
        gone = self._watch.to_give_up(now)
        if gone is not None:
            last, count = gone
            self.counts.given_up += count
            self.wish.want_anew(now)
            frames = self._looked_at(self._jitter.give_up(last, now), now)
        nack = sorted(number & 0xFFFF for number in self._watch.to_ask(now))
        key_frame = self.wish.asks(now, self._watch.rtt)
        self.counts.nack += bool(nack)
        self.counts.pli += key_frame
        return Reaction(frames, nack, key_frame)

    def _into(
        self,
        number: int,
        packet: RtpPacket,
        codec: RTCRtpCodecParameters,
        now: float,
        frames: list[StampedFrame],
    ) -> list[StampedFrame]:
        data: bytes | None = b""
        if packet.payload:
            try:
                vp8 = codec.name == "VP8"
                data = vp8_body(packet.payload) if vp8 else depayload(codec, packet.payload)
            except ValueError:
                data = None
                self.counts.malformed += 1
                self.wish.want(now)
        if packet.marker:
            self._marks = True
        if data and self.wish.pending and is_key_frame(codec.name, data):
            self.wish.coming(now)
        frames += self._jitter.add(number, Piece(packet, data, codec), now)
        if not frames and len(self._watch):
            # A key frame needs nothing of what is missing before it.
            key = self._jitter.key_frame_at(number)
            if key is not None:
                self.counts.given_up += self._watch.forget(key)
                frames += self._jitter.give_up(key - 1, now)
        return self._looked_at(frames, now) if frames else frames

    def _looked_at(self, frames: list[StampedFrame], now: float) -> list[StampedFrame]:
        for frame in frames:
            assert frame.codec is not None
            if is_key_frame(frame.codec.name, frame.data):
                self.counts.key_frames += 1
                self.wish.granted()
            elif frame.after_loss or not self._began:
                self.wish.want(now)
            self._began = True
        return frames

    def _place(self, sequence: int, now: float) -> int | None:
        """The packet's number without wraps; None when it is not known yet where it belongs."""
        highest = self._watch.highest
        if highest is None:
            return sequence
        ahead = signed(sequence - highest, 16)
        if -_MAX_LATE < ahead <= _MAX_AHEAD:
            self._odd = None
            return highest + ahead
        if sequence != self._odd:
            self._odd = (sequence + 1) & 0xFFFF
            return None
        self._restart(now)
        return sequence

    def _restart(self, now: float) -> None:
        """Another stream begins; what the old one missed will not come."""
        rtt = self._watch.rtt
        self.counts.given_up += len(self._watch)
        self.counts.restarts += 1
        self._watch = LossWatch()
        self._watch.rtt = rtt
        self._jitter.restart()
        self._odd = None
        self._began = False
        self._last = now
        self.wish.want_anew(now)
