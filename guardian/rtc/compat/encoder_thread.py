"""One stream's encoder in a thread of its own."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import av
from aiortc.codecs import get_encoder
from aiortc.mediastreams import VIDEO_TIME_BASE, convert_timebase
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from guardian.rtc.compat.frames import Ticket, is_key_frame
from guardian.rtc.compat.sound_level import audio_level
from guardian.rtc.encoding import Order, VideoEncoding

_ENCODE_S = 5.0


@dataclass(frozen=True, slots=True)
class Piece:
    """What one picture or piece of sound is sent as. timestamp: ticks of the stream's clock; level: dBov."""

    payloads: list[bytes]
    timestamp: int
    key: bool = False
    level: int | None = None


class EncoderThread:
    """Encodes one picture or piece of sound at a time; also packs what others have encoded."""

    def __init__(self, codec: RTCRtpCodecParameters) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"encode-{codec.name}")
        self._name = codec.name
        self._video: VideoEncoding | None = None
        self._stock: Any = None
        self._others_last = False
        """Whether what was sent last came from another encoder: a difference to it cannot be made here."""
        if codec.mimeType.startswith("video/"):
            self._video = VideoEncoding(codec.name)
        else:
            self._stock = get_encoder(codec)

    async def encode(self, frame: av.VideoFrame | av.AudioFrame, order: Order) -> Piece | None:
        """None when there is nothing to be sent of it. TimeoutError: the thread is stuck; av.FFmpegError."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_ENCODE_S):
            if isinstance(frame, av.VideoFrame):
                order = replace(order, key=order.key or self._others_last)
                piece = await loop.run_in_executor(self._pool, self._picture, frame, order)
                self._others_last = self._others_last and piece is None
                return piece
            return await loop.run_in_executor(self._pool, self._sound, frame)

    def pack(self, packet: av.Packet[Any]) -> Piece:
        """Sends what is encoded already as it is."""
        if self._video is None:
            payloads, timestamp = self._stock.pack(packet)
            return Piece(payloads, timestamp)
        self._others_last = True
        data = bytes(packet)
        assert packet.pts is not None
        timestamp = convert_timebase(packet.pts, packet.time_base, VIDEO_TIME_BASE)
        return Piece(self._video.payloads(data), timestamp, is_key_frame(self._name, data))

    def close(self) -> None:
        """Takes no more; the thread ends with what it is at, and nobody waits for it."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _picture(self, frame: av.VideoFrame, order: Order) -> Piece | None:
        assert self._video is not None
        ticket = frame.opaque
        started = time.monotonic()
        try:
            encoded = self._video.encode(frame, order)
        except av.FFmpegError:
            self._video.restart()
            raise
        done = time.monotonic()
        if encoded is None:
            return None
        if isinstance(ticket, Ticket):
            ticket.sent((done - started) * 1000, done)
            if ticket.encoded is not None:
                ticket.encoded(self._name, encoded.data, encoded.key)
        return Piece(self._video.payloads(encoded.data), encoded.timestamp, encoded.key)

    def _sound(self, frame: av.AudioFrame) -> Piece | None:
        level = audio_level(frame)
        payloads, timestamp = self._stock.encode(frame)
        return Piece(payloads, timestamp, level=level) if payloads else None
