"""What a receiver makes of packets of sound, and of what is none."""

from __future__ import annotations

import asyncio

from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from aiortc.rtp import RtpPacket

from guardian.core.config import MediaConfig
from guardian.demo.peers import new_peer
from guardian.rtc import compat
from guardian.rtc.compat.sound_jitter import WAIT_S
from guardian.rtc.opus import SILENCE
from guardian.rtc.peer import Outgoing, Peer

OPUS = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48000, channels=2, payloadType=96)


class Transport:
    """One that carries nothing."""

    state = "connected"

    def _register_rtp_receiver(self, receiver, parameters):
        pass

    def _unregister_rtp_receiver(self, receiver):
        pass

    async def _send_rtp(self, data):
        pass


def packet(index, timestamp=None, payload_type=96, payload=SILENCE):
    one = RtpPacket(
        payload_type=payload_type,
        sequence_number=index,
        timestamp=index * 960 if timestamp is None else timestamp,
        ssrc=7,
    )
    one.payload = payload
    return one


def received(packets):
    """What is passed on of packets that come one after another, and after the wait for what is missing."""

    async def main():
        compat.apply()
        receiver = compat.Receiver("audio", Transport())
        receiver._track = RemoteStreamTrack("audio")
        passed = []
        receiver.pass_on(passed.append)
        receiver.decodes = False
        await receiver.receive(RTCRtpReceiveParameters(codecs=[OPUS], muxId="0"))
        for one in packets:
            await receiver._handle_rtp_packet(one, 0)
        at_once = len(passed)
        await asyncio.sleep(WAIT_S * 2)
        await receiver.stop()
        return at_once, passed

    return asyncio.run(main())


def test_a_piece_says_how_long_it_is_and_what_is_missing_before_it():
    at_once, passed = received([packet(i) for i in (0, 1, 4, 5)])
    assert at_once == 2, "what is beyond a gap waits for what is missing"
    assert [frame.timestamp for frame in passed] == [0, 960, 3840, 4800]
    assert [frame.lost_s for frame in passed] == [0, 0, 0.04, 0]
    assert [frame.seconds for frame in passed] == [0.02] * 4
    assert {frame.codec for frame in passed} == {"opus"}
    assert [frame.after_loss for frame in passed] == [False, False, True, False]


def test_digits_and_other_codecs_are_ignored_quietly():
    """Telephone events (RFC 4733) take sequence numbers of the voice, not its time."""
    packets, voices = [], 0
    for index in range(20):
        voice = index % 5 != 3
        packets.append(packet(index, voices * 960, *(() if voice else (101, b"1234"))))
        voices += voice
    _, passed = received(packets)
    assert len(passed) == 16
    assert sum(frame.lost for frame in passed) == 0
    assert len({frame.stream for frame in passed}) == 1


def test_padding_and_broken_packets_stop_nothing():
    _, passed = received([packet(0), packet(1, payload=b""), packet(2, payload=b"\xff"), packet(3)])
    assert [frame.timestamp for frame in passed] == [0, 1920, 2880]


def test_nothing_but_opus_is_promised():
    async def main():
        pc = new_peer()
        pc.addTransceiver("audio", direction="sendrecv")
        peer = Peer(MediaConfig(), Outgoing())
        try:
            await pc.setLocalDescription(await pc.createOffer())
            offer = pc.localDescription.sdp
            first = offer.split("m=audio ")[1].split("\r\n")[0]
            offer = offer.replace(first, f"{first} 63 110").replace(
                "a=rtcp-mux", "a=rtpmap:63 red/48000/2\r\na=fmtp:63 96/96\r\n"
                "a=rtpmap:110 telephone-event/48000\r\na=rtcp-mux", 1,
            )  # fmt: skip
            return await peer.answer(offer)
        finally:
            await peer.close()
            await pc.close()

    maps = [line for line in asyncio.run(main()).splitlines() if line.startswith("a=rtpmap:")]
    assert maps == ["a=rtpmap:96 opus/48000/2"]
