"""aiortc's sender with encoders of our own, and word of what the other side asks for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import av
from aiortc import RTCRtpSender
from aiortc.codecs import get_encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpSendParameters
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, unpack_remb_fci

from guardian.rtc.compat.frames import Ticket
from guardian.rtc.vp8 import LiveVp8Encoder


class Sender(RTCRtpSender):
    """One outgoing stream. A track may ask to be told of the codec, key-frame requests and the bitrate."""

    on_bitrate: Callable[[int], None] | None = None
    """Called on the event loop with what the other side can take, bits per second."""

    async def send(self, parameters: RTCRtpSendParameters) -> None:
        """Stock; tells the track what it is sent as."""
        negotiated = getattr(self.track, "negotiated", None)
        if negotiated is not None:
            negotiated(parameters.codecs[0].name)
        await super().send(parameters)

    def _send_keyframe(self) -> None:
        super()._send_keyframe()
        wanted = getattr(self.track, "key_frame_wanted", None)
        if wanted is not None:
            wanted()

    async def _handle_rtcp_packet(self, packet: Any) -> None:
        await super()._handle_rtcp_packet(packet)
        if self.on_bitrate is None or not isinstance(packet, RtcpPsfbPacket) or packet.fmt != RTCP_PSFB_APP:
            return
        try:
            bitrate, ssrcs = unpack_remb_fci(packet.fci)
        except ValueError:
            return
        if self._ssrc in ssrcs:
            self.on_bitrate(bitrate)


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
