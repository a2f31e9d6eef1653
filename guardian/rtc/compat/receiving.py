"""aiortc's receiver with parts of our own: order, losses, key frames, decoding, an end without waiting."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from aiortc import RTCRtpReceiver
from aiortc.codecs import is_rtx
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtp import AnyRtcpPacket, RtcpByePacket, RtcpSrPacket, RtpPacket, unwrap_rtx

from guardian.rtc.compat.bitrate_limit import BitrateLimit
from guardian.rtc.compat.decoding import DecodeQueue
from guardian.rtc.compat.frames import EncodedFrame, SoundFrame, StampedFrame
from guardian.rtc.compat.incoming import FreshTrack, SenderStatistics, SignedTimestampMapper
from guardian.rtc.compat.sound_jitter import SoundBuffer, SoundJitter
from guardian.rtc.compat.video_intake import VideoIntake

logger = logging.getLogger(__name__)

_MOST_SOURCES = 4
_VIDEO_CLOCK = 90_000
_FAILED_S = 0.1


class _Alarm(threading.Event):
    """The decoder thread's word that it needs a key frame; tells the event loop as well."""

    def __init__(self, tell: Callable[[], None]) -> None:
        super().__init__()
        self._tell = tell
        self._loop = asyncio.get_running_loop()

    def set(self) -> None:
        super().set()
        try:
            self._loop.call_soon_threadsafe(self._tell)
        except RuntimeError:
            logger.debug("a decoder outlived its loop")


class Receiver(RTCRtpReceiver):
    """One incoming stream. Private members of the stock class are named in full: it has no other way in."""

    _RTCRtpReceiver__active_ssrc: dict[int, Any]
    _RTCRtpReceiver__codecs: dict[int, RTCRtpCodecParameters]
    _RTCRtpReceiver__decoder_thread: threading.Thread | None
    _RTCRtpReceiver__lsr: dict[int, int]
    _RTCRtpReceiver__lsr_time: dict[int, float]
    _RTCRtpReceiver__remote_streams: dict[int, SenderStatistics]
    _RTCRtpReceiver__rtcp_exited: asyncio.Event
    _RTCRtpReceiver__rtcp_ssrc: int | None
    _RTCRtpReceiver__rtx_ssrc: dict[int, int]

    def __init__(self, kind: str, transport: RTCDtlsTransport) -> None:
        super().__init__(kind, transport)
        self._limit = BitrateLimit()
        self._queue = DecodeQueue(kind)
        self._intake = VideoIntake()
        self._timestamps = SignedTimestampMapper()
        self._resending: set[int | None] = set()
        self._restarts = 0
        self._malformed = 0
        self._stirred = asyncio.Event()
        self._sleeps_until = math.inf
        self._RTCRtpReceiver__decoder_queue = self._queue
        self._RTCRtpReceiver__timestamp_mapper = self._timestamps
        if kind == "video":
            self._queue.behind = self.request_key_frame
        self._sound = None if kind == "video" else SoundBuffer(self._take_sound)
        if self._sound is not None:
            self._RTCRtpReceiver__jitter_buffer = self._sound

    def _take_sound(self, payload_type: int, frames: Sequence[SoundFrame]) -> None:
        """Pieces of sound that can leave; their timestamps are mapped already."""
        codec = self._RTCRtpReceiver__codecs.get(payload_type)
        if codec is not None and self._RTCRtpReceiver__decoder_thread is not None:
            for frame in frames:
                self._queue.put((codec, frame))

    @property
    def sound(self) -> SoundJitter | None:
        """How long sound waits for what is missing, and counts; None for video."""
        return None if self._sound is None else self._sound.jitter

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

    @property
    def ceiling(self) -> int | None:
        """Bits per second that the sender is asked never to exceed (REMB); a lower one is told at once."""
        return self._limit.ceiling

    @ceiling.setter
    def ceiling(self, ceiling: int | None) -> None:
        self._limit.ceiling = ceiling
        self._stirred.set()

    def counts(self) -> dict[str, int]:
        """What was done about the network since the beginning, and what was not read or shown in time.

        rtt_ms: round-trip time, learned from packets that were sent again; not there before the first.
        """
        counts, rtt = self._intake.counts, self._intake.rtt
        track = self._track
        return {
            "nack": counts.nack,
            "recovered": counts.recovered,
            "given_up": counts.given_up,
            "pli": counts.pli,
            "key_frames": counts.key_frames,
            "restarts": counts.restarts,
            "dropped_behind": self._queue.dropped,
            "dropped_unread": track.unread if isinstance(track, FreshTrack) else 0,
            "malformed": counts.malformed + self._malformed + getattr(self.transport, "malformed", 0),
            **({} if rtt is None else {"rtt_ms": round(rtt * 1000)}),
        }

    def request_key_frame(self) -> None:
        """Asks the sender for a key frame (PLI) as soon as it is known, and again until one came."""
        self._intake.wish.want(time.monotonic())
        self._stirred.set()

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """Stock."""
        if self._sound is None:
            self._RTCRtpReceiver__decoder_error = _Alarm(self.request_key_frame)
        self._resending = {codec.payloadType for codec in parameters.codecs if is_rtx(codec)}
        self._intake.resends_apart = bool(self._resending)
        await super().receive(parameters)

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        # What is raised here would end the task that receives everything.
        try:
            codec = self._RTCRtpReceiver__codecs.get(packet.payload_type)
            if codec is None or not self._enabled:
                return
            if self._sound is not None:
                self._statistics(packet, codec)
                await super()._handle_rtp_packet(packet, arrival_time_ms)
            else:
                now = time.monotonic()
                if self._takes_video(packet, codec, arrival_time_ms, now):
                    await self._tend(now)
        except Exception as error:  # noqa: BLE001 - whatever the other side sent: the rest can be read
            self._malformed += 1
            logger.debug("a packet could not be read", extra={"error": type(error).__name__})

    def _takes_video(
        self, packet: RtpPacket, codec: RTCRtpCodecParameters, arrival_ms: int, now: float
    ) -> bool:
        """Takes the place of stock's handling. Whether something is to be sent now."""
        intake, limit = self._intake, self._limit
        resent = packet.payload_type in self._resending
        if not resent and not intake.admits(packet.ssrc, now):
            return False
        if intake.counts.restarts != self._restarts:
            self._begin_anew()
        limit.saw(packet, arrival_ms)
        if resent:
            frames = self._resent(packet, codec, now)
        else:
            self._statistics(packet, codec).add(packet)
            frames = intake.add(packet, codec, now)
        if frames:
            self._give(frames)
        due = self._due()
        if due < self._sleeps_until:
            self._stirred.set()
        return due <= now or limit.is_due(now)

    async def _tend(self, now: float) -> None:
        """Sends what is to be sent now."""
        if self._limit.is_due(now):
            await self._tell_limit(now)
        if self._due() <= now:
            await self._react(now)
        if self._due() < self._sleeps_until:
            self._stirred.set()

    def _resent(self, packet: RtpPacket, codec: RTCRtpCodecParameters, now: float) -> list[StampedFrame]:
        """Frames that a retransmission completes (RFC 4588)."""
        ssrc = self._intake.ssrc
        apt = codec.parameters.get("apt")
        original = self._RTCRtpReceiver__codecs.get(apt) if isinstance(apt, int) else None
        if ssrc is None or original is None or original.payloadType is None or len(packet.payload) <= 2:
            return []
        # An SSRC that was not announced is taken for the stream's; what it did not miss, it does not take.
        if self._RTCRtpReceiver__rtx_ssrc.get(packet.ssrc, ssrc) != ssrc:
            return []
        return self._intake.add_resent(unwrap_rtx(packet, original.payloadType, ssrc), original, now)

    def _begin_anew(self) -> None:
        """Another stream has taken the place of the one before."""
        self._restarts = self._intake.counts.restarts
        self._timestamps.restart(_VIDEO_CLOCK)
        self._limit.restart()
        for ssrc in list(self._RTCRtpReceiver__remote_streams):
            self._forget(ssrc)

    def _give(self, frames: list[StampedFrame]) -> None:
        """Frames to whom they are for."""
        if self._RTCRtpReceiver__decoder_thread is None:
            return
        for frame in frames:
            assert frame.codec is not None
            frame.timestamp = self._timestamps.map(frame.timestamp)
            self._queue.put((frame.codec, frame))

    def _statistics(self, packet: RtpPacket, codec: RTCRtpCodecParameters) -> SenderStatistics:
        """Of the packet's stream; only a few are kept, as anybody can make up new ones."""
        streams = self._RTCRtpReceiver__remote_streams
        statistics = streams.get(packet.ssrc)
        if statistics is None:
            while len(streams) >= _MOST_SOURCES:
                self._forget(next(iter(streams)))
            statistics = streams[packet.ssrc] = SenderStatistics(codec.clockRate)
        return statistics

    def _forget(self, ssrc: int) -> None:
        self._RTCRtpReceiver__remote_streams.pop(ssrc, None)
        self._RTCRtpReceiver__active_ssrc.pop(ssrc, None)
        self._RTCRtpReceiver__lsr.pop(ssrc, None)
        self._RTCRtpReceiver__lsr_time.pop(ssrc, None)

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        try:
            if isinstance(packet, RtcpByePacket):
                # Stock stops decoding for good; but a sender may say this of one stream and begin another.
                for ssrc in packet.sources:
                    self._intake.ended(ssrc)
            elif not isinstance(packet, RtcpSrPacket) or packet.ssrc in self._RTCRtpReceiver__remote_streams:
                await super()._handle_rtcp_packet(packet)
        except Exception as error:  # noqa: BLE001 - whatever the other side sent: the rest can be read
            self._malformed += 1
            logger.debug("a report could not be read", extra={"error": type(error).__name__})

    async def _run_rtcp(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watch())
            try:
                await super()._run_rtcp()  # Returns when it is cancelled.
            finally:
                watching.cancel()
                # Without it stock's stop() waits for ever, should a report not be possible to write.
                self._RTCRtpReceiver__rtcp_exited.set()

    async def _watch(self) -> None:
        """Does what is due when no packet comes; sleeps while nothing is missing."""
        while True:
            try:
                self._stirred.clear()
                now = time.monotonic()
                await self._tend(now)
                await self._sleep_until(self._due())
            except Exception:
                logger.exception("losses could not be dealt with")
                await asyncio.sleep(_FAILED_S)

    async def _sleep_until(self, due: float) -> None:
        self._sleeps_until = due
        try:
            async with asyncio.timeout(None if math.isinf(due) else max(0.0, due - time.monotonic())):
                await self._stirred.wait()
        except TimeoutError:
            return
        finally:
            self._sleeps_until = -math.inf

    def _due(self) -> float:
        return math.inf if self._RTCRtpReceiver__rtcp_ssrc is None else self._intake.due()

    async def _react(self, now: float) -> None:
        ssrc = self._intake.ssrc
        assert ssrc is not None
        reaction = self._intake.react(now)
        if reaction.nack:
            await self._send_rtcp_nack(ssrc, reaction.nack)
        if reaction.key_frame:
            await self._send_rtcp_pli(ssrc)
        if reaction.frames:
            self._give(reaction.frames)

    async def _tell_limit(self, now: float) -> None:
        own, ssrc = self._RTCRtpReceiver__rtcp_ssrc, self._intake.ssrc
        if own is not None and ssrc is not None:
            report = self._limit.report(own, [ssrc], now)
            if report is not None:
                await self._send_rtcp(report)

    def _RTCRtpReceiver__stop_decoder(self) -> None:  # noqa: N802 - stock's name
        """Stock joins the thread on the event loop, with all its backlog; ours ends by itself."""
        if self._RTCRtpReceiver__decoder_thread is not None:
            self._RTCRtpReceiver__decoder_thread = None
            self._queue.put(None)
            if self._sound is not None:
                self._sound.close()
            track = self._track
            if isinstance(track, FreshTrack):
                track.end()
