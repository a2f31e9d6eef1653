"""What can be read of a packet that is encrypted: kind and RTP header (RFC 3550, RFC 3711, RFC 7983)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RTP_HEADER = 12
_RTCP_TYPES = range(64, 96)
"""Payload types that are RTCP packet types 192..223 less the marker bit (RFC 5761, section 4)."""


@dataclass(frozen=True, slots=True)
class RtpHead:
    """The header of an RTP packet, in clear also in SRTP."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int


def rtp_head(packet: bytes) -> RtpHead | None:
    """The RTP header, or None for STUN, DTLS, RTCP and what is too short."""
    if len(packet) < _RTP_HEADER or packet[0] >> 6 != 2:
        return None
    payload_type = packet[1] & 0x7F
    if payload_type in _RTCP_TYPES:
        return None
    return RtpHead(
        payload_type,
        bool(packet[1] & 0x80),
        int.from_bytes(packet[2:4], "big"),
        int.from_bytes(packet[4:8], "big"),
        int.from_bytes(packet[8:12], "big"),
    )


def payload_types(sdp: str, codec: str) -> frozenset[int]:
    """Payload types a description gives to a codec ("VP8", "rtx", "opus"), whatever the case."""
    found = re.findall(rf"^a=rtpmap:(\d+) {re.escape(codec)}/", sdp, re.MULTILINE | re.IGNORECASE)
    return frozenset(int(number) for number in found)


class WithholdOne:
    """Withholds one RTP packet and everything that would bring it back; a `Select` of a `Direction`.

    Nothing is withheld before `armed` is set; then `skip` more packets of the media payload types pass and
    the next one is lost for good. Which packet a retransmission (RFC 4588) brings back is encrypted, so all
    of those are withheld from then on.
    """

    def __init__(self, media: frozenset[int], retransmission: frozenset[int], skip: int = 0) -> None:
        self._media = media
        self._retransmission = retransmission
        self._skip = skip
        self.armed = False
        self.lost: RtpHead | None = None

    def __call__(self, packet: bytes) -> bool:
        head = rtp_head(packet)
        if head is None or not self.armed:
            return False
        if self.lost is not None:
            again = (head.ssrc, head.sequence) == (self.lost.ssrc, self.lost.sequence)
            return again or head.payload_type in self._retransmission
        if head.payload_type not in self._media:
            return False
        if self._skip:
            self._skip -= 1
            return False
        self.lost = head
        return True
