"""Offers are cut down to one audio and one video track; nothing else gets in."""

from __future__ import annotations

import asyncio
import re

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from guardian.core.config import MediaConfig
from guardian.core.errors import OfferRefused
from guardian.rtc.offers import read_fragment, reduce_offer
from guardian.rtc.peer import Outgoing, Peer

HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=msid-semantic: WMS *\r\n"
DIGEST = "sha-256 " + ":".join(["4A"] * 32)
TRANSPORT = (
    f"a=ice-ufrag:4ZcD\r\na=ice-pwd:2/1muCWoOi3uLifh0NuRHlhq\r\na=fingerprint:{DIGEST}\r\na=setup:actpass\r\n"
)
CODECS = {
    "audio": (111, "a=rtpmap:111 opus/48000/2\r\n"),
    "video": (96, "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\n"),
}


def section(kind, mid, extra="", codecs=None, direction="sendrecv"):
    payload, lines = codecs or CODECS[kind]
    return (
        f"m={kind} 9 UDP/TLS/RTP/SAVPF {payload}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na={direction}\r\n"
        f"a=rtcp-mux\r\n{TRANSPORT}{lines}{extra}"
    )


def offer(*sections):
    mids = " ".join(re.search("a=mid:(.*)\r", one)[1] for one in sections)
    return HEAD + f"a=group:BUNDLE {mids}\r\n" + "".join(sections)


def h264(payload, profile, mode=1):
    fmtp = f"level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={profile}"
    return payload, f"a=rtpmap:{payload} H264/90000\r\na=fmtp:{payload} {fmtp}\r\n"


def test_simulcast_is_reduced_to_one_layer():
    layers = "a=rid:hi send\r\na=rid:lo send\r\na=simulcast:send hi;lo\r\n"
    reduced = reduce_offer(offer(section("video", 1, layers)))
    assert "simulcast" not in reduced
    assert "a=rid" not in reduced


def test_of_several_streams_the_first_and_its_retransmissions_stay():
    lines = "a=ssrc-group:SIM 11 12 13\r\na=ssrc-group:FID 12 22\r\na=ssrc-group:FID 11 21\r\n" + "".join(
        f"a=ssrc:{n} cname:x\r\n" for n in (11, 12, 13, 21, 22)
    )
    reduced = reduce_offer(offer(section("video", 1, lines)))
    assert re.findall(r"a=ssrc:(\d+)", reduced) == ["11", "21"]


def test_phones_are_made_to_turn_the_picture_themselves():
    lines = "a=extmap:3 urn:3gpp:video-orientation\r\na=extmap:9 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
    reduced = reduce_offer(offer(section("video", 1, lines)))
    assert re.findall("a=extmap:(.*)\r", reduced) == ["9 urn:ietf:params:rtp-hdrext:sdes:mid"]


def test_only_codecs_that_can_be_used_stay():
    many = (
        "96 45 97 98 99 100",
        CODECS["video"][1]
        + "a=rtpmap:45 AV1/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n"
        + h264(98, "640c1f")[1]
        + h264(99, "42E01F")[1]
        + "a=rtpmap:100 rtx/90000\r\na=fmtp:100 apt=45\r\n",
    )
    reduced = reduce_offer(offer(section("video", 1, codecs=many)))
    assert re.search("m=video 9 UDP/TLS/RTP/SAVPF (.*)\r", reduced)[1] == "96 99 97"
    assert "AV1" not in reduced


@pytest.mark.parametrize(
    ("kind", "codecs", "named"),
    [
        ("audio", (0, "a=rtpmap:0 PCMU/8000\r\n"), "Opus"),
        ("video", (45, "a=rtpmap:45 AV1/90000\r\n"), "VP8 or H.264"),
        ("video", h264(98, "640c1f"), "VP8 or H.264"),
        ("video", h264(98, "42e01f", mode=0), "VP8 or H.264"),
    ],
)
def test_a_track_that_cannot_be_used_is_refused_with_what_to_offer(kind, codecs, named):
    with pytest.raises(OfferRefused, match=rf"offer .*{re.escape(named)}.*\.$"):
        reduce_offer(offer(section(kind, 0, codecs=codecs)))
    other = "video" if kind == "audio" else "audio"
    idle = section(kind, 0, codecs=codecs, direction="inactive")
    assert f"m={kind}" in reduce_offer(offer(idle, section(other, 1)))


def test_the_second_track_of_a_kind_is_inactive_whatever_it_holds():
    reduced = reduce_offer(
        offer(
            section("video", 0),
            section("audio", 1, direction="sendonly"),
            section("video", 2, codecs=(45, "a=rtpmap:45 AV1/90000\r\n")),
        )
    )
    assert re.findall("a=(sendrecv|sendonly|recvonly|inactive)\r", reduced) == [
        "sendrecv",
        "sendonly",
        "inactive",
    ]


def test_lines_of_the_session_and_of_the_bundle_count_for_its_sections():
    bare = section("video", 1, "a=bundle-only\r\n").replace("video 9", "video 0")
    for line in ("a=rtcp-mux\r\n", *TRANSPORT.splitlines(keepends=True)):
        bare = bare.replace(line, "")
    reduced = reduce_offer(offer(section("audio", 0), bare))
    assert reduced.count("a=ice-pwd:2/1muCWoOi3uLifh0NuRHlhq") == 2
    assert reduced.count(f"a=fingerprint:{DIGEST}") == 2
    alone = section("audio", 0)
    for line in TRANSPORT.splitlines(keepends=True):
        alone = alone.replace(line, "")
    assert "a=setup:actpass" in reduce_offer(HEAD + TRANSPORT + alone)


def test_candidates_nobody_can_reach_are_left_out():
    lines = (
        "a=candidate:1 1 udp 2113937151 192.0.2.1 50000 typ host generation 0\r\n"
        "a=candidate:1 1 udp 2113937151 192.0.2.1 50000 typ host generation 0\r\n"
        "a=candidate:2 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active\r\n"
        "a=candidate:3 1 udp 2113937151 7d1c6f3a-5f0e-4c6b-9a53-0c1d2e3f4a5b.local 50001 typ host\r\n"
        "a=candidate:4 1 udp 1 example.com 50002 typ host\r\n"
        "a=end-of-candidates\r\n"
    )
    reduced = reduce_offer(offer(section("audio", 0, lines)))
    assert re.findall(r"a=candidate:(\d) .* typ", reduced) == ["1", "3"]
    assert "end-of-candidates" not in reduced


def test_what_is_reduced_once_stays_as_it_is():
    once = reduce_offer(offer(section("audio", 0), section("video", 1)))
    assert reduce_offer(once) == once


def test_any_number_of_candidates_is_read_or_refused_at_once():
    lines = "".join(f"a=candidate:{i} 1 udp 1 192.0.2.1 5000 typ host\r\n" for i in range(100_000))
    with pytest.raises(OfferRefused, match="64 KiB"):
        reduce_offer(offer(section("audio", 0, lines)))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "hello",
        "v=0",
        HEAD,
        HEAD + "m=audio\r\n",
        HEAD + "x" * 70_000,
        offer(*(section("audio", i) for i in range(9))),
        HEAD + section("audio", 0) + section("video", 1),
        offer(section("audio", 0), section("video", 0)),
        offer(section("audio", 0, "".join("a=x:y\r\n" for _ in range(3000)))),
    ],
)
def test_what_cannot_be_connected_is_refused_in_a_sentence(body):
    with pytest.raises(OfferRefused, match=r"\.$"):
        reduce_offer(body)


def test_candidates_of_a_fragment_keep_their_section():
    fragment = (
        "a=ice-ufrag:x\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:1\r\n"
        "a=candidate:1 1 UDP 1 192.0.2.1 5000 typ host\r\n"
        "a=candidate:2 1 tcp 1 192.0.2.1 9 typ host tcptype active\r\n"
        "a=candidate:3 1 udp 1 nowhere.example 9 typ host\r\n"
        "a=end-of-candidates\r\n"
    )
    (candidate,) = read_fragment(fragment)
    assert candidate.mid == "1"
    assert candidate.line.endswith("192.0.2.1 5000 typ host")


@pytest.mark.parametrize(
    "fragment",
    [
        "<html>",
        "a=candidate:1 1 udp\r\n",
        "a=candidate:1 1 udp 1 192.0.2.1 -7 typ host\r\n",
        "a=mid:\x00\r\n",
        "a=x\r\n" * 30_000,
        "".join(f"a=candidate:{i} 1 udp 1 192.0.2.1 {5000 + i} typ host\r\n" for i in range(65)),
    ],
)
def test_what_is_no_fragment_is_refused_in_a_sentence(fragment):
    with pytest.raises(OfferRefused, match=r"\.$"):
        read_fragment(fragment)


def outgoing():
    return Outgoing(AudioStreamTrack(), VideoStreamTrack())


def test_second_tracks_are_silenced_and_data_channels_closed():
    async def scenario():
        client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        for kind in ("audio", "video", "video", "audio"):
            client.addTransceiver(kind)
        channel = client.createDataChannel("side door")
        closed = asyncio.Event()
        channel.on("close", closed.set)
        await client.setLocalDescription(await client.createOffer())
        peer = Peer(MediaConfig(), outgoing())
        try:
            answer = await peer.answer(client.localDescription.sdp)
            await client.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            async with asyncio.timeout(10):
                await peer.connected.wait()
                await closed.wait()
            return [t.currentDirection for t in client.getTransceivers()]
        finally:
            await peer.close()
            await client.close()

    assert asyncio.run(scenario()) == ["sendrecv", "sendrecv", "inactive", "inactive"]


@pytest.mark.parametrize(
    ("offered", "answered"),
    [("sendonly", "recvonly"), ("recvonly", "sendonly"), ("sendrecv", "sendrecv"), ("inactive", "inactive")],
)
def test_an_answer_obeys_the_direction_of_its_offer(offered, answered):
    async def scenario():
        peer = Peer(MediaConfig(), outgoing())
        try:
            return await peer.answer(
                offer(section("video", "v", direction=offered), section("audio", "a", direction=offered))
            )
        finally:
            await peer.close()

    answer = asyncio.run(scenario())
    assert re.findall("m=(audio|video) ", answer) == ["video", "audio"], "sections stay in their order"
    assert re.findall("a=(sendrecv|sendonly|recvonly|inactive)\r", answer) == [answered, answered]
    assert re.findall("a=mid:(.*)\r", answer) == ["v", "a"]
    assert "a=group:BUNDLE v a\r" in answer
    assert answer.count("a=rtcp-mux\r") == 2
    assert answer.count("a=end-of-candidates\r") == 2, "there will be no others"
    assert re.search("a=candidate:", answer)


@pytest.mark.parametrize(
    ("offered", "answered"), [("actpass", "active"), ("active", "passive"), ("passive", "active")]
)
def test_an_answer_takes_the_other_role_of_dtls(offered, answered):
    async def scenario():
        peer = Peer(MediaConfig(), outgoing())
        try:
            return await peer.answer(offer(section("audio", 0)).replace("setup:actpass", f"setup:{offered}"))
        finally:
            await peer.close()

    assert re.findall("a=setup:(.*)\r", asyncio.run(scenario())) == [answered]


def test_without_configured_servers_no_server_is_asked():
    async def scenario():
        peer = Peer(MediaConfig(), outgoing())
        configuration = peer._pc._RTCPeerConnection__configuration
        await peer.close()
        return configuration.iceServers

    assert asyncio.run(scenario()) == []
