"""Video frames out of packets: complete frames leave at once, on the RTP marker.

Stock aiortc holds a complete frame until a packet of the next one arrives, and lets one leave a packet.
"""

from __future__ import annotations

import time

from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket

from guardian.rtc.compat.frames import StampedFrame


class VideoJitter(JitterBuffer):
    """Releases every complete frame at once: on the marker bit (RFC 3550 5.1, RFC 7741 4.1)."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity, is_video=True)
        self._lost = False

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Stock; the first frame after packets were given up is marked."""
        lost, frame = super().add(packet)
        self._lost |= lost
        if self._lost and isinstance(frame, StampedFrame):
            frame.after_loss, self._lost = True, False
        return lost, frame

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        now = time.monotonic()
        first: StampedFrame | None = None
        while (frame := self._complete_frame(now)) is not None:
            if first is None:
                first = frame
            else:
                first.following.append(frame)
        return first

    def _complete_frame(self, now: float) -> StampedFrame | None:
        """Takes the frame at the origin if all its packets are here."""
        packets: list[RtpPacket] = []
        if self._origin is None:
            return None
        for count in range(self.capacity):
            packet = self._packets[(self._origin + count) % self._capacity]
            if packet is None:
                return None
            if packets and packet.timestamp != packets[0].timestamp:
                break
            packets.append(packet)
            if packet.marker:
                break
        self.remove(len(packets))
        data = b"".join(p._data for p in packets)  # type: ignore[attr-defined]  # set by the receiver
        return StampedFrame(data, packets[0].timestamp, now)
