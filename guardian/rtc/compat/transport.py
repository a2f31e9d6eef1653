"""The ways by which other people's bytes come in, guarded.

In stock aiortc (1.16) one datagram that nobody had to sign, empty or longer than 1500 bytes, ends the task
that receives everything, and the call with it; so does a signed packet with an extension of the wrong
length. Every SSRC that a peer makes up is remembered for ever.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from typing import Any

from aioice.ice import StunProtocol
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport, RtpReceiver, RtpRouter
from aiortc.rtcicetransport import RTCIceTransport
from aiortc.rtp import RtpPacket

logger = logging.getLogger(__name__)

_MOST_SSRCS = 32
_MOST_WAITING = 2048
"""Datagrams: 3 MB, and some seconds of a call."""
_MOST_CANDIDATES = 256
_RTP = struct.Struct("!BBHLL")
_EXTENSION = struct.Struct("!HH")
_RTP_HEADER = 12
_ONE_BYTE = 0xBEDE
_VERSION = 2
_SENT_AT_BYTES = 3


class Router(RtpRouter):
    """Says whose packets are whose, and remembers no more SSRCs than a leg can have."""

    def route_rtp(self, packet: RtpPacket) -> RtpReceiver | None:
        """The receiver of a packet; None for nobody's."""
        table = self.ssrc_table
        if packet.ssrc not in table:
            # Whose packets still come is learned anew with the next one.
            while len(table) >= _MOST_SSRCS:
                del table[next(iter(table))]
        return super().route_rtp(packet)


def read_packet(data: bytes, abs_send_time: int | None) -> RtpPacket:
    """An RTP packet (RFC 3550, 5.1) with the one extension that is used: when it was sent.

    abs_send_time: the extension's number, None where it was not agreed upon. ValueError.
    """
    if len(data) < _RTP_HEADER:
        raise ValueError("the packet is shorter than its header")
    first, second, sequence, timestamp, ssrc = _RTP.unpack_from(data)
    at = _RTP_HEADER + 4 * (first & 0x0F)
    sent = None
    if first & 0x10:
        profile, words = _EXTENSION.unpack_from(data, at)
        at += 4 + 4 * words
        if profile == _ONE_BYTE and abs_send_time is not None:
            sent = _sent_at(data[at - 4 * words : at], abs_send_time)
    padding = data[-1] if first & 0x20 else 0
    if first >> 6 != _VERSION or at + padding > len(data) or (first & 0x20 and not padding):
        raise ValueError("the packet is not what its header says")
    payload = data[at : len(data) - padding]
    packet = RtpPacket(second & 0x7F, second >> 7, sequence, timestamp, ssrc, payload)
    packet.padding_size = padding
    packet.extensions.abs_send_time = sent
    return packet


def _sent_at(extensions: bytes, number: int) -> int | None:
    """abs-send-time out of one-byte extensions (RFC 8285, 4.2); None where there is none."""
    at, end = 0, len(extensions)
    while at < end:
        head = extensions[at]
        length = (head & 0x0F) + 1
        if head == 0:
            at += 1
        elif head >> 4 == number and length == _SENT_AT_BYTES:
            return int.from_bytes(extensions[at + 1 : at + 1 + length])
        else:
            at += 1 + length
    return None


class Transport(RTCDtlsTransport):
    """Goes on after whatever it received."""

    def __init__(self, transport: RTCIceTransport, certificates: list[RTCCertificate]) -> None:
        super().__init__(transport, certificates)
        self._rtp_router = Router()
        self.malformed = 0
        """Datagrams that could not be read."""

    async def _handle_rtp_data(self, data: bytes, arrival_time_ms: int) -> None:
        # Stock makes two objects of twenty attributes for the extensions of every packet.
        ids: Any = self._rtp_header_extensions_map
        packet = read_packet(data, ids._HeaderExtensionsMap__ids.abs_send_time)
        receiver = self._rtp_router.route_rtp(packet)
        if receiver is not None:
            await receiver._handle_rtp_packet(packet, arrival_time_ms=arrival_time_ms)

    async def _recv_next(self) -> None:
        try:
            await super()._recv_next()
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a datagram makes the parsers raise
            self.malformed += 1
            logger.debug("a datagram could not be read", extra={"error": type(error).__name__})
            await asyncio.sleep(0)


class GuardedStun(StunProtocol):
    """One UDP socket. What cannot be read is dropped; what nobody takes does not pile up."""

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """A datagram has come."""
        if len(data) == 0 or self._is_full(addr):
            return
        try:
            super().datagram_received(data, addr)
        except Exception as error:  # noqa: BLE001 - whatever a datagram makes the parser raise
            logger.debug("a datagram could not be read", extra={"error": type(error).__name__})

    def _is_full(self, addr: tuple[Any, ...]) -> bool:
        connection: Any = self.receiver
        if connection._queue.qsize() >= _MOST_WAITING:
            return True
        known = connection._remote_candidates
        return len(known) >= _MOST_CANDIDATES and not any(
            (one.host, one.port) == (addr[0], addr[1]) for one in known
        )
