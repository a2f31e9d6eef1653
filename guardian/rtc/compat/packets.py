"""RTP packets of one outgoing stream, written cheaply and kept to be sent again.

Stock aiortc makes an object with nine fields of each packet, packs its extensions one by one, and asks for
the time of day twice, all on the event loop.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap

_HEADER = struct.Struct("!BBHLL")
_EXTENSION = struct.Struct("!HH")
_NTP_OFFSET_S = 2_208_988_800
_SEND_TIME_HZ, _SEND_TIMES, _SEND_TIME_BYTES = 1 << 18, 1 << 24, 3
_VERSION = 0x80
_EXTENDED = 0x10
_KEPT = 512
"""Packets that can be sent again: two seconds of a call at 2.5 Mbit/s; stock keeps 128."""
_AGAIN_S = 0.03
"""A packet is not sent again sooner: several requests for it were under way at once."""
_AGAIN_PER_S = 500


@dataclass(slots=True)
class _Packet:
    sequence: int
    timestamp: int
    marker: int
    payload: bytes
    again_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Stream:
    """What is the same in all packets of a stream."""

    payload_type: int
    ssrc: int


def ntp(wall: float) -> int:
    """Unix time as an NTP timestamp: 32 bits of seconds, 32 of their fractions (RFC 5905)."""
    return int((wall + _NTP_OFFSET_S) * (1 << 32))


class ExtensionWriter:
    """The header extensions of a stream's packets, as they stand in them.

    They differ only in when they are sent, and in the loudness of raw sound: the rest is written once.
    """

    def __init__(self, ids: HeaderExtensionsMap, mid: str | None) -> None:
        self._ids = ids
        self._mid = mid
        block, other = self._block(0), self._block(_SEND_TIMES - 1)
        self._at = next((i for i, (a, b) in enumerate(zip(block, other, strict=True)) if a != b), len(block))
        self._head, self._tail = block[: self._at], block[self._at + _SEND_TIME_BYTES :]
        self._timed = block != other

    def write(self, wall: float, level: int | None = None) -> bytes:
        """For packets sent at this Unix time. level: of raw sound, dBov; None for none."""
        # Seconds of NTP and of Unix time differ by a multiple of 64, where the send time wraps.
        sent = int(wall * _SEND_TIME_HZ) % _SEND_TIMES
        if level is not None:
            return self._block(sent, level)
        return self._head + sent.to_bytes(_SEND_TIME_BYTES, "big") + self._tail if self._timed else self._head

    def _block(self, sent: int, level: int | None = None) -> bytes:
        loudness = None if level is None else (False, -level)
        values = HeaderExtensions(mid=self._mid, abs_send_time=sent, audio_level=loudness)
        profile, block = self._ids.set(values)
        return _EXTENSION.pack(profile, len(block) >> 2) + block if block else b""


def written(stream: Stream, numbers: tuple[int, int, int], extensions: bytes, payload: bytes) -> bytes:
    """One packet. numbers: sequence, timestamp, marker (0 or 1)."""
    sequence, timestamp, marker = numbers
    first = _VERSION | _EXTENDED if extensions else _VERSION
    header = _HEADER.pack(first, marker << 7 | stream.payload_type, sequence, timestamp, stream.ssrc)
    return header + extensions + payload


class PacketBook:
    """The packets sent lately, by sequence number."""

    def __init__(self) -> None:
        self._packets: dict[int, _Packet] = {}
        self._allowance = float(_AGAIN_PER_S)
        self._at = 0.0
        self.again = 0
        """Packets that were sent again."""

    def keep(self, numbers: tuple[int, int, int], payload: bytes) -> None:
        """A packet is being sent."""
        sequence, timestamp, marker = numbers
        self._packets[sequence % _KEPT] = _Packet(sequence, timestamp, marker, payload)

    def find(self, sequence: int, now: float) -> tuple[tuple[int, int, int], bytes] | None:
        """The numbers and payload of a packet to be sent again; None when it is gone or asked for too often.

        Requests cost the sender more than whoever makes them up: there is a limit per second.
        """
        packet = self._packets.get(sequence % _KEPT)
        if packet is None or packet.sequence != sequence or now - packet.again_at < _AGAIN_S:
            return None
        self._allowance = min(_AGAIN_PER_S, self._allowance + (now - self._at) * _AGAIN_PER_S)
        self._at = now
        if self._allowance < 1:
            return None
        self._allowance -= 1
        packet.again_at = now
        self.again += 1
        return (packet.sequence, packet.timestamp, packet.marker), packet.payload
