"""The relay begins with a key frame, goes on with one after a loss, and is never far behind."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import av
import pytest

from guardian.rtc.compat import EncodedFrame
from guardian.rtc.encoding import Order, VideoEncoding
from guardian.rtc.relay import VideoRelay
from guardian.rtc.tracks import RelayVideoTrack
from guardian.rtc.transcoding import Transcoder
from tests.rtc.streams import claiming, picture


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def frame(i, *, key=False, after_loss=False, arrived=100.0, codec="VP8"):
    return EncodedFrame(codec, bytes([i]), i * 3000, 90000, key, after_loss, arrived)


class Desk:
    """A relay with a reader, and what it asked for."""

    def __init__(self):
        self.asked = 0
        self.clock = Clock()
        self.runner = asyncio.Runner()
        self.relay = VideoRelay(self.ask, self.clock)
        self.relay.hand_to(self)
        self.asked = 0

    def ask(self):
        self.asked += 1

    def put(self, *frames):
        for one in frames:
            self.clock.now = max(self.clock.now, one.arrived)
            self.relay.put(one)

    def all(self, reader=None):
        """What can be read now."""

        async def read():
            found = []
            while True:
                try:
                    found.append((await self.relay.get(reader or self, 0.01)).data[0])
                except TimeoutError:
                    return found

        return self.runner.run(read())


@pytest.fixture
def desk():
    one = Desk()
    with one.runner:
        yield one


def test_it_begins_with_a_key_frame_and_asks_for_one(desk):
    desk.put(frame(1), frame(2))
    assert desk.asked == 2
    desk.put(frame(3, key=True), frame(4))
    assert desk.all() == [3, 4]
    assert desk.asked == 2


def test_a_newer_reader_that_ended_leaves_the_frames_to_the_older_one(desk):
    ended = object()
    desk.relay.hand_to(ended)
    desk.put(frame(1, key=True))
    assert desk.all() == [], "the newer one may only be slow"
    desk.put(frame(2, arrived=103.0))
    assert desk.all() == []
    desk.put(frame(3, key=True, arrived=103.1), frame(4, arrived=103.1))
    assert desk.all() == [3, 4]


def test_after_a_loss_it_goes_on_with_a_key_frame(desk):
    desk.put(frame(1, key=True), frame(3, after_loss=True), frame(4), frame(5, key=True), frame(6))
    assert desk.all() == [5, 6]
    assert desk.asked == 2
    desk.put(frame(8, key=True, after_loss=True))
    assert desk.all() == [8], "a key frame after a loss is whole"


def test_it_is_never_far_behind(desk):
    desk.put(frame(1, key=True, arrived=100.0), *(frame(i, arrived=100.0 + i / 30) for i in range(2, 12)))
    assert not desk.asked
    desk.put(frame(13, arrived=100.45))
    assert desk.asked == 1
    assert desk.all() == []
    for i in range(200):
        desk.put(frame(i % 250, key=not i, arrived=101.0))
    assert len(desk.all()) <= 60


def test_a_key_frame_takes_the_place_of_what_waits(desk):
    desk.put(frame(1, key=True, arrived=100.0), frame(2, arrived=100.1), frame(3, key=True, arrived=100.2))
    assert desk.all() == [3]


def test_while_nobody_reads_nothing_is_kept_or_asked_for(desk):
    desk.clock.now = 103.0
    desk.put(*(frame(i, key=i == 0, arrived=103.0 + i) for i in range(100)))
    assert desk.asked == 0
    desk.relay.hand_to(desk)
    assert desk.asked == 1
    assert desk.all() == []
    desk.put(frame(1, key=True, arrived=200.0))
    assert desk.all() == [1]
    desk.clock.now = 300.0
    desk.put(frame(2, arrived=300.0), frame(3, key=True, arrived=300.0))
    assert desk.asked == 1, "the reader has gone"
    assert desk.all() == []
    assert desk.asked == 2, "and is back"


def test_only_the_newest_reader_gets_frames(desk):
    newer = object()
    desk.put(frame(1, key=True))
    desk.relay.hand_to(newer)
    assert desk.asked == 1
    desk.put(frame(2, key=True), frame(3))
    assert desk.all() == []
    assert desk.all(newer) == [2, 3]


def test_a_new_source_begins_with_a_key_frame(desk):
    desk.put(frame(1, key=True), frame(2))
    desk.relay.restart()
    desk.put(frame(3), frame(4, key=True))
    assert desk.all() == [4]
    assert desk.relay.source == 1


def test_a_source_that_changes_its_codec_goes_on_with_a_key_frame(desk):
    desk.put(frame(1, key=True), frame(2))
    desk.put(frame(3, codec="H264"), frame(4, codec="H264", key=True), frame(5, codec="H264"))
    assert desk.all() == [4, 5]


def test_a_closed_relay_takes_nothing(desk):
    desk.relay.close()
    desk.put(frame(1, key=True))
    assert desk.all() == []


def film(codec, count, size=(128, 96), first=0):
    """Encoded frames of a codec, the first one a key frame."""
    encoding = VideoEncoding(codec)
    for i in range(count):
        one = encoding.encode(picture(first + i, *size), Order(500_000, 0, key=i == 0))
        yield EncodedFrame(codec, one.data, i * 3000, 90000, one.key, False, 100.0)


async def passed_on(track, relay, frames):
    """What the track has for each frame."""
    found = []
    for one in frames:
        relay.put(one)
        async with asyncio.timeout(5):
            found.append(await track.recv())
    return found


def test_frames_of_the_legs_codec_pass_as_they_are_on_one_clock():
    async def run():
        relay = VideoRelay(lambda: None)
        track = RelayVideoTrack(relay)
        track.negotiated("VP8")
        found = await passed_on(track, relay, frames)
        relay.restart()
        return found + await passed_on(track, relay, frames)

    frames = list(film("VP8", 5))
    found = asyncio.run(run())
    assert [bytes(packet) for packet in found] == [one.data for one in frames * 2]
    times = [packet.pts for packet in found]
    assert [b - a for a, b in pairwise(times[:5])] == [3000] * 4
    assert [b - a for a, b in pairwise(times[5:])] == [3000] * 4
    assert 0 < times[5] - times[4] < 5 * 90_000, "a new session begins where the wall clock is"


@pytest.mark.parametrize(("source", "wanted"), [("H264", "VP8"), ("VP8", "H264")])
def test_without_a_common_codec_pictures_are_encoded_anew(source, wanted):
    async def run():
        asked = []
        relay = VideoRelay(lambda: asked.append(1))
        track = RelayVideoTrack(relay)
        track.negotiated(wanted)
        found = await passed_on(track, relay, film(source, 5))
        before = len(asked)
        relay.put(EncodedFrame(source, b"\xff" * 40, 9 * 3000, 90000, True, False, 100.0))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await track.recv()
        assert len(asked) > before, "damage asks for a key frame"
        found += await passed_on(track, relay, film(source, 2, first=5))
        track.stop()
        return found, track.counts()["transcoded"]

    found, transcoded = asyncio.run(run())
    assert all(isinstance(one, av.VideoFrame) for one in found)
    times = [one.pts for one in found]
    assert times == sorted(set(times))
    assert (found[0].width, found[0].height) == (128, 96)
    assert transcoded == 7


def test_a_giant_picture_is_not_encoded_anew():
    async def run():
        transcoder = Transcoder()
        try:
            (one,) = film("VP8", 1)
            await transcoder.picture(replace(one, data=claiming(one.data, 8000, 8000)))
        finally:
            transcoder.close()

    with pytest.raises(av.FFmpegError):
        asyncio.run(run())


def test_a_merchant_who_comes_back_with_another_codec_is_seen():
    async def run():
        relay = VideoRelay(lambda: None)
        track = RelayVideoTrack(relay)
        track.negotiated("VP8")
        kinds = []
        for codec in ("VP8", "H264", "VP8"):
            relay.restart()
            kinds.append(type((await passed_on(track, relay, film(codec, 2)))[-1]))
        track.stop()
        return kinds

    assert asyncio.run(run()) == [av.Packet, av.VideoFrame, av.Packet]
