"""The ways by which other people's bytes come in, guarded.

In stock aiortc (1.16) one datagram that nobody had to sign, empty or longer than 1500 bytes, ends the task
that receives everything, and the call with it; so does a signed packet with an extension of the wrong
length. Every SSRC that a peer makes up is remembered for ever.
"""

from __future__ import annotations

import asyncio
import logging
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
_HEADER = 20


class Router(RtpRouter):
    """Says whose packets are whose, and remembers no more SSRCs than a leg can have."""

    def route_rtp(self, packet: RtpPacket) -> RtpReceiver | None:
        """The receiver of a packet; None for nobody's."""
        receiver = self.ssrc_table.get(packet.ssrc)
        if receiver is None and len(self.ssrc_table) >= _MOST_SSRCS:
            receivers = self.payload_type_table.get(packet.payload_type, set())
            return next(iter(receivers)) if len(receivers) == 1 else None
        return super().route_rtp(packet)


class Transport(RTCDtlsTransport):
    """Goes on after whatever it received."""

    def __init__(self, transport: RTCIceTransport, certificates: list[RTCCertificate]) -> None:
        super().__init__(transport, certificates)
        self._rtp_router = Router()
        self.malformed = 0
        """Datagrams that could not be read."""

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
