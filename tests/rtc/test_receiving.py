"""The receiver as a whole, on a transport that only writes down what is sent."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import re
import threading
import time

import pytest
from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import (
    RTCRtpCodecParameters,
    RTCRtpDecodingParameters,
    RTCRtpReceiveParameters,
    RTCRtpRtxParameters,
)
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpByePacket,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    RtpPacket,
    unpack_remb_fci,
    wrap_rtx,
)

from guardian.rtc import compat
from guardian.rtc.compat import receiving
from guardian.rtc.compat.incoming import FreshTrack
from tests.patience import least
from tests.rtc.streams import SSRC, VP8, film, packets, vp8_stream

RTX = RTCRtpCodecParameters(mimeType="video/rtx", clockRate=90000, payloadType=98, parameters={"apt": 97})
OPUS = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48000, channels=2, payloadType=96)
OWN = 4711


class Wire:
    """A transport that writes down what a receiver sends."""

    state = "connected"
    _stats_id = "wire"

    def __init__(self):
        self.sent = []

    def _register_rtp_receiver(self, receiver, parameters):
        pass

    def _unregister_rtp_receiver(self, receiver):
        pass

    async def _send_rtp(self, data):
        self.sent += [(time.monotonic(), packet) for packet in RtcpPacket.parse(data)]

    def of(self, kind, fmt):
        return [p for _, p in self.sent if isinstance(p, kind) and p.fmt == fmt]

    @property
    def plis(self):
        return [p.media_ssrc for p in self.of(RtcpPsfbPacket, RTCP_PSFB_PLI)]

    @property
    def nacks(self):
        return [p.lost for p in self.of(RtcpRtpfbPacket, RTCP_RTPFB_NACK)]

    @property
    def rembs(self):
        return [unpack_remb_fci(p.fci) for p in self.of(RtcpPsfbPacket, RTCP_PSFB_APP)]


class Receiving:
    """A receiver at work, ours or stock's; stopped at the end."""

    def __init__(self, kind="video", receiver=compat.Receiver, track=FreshTrack, decodes=True):
        compat.apply()
        self.wire = Wire()
        self.receiver = receiver(kind, self.wire)
        self.receiver._track = track(kind)
        self.receiver._set_rtcp_ssrc(OWN)
        self.codecs = [VP8, RTX] if kind == "video" else [OPUS]
        self.frames = []
        if isinstance(self.receiver, compat.Receiver):
            self.receiver.pass_on(self.frames.append)
            self.receiver.decodes = decodes

    async def __aenter__(self):
        encoding = RTCRtpDecodingParameters(
            ssrc=SSRC, payloadType=self.codecs[0].payloadType, rtx=RTCRtpRtxParameters(ssrc=99)
        )
        await self.receiver.receive(RTCRtpReceiveParameters(codecs=self.codecs, encodings=[encoding]))
        return self

    async def __aexit__(self, *error):
        async with asyncio.timeout(5):
            await self.receiver.stop()

    async def give(self, *packets):
        for packet in packets:
            await self.receiver._handle_rtp_packet(packet, int(time.monotonic() * 1000))

    @property
    def timestamps(self):
        return [frame.timestamp for frame in self.frames]


async def until(true, limit_s=5.0):
    async with asyncio.timeout(limit_s):
        while not true():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.005)


def test_the_private_members_that_are_counted_on_are_there():
    source = inspect.getsource(RTCRtpReceiver)
    used = set(re.findall(r"_RTCRtpReceiver__(\w+)", inspect.getsource(receiving)))
    assert len(used) > 8
    assert [name for name in used if f"self.__{name}" not in source and f"def __{name}" not in source] == []


def test_a_lost_packet_is_asked_for_given_up_and_a_key_frame_asked_for_instead():
    async def scenario():
        async with Receiving(decodes=False) as at:
            stream = vp8_stream(3)
            await at.give(stream[0], stream[2])
            assert at.wire.nacks == [[1]], "at once"
            await until(lambda: at.wire.plis)  # Though no other packet comes.
            assert at.wire.plis == [SSRC], "of the stream, not of its retransmissions"
            assert len(at.wire.nacks) >= 2
            assert [(f.timestamp, f.after_loss) for f in at.frames] == [(0, False), (6000, True)]
            await until(lambda: len(at.wire.plis) == 2)
            await at.give(*vp8_stream(1, first=3, timestamp=9000))
            assert at.frames[-1].key
            asked = len(at.wire.plis)
            await asyncio.sleep(0.5)
            assert len(at.wire.plis) == asked
            assert at.receiver.counts()["key_frames"] == 2

    asyncio.run(scenario())


def test_a_packet_sent_again_by_rtx_closes_the_gap():
    async def scenario():
        async with Receiving(decodes=False) as at:
            stream = vp8_stream(3)
            await at.give(stream[0], stream[2])
            await at.give(wrap_rtx(stream[1], payload_type=98, sequence_number=5, ssrc=99))
            await asyncio.sleep(0.2)
            assert at.timestamps == [0, 3000, 6000]
            assert at.wire.plis == []
            assert at.receiver.counts()["recovered"] == 1
            assert "rtt_ms" in at.receiver.counts()

    asyncio.run(scenario())


def test_rubbish_as_rtx_is_nobodys():
    async def scenario():
        async with Receiving(decodes=False) as at:
            await at.give(RtpPacket(98, 0, 1, 0, 99, b""))
            await at.give(*vp8_stream(1))
            for payload in (b"", b"\x00", b"\x00\x05", b"\x00\x05\x10", b"\xff\xff\x90"):
                await at.give(RtpPacket(98, 0, 1, 0, 99, payload))
                await at.give(RtpPacket(98, 0, 1, 0, 12345, payload))
            await at.give(*vp8_stream(3, keys=(), first=1, timestamp=3000))
            assert at.timestamps == [0, 3000, 6000, 9000]

    asyncio.run(scenario())


def test_a_key_frame_wanted_before_the_first_packet_is_asked_for_then():
    async def scenario():
        async with Receiving(decodes=False) as at:
            at.receiver.request_key_frame()
            await asyncio.sleep(0.1)
            assert at.wire.sent == []
            await at.give(*vp8_stream(1, keys=()))
            assert at.wire.plis == [SSRC]

    asyncio.run(scenario())


def test_however_often_a_key_frame_is_wanted_few_requests_are_sent():
    async def scenario():
        async with Receiving(decodes=False) as at:
            await at.give(*vp8_stream(1))
            for _ in range(100):
                at.receiver.request_key_frame()
                await asyncio.sleep(0.01)
            assert 2 <= len(at.wire.plis) <= 6

    asyncio.run(scenario())


def test_the_sender_is_never_told_more_than_the_ceiling_and_a_lower_one_at_once():
    async def scenario():
        async with Receiving(decodes=False) as at:
            at.receiver.ceiling = 800_000
            await asyncio.sleep(0.05)
            assert at.wire.rembs == [], "nobody sends yet"
            await at.give(*vp8_stream(1))
            assert at.wire.rembs == [(800_000, [SSRC])]
            at.receiver.ceiling = 300_000
            await until(lambda: len(at.wire.rembs) == 2, 0.3)
            assert at.wire.rembs[-1] == (300_000, [SSRC])
            at.receiver.ceiling = 600_000
            await asyncio.sleep(0.05)
            assert len(at.wire.rembs) == 2, "a higher one has time"
            await asyncio.sleep(0.5)
            await at.give(*vp8_stream(1, first=1))
            assert at.wire.rembs[-1][0] == 600_000
            at.receiver.ceiling = None
            await asyncio.sleep(0.6)
            await at.give(*vp8_stream(1, first=2))
            assert len(at.wire.rembs) == 3

    asyncio.run(scenario())


def test_stocks_estimate_is_told_below_the_ceiling():
    async def scenario():
        async with Receiving(decodes=False) as at:
            at.receiver.ceiling = 10_000_000
            for i, packet in enumerate(vp8_stream(400)):
                packet.extensions.abs_send_time = i * 0x1000
                await at.receiver._handle_rtp_packet(packet, 1000 + i * 16)
            rates = {rate for rate, _ in at.wire.rembs}
            assert 10_000_000 in rates
            assert min(rates) < 1_000_000

    asyncio.run(scenario())


def test_an_ssrc_for_every_packet_leaves_nothing_behind():
    async def scenario(kind):
        async with Receiving(kind) as at:
            codec = at.codecs[0]
            for i in range(3000):
                await at.give(RtpPacket(codec.payloadType, 1, i % 65536, i * 960, i, b"\x10\x11" + bytes(9)))
                await at.give(RtpPacket(98, 1, i % 65536, i, 10_000 + i, b"\x00\x00abc"))
                info = RtcpSenderInfo(1, 2, 3, 4)
                await at.receiver._handle_rtcp_packet(RtcpSrPacket(ssrc=i, sender_info=info))
            private = "_RTCRtpReceiver__"
            for name in ("active_ssrc", "remote_streams", "lsr", "lsr_time"):
                assert len(getattr(at.receiver, private + name)) <= 4, name
            assert len(at.receiver._limit._estimator.ssrcs) <= 4

    asyncio.run(scenario("video"))
    asyncio.run(scenario("audio"))


def test_handlers_raise_nothing_whatever_comes():
    async def scenario(kind):
        async with Receiving(kind) as at:
            for packet in (
                RtpPacket(97, 1, 0, 0, SSRC, b"\xff"),
                RtpPacket(96, 1, 0, 0, SSRC, b""),
                RtpPacket(98, 1, 0, 0, 99, b"\x01"),
                RtpPacket(97, 1, 0, 0, SSRC, None),
            ):
                await at.give(packet)
            report = RtcpReceiverInfo(SSRC, 0, 0, 0, 0, 0, 0)
            for packet in (
                RtcpByePacket([SSRC] * 31),
                RtcpSrPacket(SSRC, RtcpSenderInfo(1 << 64, 0, 0, 0)),
                RtcpRrPacket(1, [report]),
                RtcpPsfbPacket(RTCP_PSFB_APP, 1, 0, b"REMB\xff\x00\x00\x00"),
                None,
            ):
                await at.receiver._handle_rtcp_packet(packet)
        return at.receiver.counts()["malformed"]

    assert asyncio.run(scenario("video")) > 0
    asyncio.run(scenario("audio"))


def test_a_stream_that_says_goodbye_is_followed_by_the_next():
    """Stock stops decoding for good: the page behind an SFU that was loaded anew is never seen again."""

    async def scenario():
        async with Receiving() as at:
            await at.give(*packets(film(VP8, 2)))
            await at.receiver._handle_rtcp_packet(RtcpByePacket([SSRC]))
            await at.give(*packets(film(VP8, 2), ssrc=77, first=5000, timestamp=12345))
            assert [frame.key for frame in at.frames] == [True, False, True, False]
            gap = at.frames[2].timestamp - at.frames[1].timestamp
            assert 0 < gap <= 2 * 90_000, "time goes on"
            async with asyncio.timeout(5):
                frames = [await at.receiver.track.recv() for _ in range(3)]
            assert all(compat.stamp_of(frame).whole for frame in frames)

    asyncio.run(scenario())


class Slow:
    """A decoder that takes its time."""

    def __init__(self, seconds, started):
        self.seconds, self.started = seconds, started

    def decode(self, frame):
        self.started.set()
        time.sleep(self.seconds)
        return []


@pytest.fixture
def decoder(monkeypatch):
    """Makes decoders slow; returns an event that is set when one begins."""

    def slow(seconds):
        started = threading.Event()
        monkeypatch.setattr("guardian.rtc.compat.decoding.get_decoder", lambda codec: Slow(seconds, started))
        return started

    return slow


def test_a_slow_decoder_costs_pictures_never_memory(decoder):
    decoder(0.1)

    async def scenario():
        async with Receiving() as at:
            for packet in vp8_stream(400, keys=(0, 300)):
                await at.give(packet)
                assert len(at.receiver._queue) <= 60
                await asyncio.sleep(0.0005)
            counts = at.receiver.counts()
            assert counts["dropped_behind"] > 200
            assert len(at.frames) == 400, "the relay gets all of them"
            await until(lambda: at.wire.plis)

    asyncio.run(scenario())


def test_a_track_that_nobody_reads_costs_pictures_never_memory():
    async def scenario():
        async with Receiving() as at:
            await at.give(*packets(film(VP8, 30)))
            await until(lambda: at.receiver.counts()["dropped_unread"] >= 27)
            assert at.receiver.track._queue.qsize() <= 3

    asyncio.run(scenario())


async def blocked_by_stopping(at):
    """Seconds for which the loop stood still while a receiver was stopped."""
    longest, last, running = 0.0, time.monotonic(), True

    async def beat():
        nonlocal longest, last
        while running:
            now = time.monotonic()
            longest, last = max(longest, now - last), now
            await asyncio.sleep(0.002)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(beat())
        await asyncio.sleep(0.01)
        await at.receiver.stop()
        await asyncio.sleep(0.01)
        running = False
    return longest


def test_stock_stands_still_until_the_backlog_is_decoded():
    """When this fails, upstream does not join its thread on the event loop any more."""
    stock = importlib.util.module_from_spec(spec := importlib.util.find_spec("aiortc.rtcrtpreceiver"))
    spec.loader.exec_module(stock)
    started = threading.Event()
    stock.get_decoder = lambda codec: Slow(0.1, started)

    async def scenario():
        async with Receiving(receiver=stock.RTCRtpReceiver, track=stock.RemoteStreamTrack) as at:
            for i in range(5):
                at.receiver._RTCRtpReceiver__decoder_queue.put((VP8, JitterFrame(b"", i)))
            await asyncio.to_thread(started.wait, 5)
            return await blocked_by_stopping(at)

    assert asyncio.run(scenario()) > 0.3


def test_ours_stops_at_once_with_a_backlog_and_a_decoder_that_is_stuck(decoder):
    async def scenario():
        started = decoder(1.0)
        at = Receiving()
        async with at:
            await at.give(*vp8_stream(50))
            await asyncio.to_thread(started.wait, 5)
            blocked = await blocked_by_stopping(at)
        assert at.receiver.track._queue.qsize() > 0, "who reads the track is told"
        return blocked

    assert least(lambda: asyncio.run(scenario()), 0.1) < 0.1
    assert all(t.daemon for t in threading.enumerate() if "decoder" in t.name)


def test_no_thread_is_left():
    async def scenario():
        for kind in ("video", "audio"):
            async with Receiving(kind) as at:
                await at.give(*packets(film(VP8, 3)))

    before = set(threading.enumerate())
    asyncio.run(scenario())
    deadline = time.monotonic() + 5
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(threading.enumerate()) - before == set()


def test_reports_are_written_whatever_the_timestamps_were():
    async def scenario():
        async with Receiving() as at:
            for i in range(300):
                await at.give(RtpPacket(97, 1, i, (i % 2) * 0xFFFFFFF0, SSRC, b"\x10\x11" + bytes(9)))
            await until(lambda: any(isinstance(p, RtcpRrPacket) for _, p in at.wire.sent))

    asyncio.run(scenario())
