"""What an incoming video's sender is told it may send: stock's estimate above a floor and below a ceiling."""

from __future__ import annotations

from aiortc.rate import RemoteBitrateEstimator
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, RtpPacket, pack_remb_fci

_TOLD_EVERY_S = 0.5
LEAST = 150_000
"""Bits per second below which an estimate is not told: packets that wait for a busy process look like a full
line, and with less browsers send a picture a second."""
_GROUP = 1310
"""5 ms, in units of abs-send-time: 2^-18 s."""


class BitrateLimit:
    """Decides when to send which REMB (draft-alvestrand-rmcat-remb-03). Times: monotonic seconds."""

    def __init__(self) -> None:
        self._estimator = RemoteBitrateEstimator()
        self._ceiling: int | None = None
        self._estimate: int | None = None
        self._told: int | None = None
        self._told_at = 0.0
        self._news = False
        self._bytes = 0
        self._first_sent = self._sent = self._arrived = self._ssrc = 0

    @property
    def ceiling(self) -> int | None:
        """Bits per second the sender is never allowed to exceed; None for no such limit."""
        return self._ceiling

    @ceiling.setter
    def ceiling(self, ceiling: int | None) -> None:
        self._ceiling = None if ceiling is None else max(0, ceiling)
        if self._ceiling is not None and (self._told is None or self._told > self._ceiling):
            self._told_at = 0.0

    def restart(self) -> None:
        """Another stream begins; the line is the same."""
        self._estimator.ssrcs.clear()

    def saw(self, packet: RtpPacket, arrival_ms: int) -> None:
        """A packet has come.

        Those sent within 5 ms are told to the estimator as one: it groups them anyway, at a higher cost.
        """
        sent = packet.extensions.abs_send_time
        if sent is None:
            return
        if self._bytes and ((sent - self._first_sent) & 0xFFFFFF > _GROUP or packet.ssrc != self._ssrc):
            self._estimate_anew()
        if not self._bytes:
            self._first_sent = sent
        self._bytes += len(packet.payload) + packet.padding_size
        self._sent, self._arrived, self._ssrc = sent, arrival_ms, packet.ssrc
        if packet.marker:
            self._estimate_anew()

    def _estimate_anew(self) -> None:
        found = self._estimator.add(
            abs_send_time=self._sent,
            arrival_time_ms=self._arrived,
            payload_size=self._bytes,
            ssrc=self._ssrc,
        )
        self._bytes = 0
        if found is not None:
            self._estimate = max(found[0], LEAST)
            self._news = True

    def is_due(self, now: float) -> bool:
        """Whether to tell something: a new estimate, a lower ceiling, or either again as reports get lost."""
        return self._news or (self._ceiling is not None and now - self._told_at >= _TOLD_EVERY_S)

    def report(self, own_ssrc: int, ssrcs: list[int], now: float) -> RtcpPsfbPacket | None:
        """What to tell; None when there is nothing to say."""
        known = [rate for rate in (self._estimate, self._ceiling) if rate is not None]
        if not known:
            return None
        self._told, self._told_at, self._news = min(known), now, False
        fci = pack_remb_fci(self._told, ssrcs)
        return RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=own_ssrc, media_ssrc=0, fci=fci)
