"""aiortc's receiver with a jitter buffer, a decode queue and key-frame requests of our own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

from aiortc import RTCRtpReceiver
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from guardian.rtc.compat.decoding import DecodeQueue
from guardian.rtc.compat.frames import EncodedFrame, SoundFrame
from guardian.rtc.compat.sound_jitter import SoundBuffer, SoundJitter
from guardian.rtc.compat.video_jitter import VideoJitter

_VIDEO_CAPACITY = 512
_ASK_AGAIN_S = 0.2


class Receiver(RTCRtpReceiver):
    """One incoming stream. Private members of the stock class are named in full: it has no other way in."""

    _RTCRtpReceiver__codecs: dict[int, RTCRtpCodecParameters]
    _RTCRtpReceiver__decoder_thread: threading.Thread | None
    _RTCRtpReceiver__remote_streams: dict[int, Any]

    def __init__(self, kind: str, transport: RTCDtlsTransport) -> None:
        super().__init__(kind, transport)
        self.ceiling: int | None = None
        self._queue = DecodeQueue()
        self._wanted = asyncio.Event()
        self._asked = 0
        self._RTCRtpReceiver__decoder_queue = self._queue
        if kind == "video":
            self._RTCRtpReceiver__jitter_buffer = VideoJitter(_VIDEO_CAPACITY)
        self.sound: SoundJitter | None = None
        """How long sound waits for what is missing, and counts; None for video."""
        if kind == "audio":
            buffer = SoundBuffer(self._take_sound)
            self.sound = buffer.jitter
            self._RTCRtpReceiver__jitter_buffer = buffer

    def _take_sound(self, payload_type: int, frames: Sequence[SoundFrame]) -> None:
        """Pieces of sound that can leave; their timestamps are mapped already."""
        codec = self._RTCRtpReceiver__codecs.get(payload_type)
        if codec is not None and self._RTCRtpReceiver__decoder_thread is not None:
            for frame in frames:
                self._queue.put((codec, frame))

    def pass_on(self, sink: Callable[[EncodedFrame], None] | None) -> None:
        """Has every complete frame given to `sink` on the event loop, in order; None ends that."""
        self._queue.sink = sink

    @property
    def decodes(self) -> bool:
        """Whether frames are also decoded into the track."""
        return self._queue.decodes

    @decodes.setter
    def decodes(self, decodes: bool) -> None:
        self._queue.decodes = decodes

    def counts(self) -> dict[str, int]:
        """What was done about the network since the beginning: key frames asked for (`pli`)."""
        return {"pli": self._asked}

    def request_key_frame(self) -> None:
        """Asks the sender for a key frame (PLI, RFC 4585 6.3.1), at most every 0.2 s."""
        self._wanted.set()

    async def _run_rtcp(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watch())
            await super()._run_rtcp()  # Returns when it is cancelled.
            watching.cancel()

    async def _watch(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            for ssrc in list(self._RTCRtpReceiver__remote_streams):
                await self._send_rtcp_pli(ssrc)
                self._asked += 1
            await asyncio.sleep(_ASK_AGAIN_S)
