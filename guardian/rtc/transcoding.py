"""The way for two legs that have no video codec in common: the one's is decoded and encoded for the other."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import av

from guardian.core.frames import MOST_PIXELS
from guardian.rtc.compat import EncodedFrame

_DECODERS = {"VP8": "vp8", "H264": "h264"}
_DECODE_S = 5.0


def video_decoder(codec: str) -> av.VideoCodecContext:
    """A decoder of `VP8` or `H264` with one thread that refuses giants."""
    decoder = av.CodecContext.create(_DECODERS[codec], "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    decoder.options = {"max_pixels": str(MOST_PIXELS)}
    return decoder


class Transcoder:
    """Decodes in a thread of its own; the sender encodes what comes out."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._decoder: av.VideoCodecContext | None = None
        self._codec = ""

    async def picture(self, frame: EncodedFrame) -> av.VideoFrame | None:
        """The frame's picture. av.FFmpegError, TimeoutError: those after it cannot be decoded either."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="transcode")
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_DECODE_S):
            return await loop.run_in_executor(self._pool, self._decoded, frame)

    def _decoded(self, frame: EncodedFrame) -> av.VideoFrame | None:
        if self._decoder is None or frame.codec != self._codec:
            self._decoder, self._codec = video_decoder(frame.codec), frame.codec
        packet: av.Packet[Any] = av.Packet(frame.data)
        pictures = self._decoder.decode(packet)
        return pictures[-1] if pictures else None

    def close(self) -> None:
        """Ends the thread; nobody waits for it."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
