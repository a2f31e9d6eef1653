"""The decoder thread: what it says of pictures, what it does when it is behind, how it ends."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time

import av
import pytest
from aiortc import rtcrtpreceiver as stock
from aiortc.codecs import depayload
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from guardian.rtc import compat
from guardian.rtc.compat.decoding import DecodeQueue, begin_decoding, decode_frames
from guardian.rtc.compat.frames import SoundFrame, StampedFrame
from guardian.rtc.convert import VIDEO_TIME_BASE
from tests.rtc.streams import H264, VP8, claiming, film, picture

OPUS = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48000, channels=2, payloadType=96)


class Decoding:
    """Runs the decoder thread's work over frames, in this thread."""

    def __init__(self):
        self.items = []
        self.error = threading.Event()

    def call_soon_threadsafe(self, call, item):
        call(item)

    def put_nowait(self, item):
        self.items.append(item)

    def get(self):
        return self.tasks.pop(0) if self.tasks else None

    def run(self, codec, *frames):
        """The stamps of the pictures that came out."""
        self.tasks = [(codec, frame) for frame in frames]
        decode_frames(self, self, self, self.error)
        assert self.items.pop() is None
        return [compat.stamp_of(picture) for picture in self.items]


def stamped(data, timestamp, arrived=0.0, after_loss=False):
    frame = StampedFrame(data, timestamp, arrived)
    frame.after_loss = after_loss
    return frame


def shots(codec, frames, keys):
    """The encoded frames of a film."""
    return [b"".join(depayload(codec, p) for p in payloads) for payloads in film(codec, frames, keys)]


def test_the_arrival_rides_on_the_decoded_picture_and_damage_is_reported():
    (data,) = shots(VP8, 1, {0})
    decoding = Decoding()
    stamps = decoding.run(VP8, stamped(data, 0, 12.5), stamped(b"\xff\xff\xff\xff\xff", 3000, 13.0))
    assert stamps[0] == compat.Stamp(12.5, whole=True)
    assert decoding.error.is_set(), "a key frame is asked for"


@pytest.mark.parametrize("codec", [VP8, H264])
def test_after_a_loss_pictures_are_not_whole_until_the_next_key_frame(codec):
    film = shots(codec, 9, keys={0, 6})
    assert [compat.is_key_frame(codec.name, data) for data in film] == [i in {0, 6} for i in range(9)]
    decoding = Decoding()
    frames = [stamped(d, 3000 * i, float(i), after_loss=i == 4) for i, d in enumerate(film) if i != 3]
    whole = {stamp.arrived: stamp.whole for stamp in decoding.run(codec, *frames)}
    assert [whole[i] for i in (0, 1, 2)] == [True] * 3
    assert [whole[i] for i in (4, 5)] == [False] * 2, "they are shown to be there, and not to be trusted"
    assert [whole[i] for i in (6, 7, 8)] == [True] * 3
    assert decoding.error.is_set(), "a key frame is asked for"


@pytest.mark.parametrize("codec", [VP8, H264])
def test_a_stream_that_does_not_begin_with_a_key_frame_is_not_whole(codec):
    decoding = Decoding()
    stamps = decoding.run(codec, *(stamped(d, 3000 * i) for i, d in enumerate(shots(codec, 4, {0})[1:])))
    assert not any(stamp.whole for stamp in stamps)
    assert decoding.error.is_set()


@pytest.mark.parametrize("codec", [VP8, H264])
def test_whatever_is_fed_to_it_the_next_key_frame_heals_the_decoder(codec):
    (key,) = shots(codec, 1, {0})
    rubbish = [b"\x00", b"\x10\x02\x00\x9d\x01\x2a\xff\xff\xff\xff", key[:20], b"\x00\x00\x01\x67" + bytes(9)]
    decoding = Decoding()
    fed = [stamped(d, 3000 * i) for i, d in enumerate([key, *rubbish, key])]
    stamps = decoding.run(codec, *fed[:-1], stamped(key, 90000, 99.0))
    assert stamps[-1] == compat.Stamp(99.0, whole=True)


def giant(codec, key):
    """A key frame of more pixels than are decoded."""
    if codec is VP8:
        return claiming(key, 8000, 8000)
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 4608, 2592, "yuv420p"
    encoder.time_base, encoder.options = VIDEO_TIME_BASE, {"preset": "ultrafast", "tune": "zerolatency"}
    return bytes(encoder.encode(picture(0, 4608, 2592))[0])


@pytest.mark.parametrize("codec", [VP8, H264])
def test_a_giant_picture_is_not_decoded_and_the_next_key_frame_heals(codec):
    (key,) = shots(codec, 1, {0})
    decoding = Decoding()
    fed = (stamped(key, 0, 7.0), stamped(giant(codec, key), 3000, 8.0), stamped(key, 6000, 9.0))
    assert [stamp.arrived for stamp in decoding.run(codec, *fed)] == [7.0, 9.0]
    assert decoding.error.is_set(), "a key frame is asked for"


def test_a_phones_largest_picture_is_decoded():
    (key,) = shots(VP8, 1, {0})
    decoding = Decoding()
    decoding.run(VP8, stamped(key, 0), stamped(claiming(key, 2160, 3840), 3000))
    assert (decoding.items[-1].width, decoding.items[-1].height) == (2160, 3840)


def test_an_error_that_is_not_ffmpegs_does_not_end_the_thread(monkeypatch):
    class Broken:
        def decode(self, frame):
            raise MemoryError

    monkeypatch.setattr("guardian.rtc.compat.decoding.get_decoder", lambda codec: Broken())
    decoding = Decoding()
    assert decoding.run(VP8, stamped(b"a", 0), stamped(b"b", 0)) == []
    assert decoding.error.is_set()


def key(i):
    return stamped(b"\x10\x02\x00\x9d\x01\x2a\x80\x00\x60\x00", i, time.monotonic())


def delta(i, arrived=None):
    return stamped(b"\x11", i, time.monotonic() if arrived is None else arrived)


def test_stock_queues_without_bound():
    """When these fail, upstream bounds its queues and ours want another look."""
    source = inspect.getsource(stock.RTCRtpReceiver)
    assert "queue.Queue = queue.Queue()" in source
    assert "asyncio.Queue = asyncio.Queue()" in inspect.getsource(stock.RemoteStreamTrack)
    assert "target=decoder_worker" in source
    assert "self.__decoder_thread.join()" in source


@pytest.mark.parametrize("age", [0.0, 0.6])
def test_a_video_decoder_that_is_behind_goes_on_with_the_next_key_frame(age):
    """Too many frames, or few but old ones."""
    queue, asked, passed = DecodeQueue("video"), [], []
    queue.behind = lambda: asked.append(len(queue))
    queue.sink = passed.append
    queue.put((VP8, key(0)))
    for i in range(1, 200):
        queue.put((VP8, delta(i, time.monotonic() - age)))
        assert len(queue) <= 60
    assert len(asked) == 1
    assert len(queue) == 0, "nothing can be trusted before a key frame"
    assert len(passed) == 200, "whoever takes encoded frames is not held up"
    queue.put((VP8, key(200)))
    queue.put((VP8, delta(201)))
    assert [queue.get()[1].timestamp, queue.get()[1].timestamp] == [200, 201]
    assert queue.dropped == 200


def test_sound_loses_its_oldest_pieces():
    queue = DecodeQueue("audio")
    for i in range(1000):
        queue.put((OPUS, SoundFrame(b"x", i, 0.0)))
        assert len(queue) <= 100
    assert queue.get()[1].timestamp == 900
    assert queue.dropped == 900


def test_at_the_end_nothing_more_is_decoded():
    queue = DecodeQueue("video")
    queue.put((VP8, key(0)))
    queue.put(None)
    queue.put((VP8, key(1)))
    assert queue.get() is None
    assert len(queue) == 0


def threads():
    return {t for t in threading.enumerate() if t.is_alive()}


def test_decoding_ends_by_itself_and_does_not_keep_the_process():
    asyncio.run(decoding_that_ends())


async def decoding_that_ends():
    before, queue, out = threads(), DecodeQueue("video"), asyncio.Queue()
    starter = threading.Thread(
        target=begin_decoding, args=(asyncio.get_running_loop(), queue, out, threading.Event())
    )
    starter.start()
    starter.join(5)
    (thread,) = threads() - before
    assert thread.daemon
    (data,) = shots(VP8, 1, {0})
    queue.put((VP8, stamped(data, 0)))
    async with asyncio.timeout(5):
        assert isinstance(await out.get(), av.VideoFrame)
        queue.put(None)
        assert await out.get() is None
    await asyncio.to_thread(thread.join, 5)
    assert threads() - before - {t for t in threads() if t.name.startswith("asyncio")} == set()
