"""Every patch of aiortc, in one place.

aiortc (1.16) holds a complete video frame until a packet of the next one arrives, and does not say
when a frame's last packet came in or when its encoding was done. `apply()` changes that:

* `MarkerJitterBuffer` releases video frames when complete, on the RTP marker bit (RFC 3550 5.1,
  RFC 7741 4.1), several at once where several are ready, and stamps them with their arrival.
* the decoder thread passes the stamp on to the decoded picture (`arrival_of`).
* the encoder tells the `Ticket` of a picture how long it took and when it was done.
* `audio_level` computes in C what stock computes sample by sample in Python on the event loop:
  measured, a quarter of a core per call.

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

logger = logging.getLogger(__name__)

_FULL_SCALE = 32767
_SILENT = -127

SUPPORTED = ("1.16",)
"""Release series of aiortc these patches were written for and are tested with."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Rides on an outgoing picture; `sent(encode_ms, done_at)` is called from the encoder thread."""

    sent: Callable[[float, float], None]


def arrival_of(frame: av.VideoFrame) -> float | None:
    """Monotonic seconds when the last packet of a received picture was in; None if unknown."""
    stamp = frame.opaque
    return stamp if isinstance(stamp, float) else None


class StampedFrame(JitterFrame):
    """An encoded frame with its arrival, and the frames that became complete with it."""

    def __init__(self, data: bytes, timestamp: int, arrived: float) -> None:
        super().__init__(data, timestamp)
        self.arrived = arrived
        self.rtp_timestamp = timestamp
        self.following: list[StampedFrame] = []


class MarkerJitterBuffer(JitterBuffer):
    """Stock for sound; for video it releases every complete frame at once."""

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
    """aiortc's decoder thread, with arrival stamps on the pictures."""
    decoder: Any = None
    codec_name = None
    while True:
        task = input_q.get()
        if task is None:
            _hand_over(loop, output_q, None)
            return
        codec, encoded = task
        if codec.name != codec_name:
            decoder, codec_name = get_decoder(codec), codec.name
        for encoded_frame in _frames_in_order(encoded):
            try:
                frames = decoder.decode(encoded_frame)
            except av.FFmpegError:
                logger.warning("a frame could not be decoded", extra={"codec": codec.name})
                decode_error.set()
                continue
            for frame in frames:
                if isinstance(encoded_frame, StampedFrame):
                    frame.opaque = encoded_frame.arrived
                _hand_over(loop, output_q, frame)


def _hand_over(loop: asyncio.AbstractEventLoop, output_q: asyncio.Queue[Any], item: Any) -> None:
    # The loop is closed when a call process ends while a decoder is still at work.
    if not loop.is_closed():
        loop.call_soon_threadsafe(output_q.put_nowait, item)


def timed_encoder(codec: RTCRtpCodecParameters) -> Any:
    """aiortc's encoder for a codec; pictures that carry a `Ticket` have it told."""
    encoder = get_encoder(codec)
    stock_encode = encoder.encode

    def encode(frame: av.frame.Frame, force_keyframe: bool = False) -> Any:
        ticket = frame.opaque
        started = time.monotonic()
        result = stock_encode(frame, force_keyframe)
        done = time.monotonic()
        if isinstance(ticket, Ticket):
            ticket.sent((done - started) * 1000, done)
        return result

    encoder.encode = encode  # type: ignore[method-assign]
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
    importlib.import_module("aiortc.rtp").compute_audio_level_dbov = audio_level  # type: ignore[attr-defined]
