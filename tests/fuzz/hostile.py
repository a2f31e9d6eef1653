"""A peer that keeps to nothing: what it can do to a leg once it is connected."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

from aioice import stun
from aiortc import RTCPeerConnection
from aiortc.rtcsctptransport import SCTP_DATA_FIRST_FRAG, DataChunk
from pylibsrtp import Error as SrtpError

from guardian.rtc.compat.frames import vp8_body
from tests.fuzz.packets import corpus, mutants, rubbish
from tests.rtc.streams import VP8, claiming, film, vp8_payload

_AT_ONCE = 20
_PAUSE_S = 0.01
_PIECE = 1400
_HEADER = 12
_UNSIGNABLE = (SrtpError, ValueError, IndexError)
_TIES = (0, 1 << 63, (1 << 64) - 1)


class Hostile:
    """Attacks on the other side of a connection, each with a few hundred or thousand datagrams."""

    def __init__(self, pc: RTCPeerConnection, rng: random.Random) -> None:
        self._association: Any = pc.sctp
        self.dtls: Any = pc.getSenders()[0].transport
        self._ice = self.dtls.transport
        self._connection = self._ice._connection
        self._ssrcs = [sender._ssrc for sender in pc.getSenders()]
        self._rng = rng
        self.target: tuple[str, int] = self._connection._nominated[1].remote_addr
        """Where the other side listens."""
        self.secrets = (self._connection.local_password, self._connection.remote_password)
        self.sent = 0
        (small,) = film(VP8, 1)
        self._key_frame = b"".join(vp8_body(payload) for payload in small)

    async def send(self, datagrams: Iterable[bytes]) -> None:
        """As they are, from the address that the other side takes media from."""
        for datagram in datagrams:
            await self._ice._send(datagram)
            await self._breathe()

    async def send_signed(self, packets: Iterable[bytes]) -> None:
        """As RTP and RTCP of this side; what libsrtp does not sign is left out."""
        for packet in packets:
            with suppress(*_UNSIGNABLE):
                await self.dtls._send_rtp(packet)
                await self._breathe()

    async def stray(self, datagrams: Iterable[bytes]) -> None:
        """As they are, from an address nobody knows."""
        with self._socket() as stranger:
            for datagram in datagrams:
                stranger.sendto(datagram, self.target)
                await self._breathe()

    def _socket(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.target[0] else socket.AF_INET
        return socket.socket(family, socket.SOCK_DGRAM)

    async def _breathe(self) -> None:
        self.sent += 1
        if self.sent % _AT_ONCE == 0:
            await asyncio.sleep(_PAUSE_S)

    def junk(self, count: int) -> Iterator[bytes]:
        """What nobody had to sign, mutants of it, and datagrams larger than any packet."""
        yield from rubbish(self._rng, count)
        yield from mutants(self._rng, count, "stun", "dtls")
        for _ in range(count // 10):
            first = self._rng.choice((0, 1, 22, 23, 128, 200))
            yield bytes([first]) + self._rng.randbytes(self._rng.choice((1999, 2100, 65506)))

    def media(self, count: int) -> Iterator[bytes]:
        """Kept RTP and RTCP and mutants of them; reports also in the name of the streams that are there."""
        for packet in (*corpus("rtp", "rtcp").values(), *mutants(self._rng, count, "rtp", "rtcp")):
            own = self._rng.choice(self._ssrcs).to_bytes(4)
            yield packet[:4] + own + packet[8:] if _is_report(packet) and self._rng.random() < 0.5 else packet

    def made_up_streams(self, count: int) -> Iterator[bytes]:
        """Packets of ever new SSRCs."""
        for number in range(count):
            head = b"\x80\xe1" + (number & 0xFFFF).to_bytes(2) + bytes(4)
            yield head + self._rng.randbytes(4) + vp8_payload()

    def bundled_records(self, count: int) -> Iterator[bytes]:
        """Datagrams of as many DTLS records as fit."""
        for _ in range(count):
            datagram = b""
            while len(datagram) < _PIECE:
                datagram += self.record(b"x")
            yield datagram

    def record(self, data: bytes) -> bytes:
        """One DTLS record of this side."""
        self.dtls._ssl.send(data)
        record: bytes = self.dtls._ssl.bio_read(_PIECE)
        return record

    async def say_without_end(self, count: int) -> None:
        """Pieces of one message over a data channel, of which the last never comes."""
        for number in range(count):
            chunk = DataChunk(SCTP_DATA_FIRST_FRAG if number == 0 else 0)
            chunk.tsn = (self._association._local_tsn + number) & 0xFFFFFFFF
            chunk.stream_id = chunk.stream_seq = chunk.protocol = 0
            chunk.user_data = bytes(1100)
            await self._association._send_chunk(chunk)
            await self._breathe()

    async def check_from_everywhere(self, count: int, sockets: int) -> None:
        """Signed STUN requests that contradict themselves, from many addresses."""
        connection = self._connection
        with ExitStack() as stack:
            many = [stack.enter_context(self._socket()) for _ in range(sockets)]
            for _ in range(count):
                request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
                request.attributes["USERNAME"] = f"{connection.remote_username}:{connection.local_username}"
                for name, values in (
                    ("PRIORITY", range(1 << 32)),
                    ("USE-CANDIDATE", (None,)),
                    ("ICE-CONTROLLING", _TIES),
                    ("ICE-CONTROLLED", _TIES),
                ):
                    if self._rng.random() < 0.5:
                        request.attributes[name] = self._rng.choice(values)
                request.add_message_integrity(connection.remote_password.encode())
                self._rng.choice(many).sendto(bytes(request), self.target)
                await self.send([bytes(request)])

    async def damage_media(self, seconds: float) -> None:
        """Changes what this side really sends, so that it gets as far as the decoders."""
        honest = self.dtls._send_rtp
        mutants_for_ever = self._mutants()

        async def send(packet: bytes) -> None:
            if _is_report(packet) or self._rng.random() < 0.6:
                await honest(packet)
            else:
                with suppress(*_UNSIGNABLE):
                    await honest(self._damaged(packet, next(mutants_for_ever)))

        self.dtls._send_rtp = send
        try:
            await asyncio.sleep(seconds)
        finally:
            self.dtls._send_rtp = honest

    def _mutants(self) -> Iterator[bytes]:
        while True:
            yield from (one for one in mutants(self._rng, 50, "rtp") if len(one) > _HEADER)

    def _damaged(self, packet: bytes, mutant: bytes) -> bytes:
        """The packet with other contents, in its place in its stream."""
        at = _HEADER + (4 * int.from_bytes(packet[14:16]) + 4 if packet[0] & 0x10 else 0)
        match self._rng.randrange(3):
            case 0:
                return mutant[:2] + packet[2:4] + mutant[4:8] + packet[8:12] + mutant[_HEADER:]
            case 1:
                side = self._rng.choice((6000, 8000, 16383))
                giant = b"\x10" + claiming(self._key_frame, side, side)
                return packet[:1] + bytes([packet[1] | 0x80]) + packet[2:at] + giant
            case _:
                payload = bytearray(packet[at:])
                for _ in range(3):
                    payload[self._rng.randrange(len(payload))] = self._rng.randrange(256)
                return packet[:at] + bytes(payload)


def _is_report(packet: bytes) -> bool:
    """Whether it passes for RTCP (RFC 5761)."""
    return len(packet) > 1 and 192 <= packet[1] <= 223
