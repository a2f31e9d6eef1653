"""Malformed and hostile RTP and RTCP, as if the other side had signed it: read, counted, or dropped."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import cache
from types import SimpleNamespace

import pytest
from aiortc import RTCRtpCodecParameters
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtcdtlstransport import RTCCertificate, State
from aiortc.rtcrtpparameters import (
    RTCRtcpParameters,
    RTCRtpDecodingParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpReceiveParameters,
    RTCRtpRtxParameters,
    RTCRtpSendParameters,
)
from aiortc.rtp import RtcpByePacket
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from guardian.rtc import compat
from guardian.rtc.compat.incoming import FreshTrack
from guardian.rtc.compat.transport import Transport
from tests.fuzz.packets import corpus, mutate
from tests.rtc.streams import H264, VP8, film, packets

SSRC, RTX_SSRC, VOICE, OWN = 1234, 99, 1235, 0x1267
RTX = RTCRtpCodecParameters(mimeType="video/rtx", clockRate=90000, payloadType=98, parameters={"apt": 97})
OPUS = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48000, channels=2, payloadType=96)
EXTENSIONS = [
    RTCRtpHeaderExtensionParameters(id=1, uri="urn:ietf:params:rtp-hdrext:sdes:mid"),
    RTCRtpHeaderExtensionParameters(id=2, uri="urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
    RTCRtpHeaderExtensionParameters(id=3, uri="http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"),
]


@cache
def certificate():
    return RTCCertificate.generateCertificate()


class Unsigned:
    """An SRTP session without keys: what comes has been signed, so to say, by the other side."""

    def unprotect(self, data):
        return data

    unprotect_rtcp = protect = protect_rtcp = unprotect


class Still(MediaStreamTrack):
    """A camera that shows nothing."""

    kind = "video"

    async def recv(self):
        await asyncio.sleep(3600)


class Leg:
    """A transport with all that hangs on it in a call."""

    def __init__(self):
        compat.apply()
        self.datagrams = []
        ice = SimpleNamespace(_recv=self._next, _send=self._sent)
        self.transport = Transport(ice, [certificate()])
        self.transport._ssl = SimpleNamespace(DTLSv1_get_timeout=lambda: None)
        self.transport._rx_srtp = self.transport._tx_srtp = Unsigned()
        self.transport._state = State.CONNECTED
        self.video = compat.Receiver("video", self.transport)
        self.audio = compat.Receiver("audio", self.transport)
        self.sender = compat.Sender(Still(), self.transport)
        self.sender._ssrc = OWN
        self.frames = []

    async def _next(self):
        return self.datagrams.pop(0)

    async def _sent(self, data):
        pass

    async def open(self):
        for receiver, codecs, ssrc in (
            (self.video, [VP8, RTX, H264], SSRC),
            (self.audio, [OPUS], VOICE),
        ):
            receiver._track = FreshTrack("video" if receiver is self.video else "audio")
            receiver._set_rtcp_ssrc(OWN)
            rtx = RTCRtpRtxParameters(ssrc=RTX_SSRC) if receiver is self.video else None
            encoding = RTCRtpDecodingParameters(ssrc=ssrc, payloadType=codecs[0].payloadType, rtx=rtx)
            await receiver.receive(
                RTCRtpReceiveParameters(codecs=codecs, encodings=[encoding], headerExtensions=EXTENSIONS)
            )
            receiver.pass_on(self.frames.append)
        await self.sender.send(
            RTCRtpSendParameters(
                codecs=[VP8, RTX], headerExtensions=EXTENSIONS, rtcp=RTCRtcpParameters(cname="x")
            )
        )

    async def close(self):
        async with asyncio.timeout(5):
            for part in (self.sender, self.video, self.audio):
                await part.stop()

    async def receive(self, *datagrams):
        """Anything that is raised here would have ended the call."""
        for datagram in datagrams:
            self.datagrams.append(datagram)
            await self.transport._recv_next()

    def is_bounded(self):
        """Whether nothing has grown."""
        private = "_RTCRtpReceiver__"
        tables = [
            len(getattr(receiver, private + name))
            for receiver in (self.video, self.audio)
            for name in ("active_ssrc", "remote_streams", "lsr", "lsr_time")
        ]
        return max(tables) <= 4 and len(self.transport._rtp_router.ssrc_table) <= 32


@asynccontextmanager
async def leg():
    one = Leg()
    await one.open()
    try:
        yield one
    finally:
        await one.close()


async def still_receives(one):
    """Whether a picture still gets through: of a sender that begins anew."""
    if one.video._intake.ssrc is not None:
        await one.receive(bytes(RtcpByePacket([one.video._intake.ssrc])))
    before = len(one.frames)
    for packet in packets(film(VP8, 2), ssrc=777, first=100):
        await one.receive(packet.serialize())
    return sum(frame.key for frame in one.frames[before:] if frame.codec == "VP8") >= 1


@pytest.mark.parametrize("name", corpus("rtp", "rtcp", "stun"))
def test_kept_packets_end_nothing(name):
    async def scenario():
        async with leg() as one:
            datagram = corpus("rtp", "rtcp", "stun")[name]
            await one.receive(*[datagram] * 3)
            assert one.is_bounded()
            return await still_receives(one)

    assert asyncio.run(scenario())


def test_all_kept_packets_one_after_the_other_end_nothing():
    async def scenario():
        async with leg() as one:
            await one.receive(*corpus("rtp", "rtcp", "stun").values())
            assert one.is_bounded()
            assert one.video.counts()["malformed"] > 5
            return await still_receives(one)

    assert asyncio.run(scenario())


def test_a_million_made_up_senders_leave_nothing_behind():
    """Three thousand, and what is kept of each: nothing."""

    async def scenario():
        async with leg() as one:
            body = bytes.fromhex("1011020000000000")
            for ssrc in range(3000):
                head = bytes([0x80, 0xE1]) + (ssrc % 65536).to_bytes(2) + bytes(4) + ssrc.to_bytes(4)
                report = bytes.fromhex("80c80006") + ssrc.to_bytes(4) + bytes(20)
                await one.receive(head + body, b"\x80\xe0" + head[2:] + b"\xf8\xff\xfe", report)
            assert one.is_bounded()
            await asyncio.sleep(0.25)
            return await still_receives(one)

    assert asyncio.run(scenario())


def mutated(names):
    """A kept packet with some bytes changed, cut, or more behind it."""
    seeds = st.sampled_from(list(corpus(*names).values()))
    changes = st.lists(st.tuples(st.integers(0, 63), st.integers(0, 255)), max_size=4)
    return st.builds(mutate, seeds, changes, st.integers(0, 64), st.binary(max_size=12))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(mutated(("rtp", "rtcp")) | st.binary(max_size=80), min_size=5, max_size=60))
@example([b"", b"\x80", b"\x80\xc8", b"\x80" * 1501, b"\x80" * 65507])
def test_whatever_is_sent_ends_nothing(datagrams):
    async def scenario():
        async with leg() as one:
            await one.receive(*datagrams)
            assert one.is_bounded()
            assert len(one.video._queue) <= 60
            await one.receive(*[p.serialize() for p in packets(film(VP8, 1), ssrc=SSRC, first=0)])

    asyncio.run(scenario())
