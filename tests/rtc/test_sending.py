"""The sender: packets as others read them, sent again when asked for, and a stream that outlives failures."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from importlib import import_module
from itertools import pairwise

import av
import pytest
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import (
    RTCRtcpParameters,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpSendParameters,
)
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    HeaderExtensionsMap,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    RtpPacket,
    is_rtcp,
    pack_remb_fci,
    unwrap_rtx,
)

from guardian.core.config import MediaConfig
from guardian.rtc import compat
from guardian.rtc.compat.frames import is_key_frame, vp8_body
from guardian.rtc.compat.packets import PacketBook
from guardian.rtc.encoding import Order, VideoEncoding
from guardian.rtc.peer import Outgoing, Peer
from tests.rtc.streams import VP8, picture
from tests.rtc.test_encoding import pictures

RTX = RTCRtpCodecParameters(
    mimeType="video/rtx", clockRate=90000, payloadType=98, parameters={"apt": VP8.payloadType}
)
OPUS = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48000, channels=2, payloadType=96)
EXTENSIONS = [
    RTCRtpHeaderExtensionParameters(id=1, uri="urn:ietf:params:rtp-hdrext:sdes:mid"),
    RTCRtpHeaderExtensionParameters(id=3, uri="http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"),
]
PARAMETERS = RTCRtpSendParameters(
    codecs=[VP8, RTX], headerExtensions=EXTENSIONS, muxId="v", rtcp=RTCRtcpParameters(cname="x")
)


class Wire:
    """Stands where the DTLS transport does and keeps what is sent."""

    state = "connected"
    _stats_id = "wire"

    def __init__(self):
        self.sent = []
        self._has_sent = asyncio.Event()
        self._map = HeaderExtensionsMap()
        self._map.configure(PARAMETERS)

    def _register_rtp_sender(self, sender, parameters):
        pass

    def _unregister_rtp_sender(self, sender):
        pass

    async def first_sent(self):
        async with asyncio.timeout(20):
            await self._has_sent.wait()

    async def _send_rtp(self, data):
        self._has_sent.set()
        if not is_rtcp(data):
            self.sent.append((time.monotonic(), RtpPacket.parse(data, self._map)))

    def packets(self, ssrc):
        return [packet for _, packet in self.sent if packet.ssrc == ssrc]


class Camera(MediaStreamTrack):
    """Gives what it is given, 50 times a second; exceptions are raised."""

    kind = "video"

    def __init__(self, media):
        super().__init__()
        self._media = iter(media)

    async def recv(self):
        await asyncio.sleep(0.02)
        try:
            one = next(self._media)
        except StopIteration:
            raise MediaStreamError from None
        if isinstance(one, Exception):
            raise one
        return one


async def send(media, config=None, while_sending=None, parameters=PARAMETERS):
    """The wire and the sender after all of the media were sent."""
    wire = Wire()
    sender = compat.Sender(Camera(media), wire)
    sender.configure(config or MediaConfig())
    await sender.send(parameters)
    if while_sending is not None:
        await while_sending(sender, wire)
    async with asyncio.timeout(20):
        await sender._RTCRtpSender__rtp_exited.wait()
    await sender.stop()
    return wire, sender


def test_stock_is_as_the_sender_counts_on():
    """When this fails, upstream has changed what our subclass stands on."""
    source = inspect.getsource(import_module("aiortc.rtcrtpsender").RTCRtpSender)
    assert "self.__rtp_task = asyncio.ensure_future(self._run_rtp(parameters.codecs[0]))" in source
    assert "run_in_executor(\n                None, self.__encoder.encode" in source, (
        "the loop's own threads (trap K)"
    )
    assert "await self._retransmit(seq)" in source
    assert "self._send_keyframe()" in source
    assert "except Exception:" in source, "any exception ends the stream (trap U)"
    for name in ("rtp_started", "rtp_exited", "rtp_header_extensions_map", "mid", "rtx_payload_type",
                 "packet_count", "octet_count", "ntp_timestamp", "rtp_timestamp", "track"):  # fmt: skip
        assert f"self.__{name}" in source


def test_packets_are_as_others_read_them():
    wire, sender = asyncio.run(send(picture(i) for i in range(5)))
    packets = wire.packets(sender._ssrc)
    frames = [p.timestamp for p in packets if p.marker]
    assert [(later - earlier) % (1 << 32) for earlier, later in pairwise(frames)] == [3000] * 4
    sequence = [p.sequence_number for p in packets]
    assert [(s - sequence[0]) % 65536 for s in sequence] == list(range(len(packets)))
    assert {p.payload_type for p in packets} == {VP8.payloadType}
    assert {p.extensions.mid for p in packets} == {"v"}
    now = int(time.time() * (1 << 18)) & 0xFFFFFF
    assert all((now - p.extensions.abs_send_time) % (1 << 24) < 30 << 18 for p in packets)
    assert sender.counts() == {"resent": 0, "key_frames_sent": 1, "send_failures": 0}


def test_setting_the_clock_moves_no_time_that_is_sent(monkeypatch):
    wall = time.time

    async def set_back(_, wire):
        await wire.first_sent()
        monkeypatch.setattr(time, "time", lambda: wall() - 86_432)

    wire, sender = asyncio.run(send((picture(i) for i in range(5)), while_sending=set_back))
    now = int(wall() * (1 << 18)) & 0xFFFFFF
    packets = wire.packets(sender._ssrc)
    assert all((now - p.extensions.abs_send_time) % (1 << 24) < 30 << 18 for p in packets)


def test_a_packet_is_sent_again_on_the_retransmission_stream():
    async def ask(sender, wire):
        await wire.first_sent()
        lost = wire.sent[0][1].sequence_number
        nack = RtcpRtpfbPacket(RTCP_RTPFB_NACK, 1, sender._ssrc, [lost, lost + 9999])
        for _ in range(3):
            await sender._handle_rtcp_packet(nack)

    wire, sender = asyncio.run(send((picture(i) for i in range(3)), while_sending=ask))
    first = wire.packets(sender._ssrc)[0]
    again = [unwrap_rtx(p, VP8.payloadType, sender._ssrc) for p in wire.packets(sender._rtx_ssrc)]
    assert len(again) == 1, "requests that were under way together are one"
    assert (again[0].sequence_number, again[0].timestamp) == (first.sequence_number, first.timestamp)
    assert again[0].payload == first.payload
    assert sender.counts()["resent"] == 1


def test_requests_cannot_make_it_send_without_end():
    book = PacketBook()
    for i in range(2000):
        book.keep((i, 0, 0), b"x")
    assert book.find(0, 1.0) is None, "gone"
    found = sum(book.find(i, 1.0 + i / 1e6) is not None for i in range(1488, 2000) for _ in range(10))
    assert 0 < found <= 501


def test_a_failing_track_does_not_end_the_stream():
    media = [picture(0), ValueError("x"), ConnectionError("y"), picture(1), picture(2)]
    wire, sender = asyncio.run(send(media))
    assert sum(p.marker for p in wire.packets(sender._ssrc)) == 3
    assert sender.counts()["send_failures"] == 2


def test_a_picture_that_cannot_be_encoded_does_not_end_the_stream():
    damaged = picture(1)
    damaged.pts = None
    wire, sender = asyncio.run(send([picture(0), damaged, picture(2)]))
    assert sum(p.marker for p in wire.packets(sender._ssrc)) == 2
    assert sender.counts()["send_failures"] == 1


def test_key_frames_on_request_and_every_so_often():
    async def ask(sender, _wire):
        await asyncio.sleep(0.5)
        for _ in range(20):
            await sender._handle_rtcp_packet(
                RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=1, media_ssrc=sender._ssrc)
            )

    _, quiet = asyncio.run(send((picture(i) for i in range(30)), while_sending=ask))
    assert quiet.counts()["key_frames_sent"] == 2
    config = MediaConfig(key_frame_every_s=0.4)
    _, steady = asyncio.run(send((picture(i % 20) for i in range(60)), config))
    assert steady.counts()["key_frames_sent"] >= 3


def remb(sender, rate):
    return RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=pack_remb_fci(rate, [sender._ssrc]))


def test_what_the_other_side_can_take_is_kept_and_told():
    told = []

    async def ask(sender, _wire):
        sender.on_bitrate = told.append
        await sender._handle_rtcp_packet(remb(sender, 120_000))
        other = RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=pack_remb_fci(5, [77]))
        await sender._handle_rtcp_packet(other)
        for damaged in (b"", b"REMB", b"REMB\x09\x00\x00\x00", b"x" * 40):
            packet = RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=damaged)
            await sender._handle_rtcp_packet(packet)

    wire, _ = asyncio.run(send(pictures((640, 480), 75), while_sending=ask))
    assert told[0] == pytest.approx(120_000, rel=0.01)
    at = [when for when, _ in wire.sent]
    late = [p for when, p in wire.sent if when > at[-1] - 0.5]
    assert sum(len(p.payload) for p in late) * 8 * 2 < 300_000


def test_a_large_picture_is_paced_and_sound_beside_it_does_not_wait():
    async def run():
        big = next(pictures((1280, 720), 1, noise=200))
        wire = Wire()
        video = compat.Sender(Camera([big]), wire)
        audio = compat.Sender(Voice(), wire)
        await video.send(PARAMETERS)
        await audio.send(RTCRtpSendParameters(codecs=[OPUS], muxId="a", rtcp=RTCRtcpParameters(cname="x")))
        async with asyncio.timeout(20):
            await video._RTCRtpSender__rtp_exited.wait()
        await audio.stop()
        await video.stop()
        return wire, video._ssrc, audio._ssrc

    wire, video, audio = asyncio.run(run())
    times = [when for when, p in wire.sent if p.ssrc == video]
    assert len(times) > 30
    assert times[-1] - times[0] > 0.008
    assert [p.marker for p in wire.packets(video)] == [0] * (len(times) - 1) + [1]
    heard = [when for when, p in wire.sent if p.ssrc == audio]
    between = [when for when in heard if times[0] < when < times[-1]]
    assert between or max(b - a for a, b in pairwise(heard)) < 0.1


class Voice(MediaStreamTrack):
    """Encoded silence, every 5 ms."""

    kind = "audio"

    def __init__(self):
        super().__init__()
        self._at = 0

    async def recv(self):
        await asyncio.sleep(0.005)
        packet = av.Packet(b"\xf8\xff\xfe")
        packet.pts, packet.time_base = self._at, picture().time_base
        self._at += 240
        return packet


def test_the_encoder_has_a_thread_of_its_own_that_ends_with_the_stream():
    def encoders():
        return {t for t in threading.enumerate() if t.name.startswith("encode-")}

    seen = set()

    async def look(_sender, wire):
        await wire.first_sent()
        seen.update(encoders())

    # Those of earlier tests may still be ending.
    before = encoders()
    asyncio.run(send((picture(i) for i in range(3)), while_sending=look))
    (own,) = seen - before
    own.join(20)
    assert not own.is_alive()


def test_the_ticket_of_a_picture_is_told():
    told = []
    frame = picture()
    frame.opaque = compat.Ticket(lambda ms, done: told.append((ms, done, threading.current_thread().name)))
    asyncio.run(send([frame]))
    (ms, done, thread), = told  # fmt: skip
    assert ms > 0
    assert done <= time.monotonic()
    assert thread.startswith("encode-")


def test_who_keeps_a_picture_is_given_what_is_sent():
    kept, frames = [], [picture(i) for i in range(3)]
    for frame in frames:
        frame.opaque = compat.Ticket(lambda _ms, _done: None, lambda *encoded: kept.append(encoded))
    wire, sender = asyncio.run(send(frames))
    assert [(codec, key) for codec, _, key in kept] == [("VP8", True), ("VP8", False), ("VP8", False)]
    sent = b"".join(vp8_body(packet.payload) for packet in wire.packets(sender._ssrc))
    assert sent == b"".join(data for _, data, _ in kept)


def test_stopping_while_a_picture_is_being_encoded_does_not_wait_for_it():
    begun, release, over = threading.Event(), threading.Event(), threading.Event()
    frame = picture()

    def encoding(_ms, _done):
        begun.set()
        release.wait(60)
        over.set()

    frame.opaque = compat.Ticket(encoding)

    async def run():
        sender = compat.Sender(Camera([frame, frame]), Wire())
        await sender.send(PARAMETERS)
        assert await asyncio.to_thread(begun.wait, 20)
        await sender.stop()
        return over.is_set()

    try:
        assert not asyncio.run(run())
    finally:
        release.set()


def test_encoded_pictures_pass_as_they_are():
    encoding = VideoEncoding("VP8")
    film = [encoding.encode(picture(i), Order(500_000, 0, key=False)) for i in range(4)]

    def packets():
        for one in film:
            packet = av.Packet(one.data)
            packet.pts, packet.time_base = one.timestamp, picture().time_base
            yield packet

    wire, sender = asyncio.run(send(packets()))
    frames = b"".join(p.payload[4:] for p in wire.packets(sender._ssrc))
    assert frames == b"".join(one.data for one in film)
    assert sender.counts()["key_frames_sent"] == 1


def test_after_the_packets_of_others_a_stream_of_its_own_begins():
    others, own = VideoEncoding("VP8"), [picture(i) for i in (0, 1, 4, 5)]
    relayed = []
    for i in (2, 3):
        encoded = others.encode(picture(i), Order(500_000, 0, key=False))
        packet = av.Packet(encoded.data)
        packet.pts, packet.time_base = encoded.timestamp, picture().time_base
        relayed.append(packet)
    wire, sender = asyncio.run(send([*own[:2], *relayed, *own[2:]]))
    keys = [p.timestamp for p in wire.packets(sender._ssrc) if begins_key_frame(p)]
    first = keys[0]
    assert [(at - first) % (1 << 32) // 3000 for at in keys] == [0, 2, 4]


def begins_key_frame(packet):
    begins = packet.payload[0] & 0x10
    return bool(begins) and is_key_frame("VP8", packet.payload[4:])


BROWSERS = {
    "Chromium, constrained baseline": ["42e01f;packetization-mode=1", "42e01f;packetization-mode=0"],
    "Chromium, baseline": ["42001f;packetization-mode=1"],
    "Safari": ["640c1f;packetization-mode=1", "42e01f;packetization-mode=1"],
    "level 5.2": ["42e034;packetization-mode=1"],
    "another way to write constrained baseline": [
        "4d801f;packetization-mode=1",
        "42e015;packetization-mode=1",
    ],
}


def h264_offer(formats):
    """What a browser offers that sends and takes nothing but H.264 in these formats."""
    lines = [f"a=rtpmap:{96 + i} H264/90000" for i in range(len(formats))]
    for i, one in enumerate(formats):
        profile, mode = one.split(";")
        lines.append(f"a=fmtp:{96 + i} level-asymmetry-allowed=1;{mode};profile-level-id={profile}")
        lines += [f"a=rtcp-fb:{96 + i} {kind}" for kind in ("goog-remb", "nack", "nack pli", "ccm fir")]
    numbers = " ".join(str(96 + i) for i in range(len(formats)))
    head = [
        "v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0",
        f"m=video 9 UDP/TLS/RTP/SAVPF {numbers}", "c=IN IP4 0.0.0.0", "a=mid:0", "a=sendrecv",
        "a=rtcp-mux", "a=ice-ufrag:abcd", "a=ice-pwd:" + "x" * 24, "a=setup:actpass",
        "a=fingerprint:sha-256 " + ":".join(["AA"] * 32),
    ]  # fmt: skip
    return "\r\n".join([*head, *lines, ""])


@pytest.mark.parametrize("formats", BROWSERS.values(), ids=BROWSERS.keys())
def test_the_h264_of_browsers_is_agreed_on(formats):
    async def run():
        peer = Peer(MediaConfig(), Outgoing(Voice(), Camera([])))
        try:
            return await peer.answer(h264_offer(formats))
        finally:
            await peer.close()

    answer = asyncio.run(run())
    assert "H264/90000" in answer
    assert "packetization-mode=1" in answer
    assert "m=video 0" not in answer
