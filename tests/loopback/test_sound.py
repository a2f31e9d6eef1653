"""One voice through both legs and a bad network: its delay before and after, and what of it is heard."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from fractions import Fraction

import av
import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from guardian.bench.headers import WithholdOne, payload_types
from guardian.bench.impairment import Direction
from guardian.bench.proxy import Proxy
from guardian.call.sound import Hearing, VoiceWay
from guardian.core.config import MediaConfig, WorkConfig
from guardian.core.frames import SPEECH_RATE
from guardian.core.ports import HearingNotes
from guardian.core.violations import Role
from guardian.demo.peers import incoming, new_peer
from guardian.rtc.peer import Outgoing, Peer
from guardian.rtc.speech_tap import SpeechTap
from guardian.rtc.voice import VoiceTrack

RATE, PIECE = 48_000, 960
EVERY = 10
"""Pieces from one click to the next."""


class Clicks(MediaStreamTrack):
    """A short tone every 0.2 s; `sent` holds when each left."""

    kind = "audio"

    def __init__(self):
        super().__init__()
        self.sent = []
        self._start, self._count = None, 0

    async def recv(self):
        if self.readyState != "live":
            raise MediaStreamError
        self._start = self._start or time.monotonic()
        await asyncio.sleep(max(0.0, self._start + self._count * PIECE / RATE - time.monotonic()))
        t = np.arange(PIECE) / RATE
        loud = self._count % EVERY == 0
        samples = (loud * 12000 * np.sin(2 * np.pi * 800 * t)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._count * PIECE, Fraction(1, RATE)
        self._count += 1
        if loud:
            self.sent.append(time.monotonic())
        return frame


class Ears:
    """Keeps what it hears."""

    def __init__(self):
        self.chunks = []

    def hear(self, chunk):
        self.chunks.append(chunk)
        return HearingNotes(heard_s=chunk.seconds)

    def finish(self):
        return HearingNotes()


class Stalling(Direction):
    """Keeps everything that comes within a span and lets it go at its end."""

    until = 0.0

    def fate(self, packet, now):
        return (max(now, self.until),) if super().fate(packet, now) else ()


async def join(pc, peer, proxy):
    await pc.setLocalDescription(await pc.createOffer())
    answer = proxy.answer(await peer.answer(proxy.between(pc.localDescription.sdp)))
    await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    async with asyncio.timeout(10):
        await peer.connected.wait()


class Voice:
    """Speaker -> bad network -> leg -> way of the voice -> other leg -> listener."""

    def __init__(self):
        self.clicks, self.ears, self.heard = Clicks(), Ears(), []
        self.losses, self.news = [], asyncio.Event()
        began = time.monotonic()
        hearing = Hearing(
            open=lambda role: self.ears,
            heard=lambda role, notes: None,
            lapsed=lambda *lapse: pytest.fail(f"{lapse}"),
            missed=lambda role, t_start, t_end: self.losses.append(t_end - t_start),
            now=lambda: time.monotonic() - began,
            tap=SpeechTap,
        )
        self.way = VoiceWay(Role.MERCHANT, hearing, WorkConfig())
        self.network = Stalling()
        self.withhold = None

    @asynccontextmanager
    async def speaking(self):
        speaker, listener = new_peer(), new_peer()
        track = VoiceTrack(self.way.next_piece)
        near, far = Peer(MediaConfig(), Outgoing()), Peer(MediaConfig(), Outgoing(audio=track))
        with Proxy(self.network, Direction()) as proxy, Proxy(Direction(), Direction()) as other:
            try:
                speaker.addTrack(self.clicks)
                listener.addTransceiver("audio", direction="recvonly")
                await join(listener, far, other)
                await join(speaker, near, proxy)
                near.pass_on("audio", self.way.put)
                opus = payload_types(speaker.localDescription.sdp, "opus")
                self.withhold = self.network.select = WithholdOne(opus, frozenset())
                async with asyncio.TaskGroup() as tasks:
                    work = [tasks.create_task(self.way.run()), tasks.create_task(self._listen(listener))]
                    yield near
                    for task in work:
                        task.cancel()
            finally:
                self.way.close()
                for one in (near, far, speaker, listener):
                    await one.close()

    async def _listen(self, listener):
        """Notes when a click begins to be heard."""
        track, quiet = incoming(listener, "audio"), True
        while True:
            frame = await track.recv()
            loud = float(np.abs(frame.to_ndarray().astype(np.int32)).mean()) > 1500
            if loud and quiet:
                self.heard.append(time.monotonic())
                self.news.set()
            quiet = not loud

    async def delay(self):
        """Seconds that all of six clicks take: lasting delay, without what a busy machine adds to some."""
        count, delays = len(self.heard), []
        async with asyncio.timeout(20):
            while len(self.heard) < count + 7:
                self.news.clear()
                await self.news.wait()
        for heard in self.heard[count + 1 : count + 7]:
            delays.append(heard - max(sent for sent in self.clicks.sent if sent < heard))
        return min(delays)


@pytest.mark.live
def test_a_lost_packet_and_a_stall_leave_no_delay_behind_and_no_time_is_missing():
    async def run():
        voice = Voice()
        async with voice.speaking() as leg:
            before = await voice.delay()
            voice.withhold.armed = True
            await asyncio.sleep(0.5)
            assert voice.withhold.lost is not None
            after_loss = await voice.delay()
            voice.network.until = asyncio.get_running_loop().time() + 1.0
            await asyncio.sleep(1.5)
            after_stall = await voice.delay()
            return voice, leg.network(), (before, after_loss, after_stall)

    voice, counts, (before, after_loss, after_stall) = asyncio.run(run())
    assert after_loss < before + 0.045, "two pieces"
    assert after_stall < before + 0.045
    assert (counts["sound_lost"], counts["sound_duplicates"], counts["sound_strange"]) == (1, 0, 0)
    assert voice.way.account.lost_s == pytest.approx(0.02)
    assert voice.losses == [], "one packet is no lapse"
    chunks = voice.ears.chunks
    samples = sum(len(chunk.samples) for chunk in chunks)
    assert samples / SPEECH_RATE == pytest.approx(chunks[-1].t + chunks[-1].seconds - chunks[0].t, abs=1e-6)
    heard = np.concatenate([chunk.samples for chunk in chunks])
    loud = np.abs(heard.astype(np.int32)).reshape(-1) > 4000
    starts = np.flatnonzero(loud & ~np.roll(loud, 1))
    clicks = starts[np.diff(starts, prepend=-SPEECH_RATE) > SPEECH_RATE // 10]
    gaps = np.diff(clicks) / SPEECH_RATE
    whole = np.round(gaps / 0.2)
    assert np.abs(gaps - whole * 0.2).max() < 0.002, "clicks are heard where they were"
