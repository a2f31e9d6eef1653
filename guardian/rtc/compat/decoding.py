"""aiortc's decoder thread, fed through a place where encoded frames can be had as well."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import av
from aiortc.codecs import get_decoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from guardian.rtc.compat.frames import EncodedFrame, SoundFrame, Stamp, StampedFrame, is_key_frame

logger = logging.getLogger(__name__)

_ASK_AGAIN_S = 0.5


def _signed32(delta: int) -> int:
    return (delta + (1 << 31)) % (1 << 32) - (1 << 31)


def frames_in_order(encoded: JitterFrame) -> list[JitterFrame]:
    """The frame and those that left the jitter buffer with it, all with mapped timestamps."""
    if not isinstance(encoded, StampedFrame):
        return [encoded]
    for frame in encoded.following:
        frame.timestamp = encoded.timestamp + _signed32(frame.rtp_timestamp - encoded.rtp_timestamp)
    return [encoded, *encoded.following]


class DecodeQueue(queue.Queue[Any]):
    """Between the event loop and the decoder thread; every complete frame passes here, in order.

    sink: called on the event loop with each encoded frame. decodes: whether frames go on to the decoder.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sink: Callable[[EncodedFrame], None] | None = None
        self.decodes = True

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Takes what the receiver hands over: (codec, frame), or None at the end."""
        if item is None:
            super().put(None, block, timeout)
            return
        codec, first = item
        for frame in frames_in_order(first):
            if self.sink is not None:
                self.sink(_encoded(codec, frame))
            if self.decodes:
                super().put((codec, frame), block, timeout)


def _encoded(codec: RTCRtpCodecParameters, frame: JitterFrame) -> EncodedFrame:
    if isinstance(frame, SoundFrame):
        return frame.encoded(codec.name, codec.clockRate)
    stamped = frame if isinstance(frame, StampedFrame) else None
    return EncodedFrame(
        codec.name,
        frame.data,
        frame.timestamp,
        codec.clockRate,
        codec.mimeType.startswith("audio/") or is_key_frame(codec.name, frame.data),
        stamped is not None and stamped.after_loss,
        time.monotonic() if stamped is None else stamped.arrived,
    )


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
        codec, encoded_frame = task
        if codec.name != codec_name:
            decoder, codec_name, wholeness = get_decoder(codec), codec.name, _Wholeness()
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


def _hand_over(loop: asyncio.AbstractEventLoop, output_q: asyncio.Queue[Any], item: Any) -> None:
    # The loop is closed when a call process ends while a decoder is still at work.
    if not loop.is_closed():
        loop.call_soon_threadsafe(output_q.put_nowait, item)
