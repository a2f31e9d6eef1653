"""Every patch of aiortc, in one place.

aiortc (1.16) holds a complete video frame until a packet of the next one arrives, and does not say
when a frame's last packet came in or when its encoding was done. `apply()` changes that:

* `MarkerJitterBuffer` releases video frames when complete, on the RTP marker bit (RFC 3550 5.1,
  RFC 7741 4.1), several at once where several are ready, and stamps them with their arrival.
* after packets were given up it marks what follows, because decoders go on without a word and give
  out damaged pictures. A picture is whole again from a key frame on; until then key frames are asked for.
* the decoder thread passes both on to the decoded picture (`stamp_of`).
* the encoder tells the `Ticket` of a picture how long it took and when it was done.
* VP8 is encoded by `guardian.rtc.vp8.LiveVp8Encoder`.
* `audio_level` computes in C what stock computes sample by sample in Python on the event loop:
  0.17 ms for each piece of stereo sound, which holds up everything else there, become 0.004 ms.

tests/rtc/test_compat.py holds the self-tests: they fail when upstream changes.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from aiortc.codecs import get_decoder, get_encoder
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtpPacket

from guardian.rtc.vp8 import LiveVp8Encoder

logger = logging.getLogger(__name__)

_FULL_SCALE = 32767
_SILENT = -127
_IDR = 5
_ASK_AGAIN_S = 0.5

SUPPORTED = ("1.16",)
"""Release series of aiortc these patches were written for and are tested with."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Rides on an outgoing picture; `sent(encode_ms, done_at)` is called from the encoder thread."""

    sent: Callable[[float, float], None]


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
    """An encoded frame with its arrival, and the frames that became complete with it."""

    def __init__(self, data: bytes, timestamp: int, arrived: float) -> None:
        super().__init__(data, timestamp)
        self.arrived = arrived
        self.rtp_timestamp = timestamp
        self.after_loss = False
        """Whether packets before it were given up."""
        self.following: list[StampedFrame] = []


class MarkerJitterBuffer(JitterBuffer):
    """Stock for sound; for video it releases every complete frame at once."""

    _lost = False

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Stock; the first frame after packets were given up is marked."""
        lost, frame = super().add(packet)
        self._lost |= lost
        if self._lost and isinstance(frame, StampedFrame):
            frame.after_loss, self._lost = True, False
        return lost, frame

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        if not self._is_video:
            return super()._remove_frame(sequence_number)
        now = time.monotonic()
        first: StampedFrame | None = None
        while (frame := self._complete_frame(now)) is not None:
            if first is None:
                first = frame
            else:
                first.following.append(frame)
        return first

    def _complete_frame(self, now: float) -> StampedFrame | None:
        """Takes the frame at the origin if all its packets are here."""
        packets: list[RtpPacket] = []
        if self._origin is None:
            return None
        for count in range(self.capacity):
            packet = self._packets[(self._origin + count) % self._capacity]
            if packet is None:
                return None
            if packets and packet.timestamp != packets[0].timestamp:
                break
            packets.append(packet)
            if packet.marker:
                break
        self.remove(len(packets))
        data = b"".join(p._data for p in packets)  # type: ignore[attr-defined]  # set by the receiver
        return StampedFrame(data, packets[0].timestamp, now)


def _signed32(delta: int) -> int:
    return (delta + (1 << 31)) % (1 << 32) - (1 << 31)


def _frames_in_order(encoded: JitterFrame) -> list[JitterFrame]:
    """The frame and those that came with it, all with mapped timestamps."""
    if not isinstance(encoded, StampedFrame):
        return [encoded]
    for frame in encoded.following:
        frame.timestamp = encoded.timestamp + _signed32(frame.rtp_timestamp - encoded.rtp_timestamp)
    return [encoded, *encoded.following]


def decoder_worker(
    loop: asyncio.AbstractEventLoop,
    input_q: queue.Queue[Any],
    output_q: asyncio.Queue[Any],
    decode_error: threading.Event,
) -> None:
    """aiortc's decoder thread, with stamps on the pictures."""
    decoder: Any = None
    codec_name = None
    wholeness = _Wholeness()
    while True:
        task = input_q.get()
        if task is None:
            _hand_over(loop, output_q, None)
            return
        codec, encoded = task
        if codec.name != codec_name:
            decoder, codec_name, wholeness = get_decoder(codec), codec.name, _Wholeness()
        for encoded_frame in _frames_in_order(encoded):
            wholeness.follow(codec.name, encoded_frame)
            try:
                frames = decoder.decode(encoded_frame)
            except av.FFmpegError:
                logger.warning("a frame could not be decoded", extra={"codec": codec.name})
                wholeness.whole = False
                decode_error.set()
                continue
            if wholeness.asks():
                # Makes the receiver request a key frame.
                decode_error.set()
            for frame in frames:
                if isinstance(encoded_frame, StampedFrame):
                    frame.opaque = Stamp(encoded_frame.arrived, wholeness.whole)
                _hand_over(loop, output_q, frame)


class _Wholeness:
    """Whether what a decoder gives out can be whole: from a key frame on, until something is missing."""

    def __init__(self) -> None:
        self.whole = False
        self._asked = 0.0

    def follow(self, codec: str, frame: JitterFrame) -> None:
        """The next frame to be decoded. Sound, which comes without stamps, is always whole."""
        if not isinstance(frame, StampedFrame) or is_key_frame(codec, frame.data):
            self.whole = True
        elif frame.after_loss:
            self.whole = False

    def asks(self) -> bool:
        """Whether a key frame is to be requested now: again and again, as requests get lost too."""
        now = time.monotonic()
        if self.whole or now - self._asked < _ASK_AGAIN_S:
            return False
        self._asked = now
        return True


def is_key_frame(codec: str, data: bytes) -> bool:
    """Whether an encoded frame needs no other: VP8 (RFC 6386, 9.1), H.264 (an IDR picture from its top)."""
    if codec == "VP8":
        return len(data) >= 10 and not data[0] & 1 and data[3:6] == b"\x9d\x01\x2a"
    # The first bit after the header of a slice is 1 where its first macroblock is number 0.
    return any(
        len(unit) > 1 and unit[0] & 0x1F == _IDR and unit[1] & 0x80 for unit in data.split(b"\x00\x00\x01")
    )


def _hand_over(loop: asyncio.AbstractEventLoop, output_q: asyncio.Queue[Any], item: Any) -> None:
    # The loop is closed when a call process ends while a decoder is still at work.
    if not loop.is_closed():
        loop.call_soon_threadsafe(output_q.put_nowait, item)


def timed_encoder(codec: RTCRtpCodecParameters) -> Any:
    """The encoder for a codec; pictures that carry a `Ticket` have it told."""
    encoder: Any = LiveVp8Encoder() if codec.name == "VP8" else get_encoder(codec)
    stock_encode = encoder.encode

    def encode(frame: av.frame.Frame, force_keyframe: bool = False) -> Any:
        ticket = frame.opaque
        started = time.monotonic()
        result = stock_encode(frame, force_keyframe)
        done = time.monotonic()
        if isinstance(ticket, Ticket):
            ticket.sent((done - started) * 1000, done)
        return result

    encoder.encode = encode
    return encoder


def audio_level(frame: av.AudioFrame) -> int:
    """Level of a piece of sound in dBov, -127..0 (RFC 6465, appendix A), as stock computes it."""
    samples = np.frombuffer(memoryview(frame.planes[0]), np.int16).astype(np.float64)
    rms = math.sqrt(float(samples @ samples) / frame.samples) / _FULL_SCALE
    if rms <= 0:
        return _SILENT
    return round(min(max(20 * math.log10(rms), _SILENT), 0))


def apply() -> None:
    """Puts the patches in place. Safe to call more than once."""
    # By name: the modules do not export what is replaced here.
    receiver: Any = importlib.import_module("aiortc.rtcrtpreceiver")
    sender: Any = importlib.import_module("aiortc.rtcrtpsender")
    receiver.JitterBuffer = MarkerJitterBuffer
    receiver.decoder_worker = decoder_worker
    sender.get_encoder = timed_encoder
    rtp: Any = importlib.import_module("aiortc.rtp")
    rtp.compute_audio_level_dbov = audio_level
