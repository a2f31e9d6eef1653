"""aiortc's sender with an encoder, a pace and a bitrate of our own.

Stock encodes in the event loop's own threads, which all calls share, sends a picture's packets back to back,
opens its encoder anew with every tenth of a change in the estimated bandwidth, and ends without a word when
a track raises anything.
"""

from __future__ import annotations

import asyncio
import logging
import random
import struct
import time
from collections.abc import Callable
from typing import Any

import av
from aiortc import RTCRtpSender
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpSendParameters
from aiortc.rtp import (
    RTCP_PSFB_APP,
    HeaderExtensionsMap,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)

from guardian.core.clock import SteadyClock
from guardian.core.config import MediaConfig
from guardian.rtc.compat.encoder_thread import EncoderThread, Piece
from guardian.rtc.compat.packets import ExtensionWriter, PacketBook, Stream, ntp, written
from guardian.rtc.encoding import Order
from guardian.rtc.key_frames import KeyFramePlan
from guardian.rtc.pacing import AT_ONCE, Way, departures
from guardian.rtc.rate import BitratePlan, RateMeter

logger = logging.getLogger(__name__)

_AFTER_FAILURE_S = 0.1
_NARROW = 1.2
"""The network counts as the limit while it takes less than this times what is sent."""
_VIDEO_CLOCK = 90_000
_SHORTEST_S, _USUAL_S, _LONGEST_S = 0.01, 1 / 30, 0.05
"""What counts as the time between two pictures."""
_ORIGINAL = struct.Struct("!H")
_wall = SteadyClock()
"""One for all streams: a clock that is set meanwhile pulls none of them apart."""


class Sender(RTCRtpSender):
    """One outgoing stream. A track may ask to be told of the codec and of key-frame requests, and wish for
    key frames (`key_frame_every_s`).

    Private members of the stock class are named in full: it has no other way in.
    """

    on_bitrate: Callable[[int], None] | None = None
    """Called on the event loop with what the other side can take, bits per second."""
    _RTCRtpSender__rtp_started: asyncio.Event
    _RTCRtpSender__rtp_exited: asyncio.Event
    _RTCRtpSender__rtp_header_extensions_map: HeaderExtensionsMap
    _RTCRtpSender__mid: str | None
    _RTCRtpSender__rtx_payload_type: int | None
    _RTCRtpSender__packet_count: int
    _RTCRtpSender__octet_count: int

    def __init__(self, track_or_kind: MediaStreamTrack | str, transport: RTCDtlsTransport) -> None:
        super().__init__(track_or_kind, transport)
        self.configure(MediaConfig())
        self.failures = 0
        """Times a track or an encoder failed; the stream went on."""
        self._book = PacketBook()
        self._meter = RateMeter()
        self._encoder: EncoderThread | None = None
        # In the lower half, as stock: a wrap soon after the beginning would confuse SRTP.
        self._sequence = random.randrange(1 << 15)
        self._again_sequence = random.randrange(1 << 15)
        self._origin = random.randrange(1 << 32)
        self._last_timestamp = 0
        self._stream = Stream(0, self._ssrc)
        self._extensions = ExtensionWriter(HeaderExtensionsMap(), None)

    def configure(self, config: MediaConfig) -> None:
        """Bitrates and key frames, to be set before anything is sent."""
        self._plan = BitratePlan(config)
        self._keys = KeyFramePlan(config.key_frame_every_s)

    def counts(self) -> dict[str, int]:
        """Packets sent again, key frames and failures since the beginning, and what the track counts."""
        told = getattr(self.track, "counts", None)
        return {
            "resent": self._book.again,
            "key_frames_sent": self._keys.made_count,
            "send_failures": self.failures,
            **(told() if told is not None else {}),
        }

    async def send(self, parameters: RTCRtpSendParameters) -> None:
        """Stock; tells the track what it is sent as."""
        negotiated = getattr(self.track, "negotiated", None)
        if negotiated is not None:
            negotiated(parameters.codecs[0].name)
        await super().send(parameters)

    def _send_keyframe(self) -> None:
        self._keys.want()
        wanted = getattr(self.track, "key_frame_wanted", None)
        if wanted is not None:
            wanted()

    async def _handle_rtcp_packet(self, packet: Any) -> None:
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            self._read_estimate(packet)
        else:
            await super()._handle_rtcp_packet(packet)
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            self._read_reports(packet)
        if self.on_bitrate is not None and self._plan.allowed is not None:
            self.on_bitrate(self._plan.allowed)

    def _read_estimate(self, packet: RtcpPsfbPacket) -> None:
        try:
            bitrate, ssrcs = unpack_remb_fci(packet.fci)
        except (ValueError, struct.error):  # Stock lets the second end everything that is received.
            return
        if self._ssrc in ssrcs:
            self._plan.estimated(bitrate)

    def _read_reports(self, packet: RtcpRrPacket | RtcpSrPacket) -> None:
        now = time.monotonic()
        for report in packet.reports:
            if report.ssrc == self._ssrc:
                used = self._meter.rate(now)
                self._plan.reported(report.fraction_lost / 256, report.highest_sequence, used, now)

    async def _run_rtp(self, codec: RTCRtpCodecParameters) -> None:
        self._RTCRtpSender__rtp_started.set()
        assert codec.payloadType is not None
        self._stream = Stream(codec.payloadType, self._ssrc)
        self._extensions = ExtensionWriter(
            self._RTCRtpSender__rtp_header_extensions_map, self._RTCRtpSender__mid
        )
        try:
            while True:
                piece = await self._next_piece(codec)
                if piece is not None:
                    await self._deliver(piece)
        except (asyncio.CancelledError, ConnectionError, MediaStreamError):
            pass
        except Exception:
            logger.exception("a stream ended")
        finally:
            if self._encoder is not None:
                self._encoder.close()
            if self.track is not None:
                self.track.stop()
                self._RTCRtpSender__track = None
            # Stock waits for it when it stops.
            self._RTCRtpSender__rtp_exited.set()

    async def _next_piece(self, codec: RTCRtpCodecParameters) -> Piece | None:
        """What the track has next, encoded; None when there is nothing to be sent. MediaStreamError."""
        if self.track is None:
            await asyncio.sleep(0.02)
            return None
        try:
            media = await self.track.recv()
            return await self._encoded(media, codec) if self._enabled else None
        except MediaStreamError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a track or an encoder raises
            if not self.failures:
                logger.warning("a stream goes on after a failure", extra={"error": type(error).__name__})
            self.failures += 1
            await asyncio.sleep(_AFTER_FAILURE_S)
            return None

    async def _encoded(self, media: Any, codec: RTCRtpCodecParameters) -> Piece | None:
        if self._encoder is None:
            self._encoder = EncoderThread(codec)
        if isinstance(media, av.Packet):
            piece: Piece | None = self._encoder.pack(media)
        else:
            try:
                piece = await self._encoder.encode(media, self._order(media))
            except TimeoutError:
                self._encoder.close()
                self._encoder = None
                raise
        if piece is not None and piece.key:
            self._keys.made(time.monotonic())
        return piece

    def _order(self, media: av.VideoFrame | av.AudioFrame) -> Order:
        now = time.monotonic()
        pixels = media.width * media.height if isinstance(media, av.VideoFrame) else 0
        wished = getattr(self.track, "key_frame_every_s", 0.0)
        return Order(self._plan.target(pixels, now), self._meter.rate(now), self._keys.is_due(now, wished))

    async def _deliver(self, piece: Piece) -> None:
        """Sends the packets of one picture or piece of sound at their pace. ConnectionError."""
        timestamp = (self._origin + piece.timestamp) & 0xFFFFFFFF
        payloads = piece.payloads
        began, wall = time.monotonic(), _wall()
        self._RTCRtpSender__ntp_timestamp = ntp(wall)
        self._RTCRtpSender__rtp_timestamp = timestamp
        size = sum(map(len, payloads))
        if len(payloads) <= AT_ONCE or not (piece.key or self._plan.lossy):
            await self._send_packets(payloads, timestamp, self._extensions.write(wall, piece.level))
        else:
            at = 0
            for after, count in departures(len(payloads), size, self._way(piece.timestamp, began)):
                await asyncio.sleep(max(0.0, began + after - time.monotonic()))
                extensions = self._extensions.write(_wall())
                await self._send_packets(payloads[at : at + count], timestamp, extensions, len(payloads) - at)
                at += count
        self._last_timestamp = piece.timestamp
        self._RTCRtpSender__packet_count += len(payloads)
        self._RTCRtpSender__octet_count += size
        self._meter.add(size, began)

    async def _send_packets(
        self, payloads: list[bytes], timestamp: int, extensions: bytes, left: int | None = None
    ) -> None:
        """Sends payloads of one picture of which `left` are still to be sent, these included."""
        left = len(payloads) if left is None else left
        for payload in payloads:
            left -= 1
            numbers = (self._sequence, timestamp, int(left == 0))
            self._book.keep(numbers, payload)
            await self.transport._send_rtp(written(self._stream, numbers, extensions, payload))
            self._sequence = (self._sequence + 1) & 0xFFFF

    def _way(self, timestamp: int, now: float) -> Way:
        passed = (timestamp - self._last_timestamp) / _VIDEO_CLOCK or _USUAL_S
        allowed = self._plan.allowed
        # Estimates alone do not say so: on a busy machine they fall without the network being the reason.
        is_limit = self._plan.lossy and allowed is not None and allowed < _NARROW * self._meter.rate(now)
        return Way(min(max(passed, _SHORTEST_S), _LONGEST_S), allowed if is_limit else None)

    async def _retransmit(self, sequence_number: int) -> None:
        found = self._book.find(sequence_number, time.monotonic())
        if found is None:
            return
        (sequence, timestamp, marker), payload = found
        stream = self._stream
        if self._RTCRtpSender__rtx_payload_type is not None:
            # RFC 4588, section 4.
            stream = Stream(self._RTCRtpSender__rtx_payload_type, self._rtx_ssrc)
            payload = _ORIGINAL.pack(sequence) + payload
            sequence = self._again_sequence
            self._again_sequence = (sequence + 1) & 0xFFFF
        numbers = (sequence, timestamp, marker)
        await self.transport._send_rtp(written(stream, numbers, self._extensions.write(_wall()), payload))
