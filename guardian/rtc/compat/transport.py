"""The ways by which other people's bytes come in, guarded.

In stock aiortc (1.16) one datagram that nobody had to sign, empty or longer than 1500 bytes, ends the task
that receives everything, and the call with it; so does a signed packet with an extension of the wrong
length. Every SSRC that a peer makes up is remembered for ever, also by libsrtp, which gets slower with each.
Of a datagram with several DTLS records one is read, and the others gather; so do pieces of messages over a
data channel that never end. And whatever comes is taken for the other side's, whoever sent it: one alert of
a stranger while a leg connects, and it never does.

On the way out there is one gate: every datagram of a leg asks the process's lease right before it leaves.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable
from typing import Any

from aioice import stun
from aioice.ice import Connection, StunProtocol
from aiortc.rtcdtlstransport import (
    DataReceiver,
    RTCCertificate,
    RTCDtlsTransport,
    RtpReceiver,
    RtpRouter,
    State,
)
from aiortc.rtcicetransport import RTCIceTransport
from aiortc.rtp import RtpPacket
from OpenSSL import SSL
from pylibsrtp import Session

from guardian.core.lease import Lease

logger = logging.getLogger(__name__)

_MOST_SSRCS = 32
_MOST_STREAMS = 256
"""SSRCs of one connection: an SFU that changes them now and then stays far below."""
_MOST_CHANNEL_BYTES = 64 * 1024
"""Of SCTP in a connection's life: enough to close channels and for hours of heartbeats (RFC 9260, 8.3)."""
_LONGEST = 2048
"""Bytes. What is sent over a network fits 1500."""
_MOST_WAITING = 2048
"""Datagrams: 4 MB at most, and some seconds of a call."""
_STUN = range(4)
"""First bytes of STUN messages (RFC 7983)."""
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


class KnownStreams:
    """The receiving side of an SRTP session that begins no more streams than a leg can have.

    libsrtp keeps each SSRC that a packet was signed for, and looks through all of them at every packet.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ssrcs: set[bytes] = set()

    def unprotect(self, data: bytes) -> bytes:
        """An RTP packet in clear. ValueError for one stream too many; pylibsrtp.Error."""
        return self._opened(data, data[8:12], self._session.unprotect)

    def unprotect_rtcp(self, data: bytes) -> bytes:
        """RTCP packets in clear. ValueError for one stream too many; pylibsrtp.Error."""
        return self._opened(data, data[4:8], self._session.unprotect_rtcp)

    def _opened(self, data: bytes, ssrc: bytes, unprotect: Callable[[bytes], bytes]) -> bytes:
        if ssrc in self._ssrcs:
            return unprotect(data)
        if len(self._ssrcs) >= _MOST_STREAMS:
            raise ValueError("the other side has made up too many streams")
        clear = unprotect(data)
        self._ssrcs.add(ssrc)
        return clear


class BriefChannels:
    """Lets SCTP have what it takes to refuse data channels, and no more: it does not keep to its window."""

    def __init__(self, receiver: DataReceiver) -> None:
        self.receiver = receiver
        self._left = _MOST_CHANNEL_BYTES

    async def _handle_data(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            raise ValueError("more has come over data channels than there is use for")
        await self.receiver._handle_data(data)


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

    def counts(self) -> dict[str, int]:
        """Datagrams not taken, for want of time or as nobody in the call can have sent them; and those
        not sent, as the lease was over."""
        sockets = [one for one in self.transport._connection._protocols if isinstance(one, GuardedStun)]
        return {
            "dropped_waiting": sum(one.dropped for one in sockets),
            "strange": sum(one.strange for one in sockets),
            "withheld": sum(one.withheld for one in sockets),
        }

    def _register_data_receiver(self, receiver: DataReceiver) -> None:
        super()._register_data_receiver(BriefChannels(receiver))

    def _unregister_data_receiver(self, receiver: DataReceiver) -> None:
        if isinstance(self._data_receiver, BriefChannels) and self._data_receiver.receiver is receiver:
            self._data_receiver = None

    def _setup_srtp(self) -> None:
        super()._setup_srtp()
        if self._rx_srtp is not None:
            self._rx_srtp = KnownStreams(self._rx_srtp)  # type: ignore[assignment]  # takes its place

    async def _write_ssl(self) -> None:
        # Stock does this whenever it has given OpenSSL a datagram and read one record of it.
        await super()._write_ssl()
        if self._state is State.CONNECTED:
            self._drop_records()

    def _drop_records(self) -> None:
        """Throws away what else a datagram held: it would wait for those after it. ConnectionError."""
        assert self._ssl is not None
        count = 0
        try:
            while self._ssl.recv(_LONGEST):
                count += 1
        except SSL.ZeroReturnError:
            raise ConnectionError("the other side has hung up") from None
        except SSL.Error:
            self.malformed += count > 0

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
    """One UDP socket. What cannot be read is dropped; what nobody takes does not pile up.

    Media and DTLS are taken from where a check has come from or may be expected from, as a peer sends them
    from nowhere else (RFC 8445, 12): strangers can neither end a handshake nor fill the queue.
    Nothing leaves, not even a check, while `lease` does not hold.
    """

    lease = Lease()
    """The one of the process, to be given an end by whoever holds it."""

    def __init__(self, receiver: Connection) -> None:
        super().__init__(receiver)
        self.dropped = 0
        """Datagrams that came while too many waited."""
        self.strange = 0
        """Datagrams of strangers, empty ones, and those longer than any should be."""
        self.withheld = 0
        """Datagrams that were to leave while the lease was over."""
        self._known: set[tuple[str, int]] = set()
        self._looked = (0, 0)

    async def send_data(self, data: bytes, addr: tuple[str, int]) -> None:
        """Media and DTLS."""
        if self.lease.holds:
            await super().send_data(data, addr)
        else:
            self.withheld += 1

    def send_stun(self, message: stun.Message, addr: tuple[str, int]) -> None:
        """Checks and their answers: without them the other side takes the leg for lost."""
        if self.lease.holds:
            super().send_stun(message, addr)
        else:
            self.withheld += 1

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """A datagram has come."""
        assert isinstance(data, bytes)
        if not 0 < len(data) <= _LONGEST or not self._is_expected(data[0], addr[:2]):
            self.strange += 1
            return
        if self.receiver._queue.qsize() >= _MOST_WAITING:
            self.dropped += 1
            return
        try:
            super().datagram_received(data, addr)
        except Exception as error:  # noqa: BLE001 - whatever a datagram makes the parser raise
            logger.debug("a datagram could not be read", extra={"error": type(error).__name__})

    def _is_expected(self, first: int, addr: tuple[Any, ...]) -> bool:
        """Whether anything that begins like this may come from there."""
        candidates, checks = self.receiver._remote_candidates, self.receiver._early_checks
        looked = len(candidates), len(checks)
        if looked != self._looked:
            # Where the other side is told to be, and where it has signed checks from.
            self._known = {(one._network_host, one.port) for one in candidates}
            self._known.update((host, port) for _, (host, port), _ in checks)
            self._looked = looked
        return addr in self._known or (first in _STUN and len(candidates) < _MOST_CANDIDATES)
