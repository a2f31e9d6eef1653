"""Offers are cut down to one audio and one video track; nothing else gets in."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from hypothesis import given
from hypothesis import strategies as st

from guardian.core.config import MediaConfig
from guardian.core.errors import OfferRefused
from guardian.rtc.offers import read_fragment, reduce_offer
from guardian.rtc.peer import Outgoing, Peer
from guardian.rtc.tracks import RelayVideoTrack, VoiceTrack

HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2 3\r\n"


def section(kind, mid, extra=""):
    return f"m={kind} 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\n{extra}"


def test_simulcast_is_reduced_to_one_layer():
    offer = HEAD + section("video", 1, "a=rid:hi send\r\na=rid:lo send\r\na=simulcast:send hi;lo\r\n")
    assert "simulcast" not in reduce_offer(offer)
    assert "a=rid" not in reduce_offer(offer)


@pytest.mark.parametrize(
    "offer",
    [
        "",
        "hello",
        "v=0",
        HEAD,
        HEAD + section("application", 0),
        HEAD + "m=audio\r\n",
        HEAD + "x" * 70_000,
        HEAD + section("audio", 0) * 9,
    ],
)
def test_what_cannot_be_connected_is_refused_in_a_sentence(offer):
    with pytest.raises(OfferRefused, match=r"\.$"):
        reduce_offer(offer)


@given(st.text(max_size=300))
def test_any_text_is_answered_or_refused(text):
    for read in (reduce_offer, read_fragment):
        with contextlib.suppress(OfferRefused):
            read(HEAD + text if len(text) % 2 else text)


def test_candidates_of_a_fragment_keep_their_section():
    fragment = "a=ice-ufrag:x\r\na=mid:1\r\na=candidate:1 1 UDP 1 192.0.2.1 5000 typ host\r\n"
    (candidate,) = read_fragment(fragment)
    assert candidate.mid == "1"
    assert candidate.line.endswith("typ host")
    with pytest.raises(OfferRefused):
        read_fragment("<html>")


async def _silence(timeout_s):
    await asyncio.sleep(timeout_s)
    raise TimeoutError


def test_second_tracks_are_silenced_and_data_channels_closed():
    async def scenario():
        client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        for kind in ("audio", "video", "video", "audio"):
            client.addTransceiver(kind)
        channel = client.createDataChannel("side door")
        closed = asyncio.Event()
        channel.on("close", closed.set)
        await client.setLocalDescription(await client.createOffer())
        peer = Peer(MediaConfig(), Outgoing(VoiceTrack(_silence), RelayVideoTrack(_silence)))
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
    "body", [HEAD + section("audio", 0), HEAD + section("video", 0, "a=setup:nonsense\r\n")]
)
def test_an_offer_aiortc_cannot_read_is_refused(body):
    async def scenario():
        peer = Peer(MediaConfig(), Outgoing(VoiceTrack(_silence), RelayVideoTrack(_silence)))
        try:
            with pytest.raises(OfferRefused):
                await peer.answer(body)
        finally:
            await peer.close()

    asyncio.run(scenario())


def test_without_configured_servers_no_server_is_asked():
    async def scenario():
        peer = Peer(MediaConfig(), Outgoing(VoiceTrack(_silence), RelayVideoTrack(_silence)))
        configuration = peer._pc._RTCPeerConnection__configuration
        await peer.close()
        return configuration.iceServers

    assert asyncio.run(scenario()) == []
