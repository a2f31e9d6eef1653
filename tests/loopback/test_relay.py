"""The merchant's video on its way to the shopper: as it was sent, at once, whatever changes on the way."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest

from guardian.core.frames import Planes
from guardian.core.violations import Role
from guardian.demo.peers import CallClient, CameraTrack, adaptive_peer
from guardian.demo.scene import ScenePicture
from guardian.rtc.convert import planes_of
from tests.loopback.harness import ToneTrack, preferred, serving, status_until, until, watch

pytestmark = pytest.mark.live

SIZE = (320, 240)
SHOWN_DB = 18
"""Worse than a first picture with few bits (22 dB); one made of two streams' pieces has 13 to 16."""


def pattern(size=SIZE):
    """Stripes that a relay shows as they are; anything that covers them does not."""
    width, height = size
    return (np.indices((height, width)).sum(0) // 16 % 2 * 120 + 60).astype(np.uint8)


def pictures(size=SIZE):
    """The pattern with a square that moves about."""
    width, height = size
    half = np.full((height // 2, width // 2), 128, np.uint8)
    count = 0
    while True:
        luma = pattern(size)
        at = count * 4 % (width - 32)
        luma[-32:, at : at + 32] = 230
        yield ScenePicture(Planes(luma, half, half), np.zeros((1, 1), np.bool_))
        count += 1


@dataclass
class Window:
    """What the shopper has seen."""

    seen: list[float] = field(default_factory=list)
    sizes: set = field(default_factory=set)
    worst: float = 99.0

    def look(self, frame):
        luma = planes_of(frame).y
        size = (luma.shape[1], luma.shape[0])
        self.sizes.add(size)
        error = luma[:-32].astype(float) - pattern(size)[:-32]
        self.worst = min(self.worst, 10 * np.log10(255**2 / max(np.mean(error**2), 1e-3)))
        self.seen.append(time.monotonic())

    async def more(self, limit_s, what, frames=5):
        before = len(self.seen)
        await until(lambda: len(self.seen) >= before + frames, limit_s, what)


def merchant_peer(codec=None, size=SIZE):
    peer = adaptive_peer()
    peer.addTrack(ToneTrack())
    peer.addTrack(CameraTrack(pictures(size), 30))
    if codec:
        peer.getTransceivers()[1].setCodecPreferences(preferred(codec))
    return peer


def shopper_peer(codec=None):
    peer = adaptive_peer()
    peer.addTrack(ToneTrack())
    transceiver = peer.addTransceiver("video", direction="recvonly")
    if codec:
        transceiver.setCodecPreferences(preferred(codec))
    return peer


class Visit:
    """A call with whoever has joined it; all are closed at its end."""

    def __init__(self, client, call_id, legs, tasks):
        self.client, self.call_id, self.legs = client, call_id, legs
        self._tasks = tasks
        self._peers, self._watching = [], []

    async def join(self, role, peer, window=None):
        self._peers.append(peer)
        await self.client.join(self.legs[role], peer)
        if window is not None:
            self._watching.append(self._tasks.create_task(watch(peer, "video", window.look)))
        return peer

    async def network(self, role, true, what):
        """The first counts of a leg of which something is true."""
        status = await status_until(
            self.client, self.call_id, lambda s: true(s["legs"][role]["network"]), 20, what
        )
        return status["legs"][role]["network"]

    async def end(self):
        for task in self._watching:
            task.cancel()
        for peer in self._peers:
            await peer.close()


@asynccontextmanager
async def visiting(server):
    async with CallClient(server.url) as client, asyncio.TaskGroup() as tasks:
        call_id, legs = await client.create(mode="private")
        visit = Visit(client, call_id, legs, tasks)
        try:
            yield visit
        finally:
            await visit.end()
            await client.hang_up(call_id)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("relay")) as server:
        yield server


def is_connected(peer):
    return peer.connectionState == "connected"


def video_sender(peer):
    return next(sender for sender in peer.getSenders() if sender.kind == "video")


def video_receiver(peer):
    return next(receiver for receiver in peer.getReceivers() if receiver.track.kind == "video")


@pytest.mark.parametrize("sent", ["VP8", "H264"])
@pytest.mark.parametrize("taken", ["VP8", "H264"])
def test_the_shopper_sees_what_the_merchant_sends(server, sent, taken):
    def sends(network):
        return network.get("key_frames_sent") and (network["transcoded"] or sent == taken)

    async def scenario():
        window = Window()
        async with visiting(server) as visit:
            await visit.join(Role.MERCHANT, merchant_peer(sent))
            await visit.join(Role.SHOPPER, shopper_peer(taken), window)
            await window.more(20, "the merchant's picture", frames=20)
            return window, await visit.network(Role.SHOPPER, sends, "counts")

    window, counts = asyncio.run(scenario())
    assert window.sizes == {SIZE}
    assert window.worst > SHOWN_DB
    assert (counts["transcoded"] > 0) == (sent != taken), "encoded anew only without a common codec"
    assert counts["send_failures"] == 0


def test_who_speaks_all_codecs_is_relayed_in_one(server):
    async def scenario():
        window = Window()
        async with visiting(server) as visit:
            await visit.join(Role.SHOPPER, shopper_peer(), window)
            await visit.join(Role.MERCHANT, merchant_peer())
            await window.more(20, "the merchant's picture")
            return await visit.network(Role.SHOPPER, lambda n: n, "counts")

    assert asyncio.run(scenario())["transcoded"] == 0


def test_a_key_frame_is_asked_for_a_shopper_who_comes_late(server):
    """Their first picture does not wait for a key frame that comes by itself."""

    async def scenario():
        async with visiting(server) as visit:
            merchant = await visit.join(Role.MERCHANT, merchant_peer())
            key_frames = partial(sent_key_frames, merchant)
            await until(key_frames, 20, "sending")
            await until(nobody_asks(key_frames), 30, "an end of asking for key frames that nobody sees")
            before, window = key_frames(), Window()
            await visit.join(Role.SHOPPER, shopper_peer(), window)
            await window.more(20, "the first picture", frames=1)
            return before, key_frames()

    before, after = asyncio.run(scenario())
    assert after > before


def sent_key_frames(peer):
    """How many key frames a peer has sent."""
    return video_sender(peer).counts()["key_frames_sent"]


def nobody_asks(key_frames, quiet_s=3.0):
    """Says whether no key frame was sent for so long. key_frames: how many were sent."""
    last = [0, time.monotonic()]

    def quiet():
        sent, now = key_frames(), time.monotonic()
        if sent != last[0]:
            last[:] = sent, now
        return now - last[1] >= quiet_s

    return quiet


def test_what_the_shopper_asks_for_reaches_the_merchant(server):
    async def scenario():
        window = Window()
        async with visiting(server) as visit:
            merchant = await visit.join(Role.MERCHANT, merchant_peer())
            shopper = await visit.join(Role.SHOPPER, shopper_peer(), window)
            await window.more(20, "the merchant's picture", frames=20)
            sender, receiver = video_sender(merchant), video_receiver(shopper)
            before = sender.counts()["key_frames_sent"]
            receiver.request_key_frame()
            await until(lambda: sender.counts()["key_frames_sent"] > before, 5, "a key frame")
            receiver.ceiling = 150_000
            await until(lambda: (sender._plan.allowed or 10**9) <= 150_000, 10, "the lower bitrate")
            await window.more(5, "pictures at the lower bitrate")
            return window.worst

    assert asyncio.run(scenario()) > SHOWN_DB


def test_a_merchant_who_offers_again_is_seen_again(server):
    async def scenario():
        window = Window()
        async with visiting(server) as visit:
            first = await visit.join(Role.MERCHANT, merchant_peer("H264"))
            await visit.join(Role.SHOPPER, shopper_peer("VP8"), window)
            await window.more(20, "the merchant's picture")
            for codec in ("VP8", "H264"):
                second = await visit.join(Role.MERCHANT, merchant_peer(codec))
                await until(partial(is_connected, second), 20, "the new connection")
                await first.close()
                await asyncio.sleep(0.5)
                await window.more(3, f"the picture in {codec}")
                first = second
            return window.worst

    assert asyncio.run(scenario()) > SHOWN_DB


def test_a_camera_that_was_off_is_seen_again(server):
    async def scenario():
        window = Window()
        async with visiting(server) as visit:
            merchant = await visit.join(Role.MERCHANT, merchant_peer())
            await visit.join(Role.SHOPPER, shopper_peer(), window)
            await window.more(20, "the merchant's picture")
            sender = video_sender(merchant)
            sender._enabled = False
            await asyncio.sleep(2.5)
            off = len(window.seen)
            sender._enabled = True
            await window.more(2, "the picture again")
            return off, window.worst

    off, worst = asyncio.run(scenario())
    assert off > 0
    assert worst > SHOWN_DB


def test_a_shopper_who_offers_again_goes_on_seeing(server):
    async def scenario():
        first, second = Window(), Window()
        async with visiting(server) as visit:
            await visit.join(Role.MERCHANT, merchant_peer())
            await visit.join(Role.SHOPPER, shopper_peer(), first)
            await first.more(20, "the merchant's picture")
            await visit.join(Role.SHOPPER, shopper_peer(), second)
            await second.more(20, "the picture on the new leg", frames=30)
            return second

    window = asyncio.run(scenario())
    assert window.worst > SHOWN_DB
    assert window.seen[-1] - window.seen[0] < 4, "frames are not shared between the two"
