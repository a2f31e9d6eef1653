"""Self-tests of the aiortc patches: the stock behaviour each one changes, and the change itself."""

from __future__ import annotations

import importlib.util
import inspect
import random
import threading
from importlib.metadata import version

import av
import numpy as np
import pytest
from aiortc.codecs import depayload
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder, VpxPayloadDescriptor
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtpPacket

from guardian.rtc import compat
from guardian.rtc.compat.decoding import DecodeQueue, decoder_worker, frames_in_order
from guardian.rtc.compat.frames import StampedFrame
from guardian.rtc.compat.sending import timed_encoder
from guardian.rtc.compat.sound_level import audio_level
from guardian.rtc.compat.video_jitter import VideoJitter

H264 = RTCRtpCodecParameters(
    mimeType="video/H264",
    clockRate=90000,
    payloadType=99,
    parameters={"packetization-mode": "1", "profile-level-id": "42e01f", "level-asymmetry-allowed": "1"},
)
VP8 = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90000, payloadType=97)


def packet(sequence, timestamp, marker=0, data=b"x"):
    one = RtpPacket(payload_type=97, sequence_number=sequence % 65536, timestamp=timestamp, marker=marker)
    one._data = data
    return one


def test_aiortc_is_of_the_series_the_patches_were_written_for():
    assert version("aiortc").startswith(compat.SUPPORTED)


def test_stock_holds_a_complete_frame_until_the_next_one_begins():
    """When this fails, upstream releases on the marker itself and the patch can go."""
    stock = JitterBuffer(capacity=16, is_video=True)
    assert stock.add(packet(1, 1000, marker=1)) == (False, None)


def test_a_frame_leaves_with_its_last_packet():
    buffer = VideoJitter(16)
    assert buffer.add(packet(1, 1000, data=b"a"))[1] is None
    frame = buffer.add(packet(2, 1000, marker=1, data=b"b"))[1]
    assert (frame.data, frame.timestamp) == (b"ab", 1000)
    assert frame.arrived > 0


def test_a_frame_without_marker_leaves_when_the_next_one_begins():
    buffer = VideoJitter(16)
    buffer.add(packet(1, 1000, data=b"a"))
    assert buffer.add(packet(2, 2000, data=b"b"))[1].data == b"a"


def test_all_frames_that_become_complete_leave_at_once():
    buffer = VideoJitter(16)
    buffer.add(packet(1, 1000, data=b"a"))
    buffer.add(packet(3, 2000, marker=1, data=b"c"))
    buffer.add(packet(4, 3000, marker=1, data=b"d"))
    frame = buffer.add(packet(2, 1000, marker=1, data=b"b"))[1]
    assert [f.data for f in frames_in_order(frame)] == [b"ab", b"c", b"d"]


@pytest.mark.parametrize("first", [0, 65530])
def test_packets_in_any_order_give_the_frames_in_order(first):
    rng = random.Random(4)
    packets = [packet(first + i, 3000 * (i // 3), marker=int(i % 3 == 2), data=bytes([i])) for i in range(30)]
    for start in range(0, 30, 6):
        window = packets[start + 1 : start + 6]
        rng.shuffle(window)
        packets[start + 1 : start + 6] = window
    buffer = VideoJitter(64)
    found = [frame for p in packets if (frame := buffer.add(p)[1]) is not None]
    data = b"".join(f.data for one in found for f in frames_in_order(one))
    assert data == bytes(range(30))


def test_timestamps_of_frames_that_follow_are_mapped_over_the_wrap():
    first = StampedFrame(b"", 0xFFFFFFF0, 0.0)
    first.following.append(StampedFrame(b"", 0x10, 0.0))
    first.timestamp = 900
    assert [f.timestamp for f in frames_in_order(first)] == [900, 900 + 0x20]


def test_what_the_patches_replace_is_there_with_the_shape_they_count_on():
    receiver = importlib.import_module("aiortc.rtcrtpreceiver")
    sender = importlib.import_module("aiortc.rtcrtpsender")
    source = inspect.getsource(receiver.RTCRtpReceiver)
    assert "target=decoder_worker" in source
    assert "JitterBuffer(capacity=512, is_video=True)" in source
    assert "self.__encoder = get_encoder(codec)" in inspect.getsource(sender.RTCRtpSender)
    assert "self.__encoder.encode, data, force_keyframe" in inspect.getsource(sender.RTCRtpSender)


def encoded_picture():
    frame = av.VideoFrame.from_ndarray(np.full((96 * 3 // 2, 128), 90, np.uint8), "yuv420p")
    frame.pts, frame.time_base = 0, compat_time_base()
    payloads, timestamp = Vp8Encoder().encode(frame, True)
    return b"".join(VpxPayloadDescriptor.parse(p)[1] for p in payloads), timestamp


def compat_time_base():
    from guardian.rtc.convert import VIDEO_TIME_BASE

    return VIDEO_TIME_BASE


class Decoding:
    """Runs aiortc's decoder thread over frames, in this thread."""

    def __init__(self):
        self.items = []
        self.error = threading.Event()

    def is_closed(self):
        return False

    def call_soon_threadsafe(self, call, item):
        call(item)

    def put_nowait(self, item):
        self.items.append(item)

    def run(self, codec, *frames):
        """The stamps of the pictures that came out."""
        tasks = DecodeQueue()
        for task in (*((codec, frame) for frame in frames), None):
            tasks.put(task)
        decoder_worker(self, tasks, self, self.error)
        assert self.items.pop() is None
        return [compat.stamp_of(picture) for picture in self.items]


def stamped(data, timestamp, arrived=0.0, after_loss=False):
    frame = StampedFrame(data, timestamp, arrived)
    frame.after_loss = after_loss
    return frame


def test_the_arrival_rides_on_the_decoded_picture_and_damage_is_reported():
    data, timestamp = encoded_picture()
    decoding = Decoding()
    stamps = decoding.run(
        VP8,
        stamped(data, timestamp, 12.5),
        stamped(b"\xff\xff\xff\xff\xff", timestamp + 3000, 13.0),
    )
    assert stamps[0] == compat.Stamp(12.5, whole=True)
    assert decoding.error.is_set(), "a key frame is asked for"


def encoded_film(encoder, codec, frames, keys):
    """Encoded frames of a moving picture, without packets."""
    found = []
    for i in range(frames):
        picture = np.full((96 * 3 // 2, 128), 90, np.uint8)
        picture[20:60, 3 * i : 3 * i + 30] = 200
        frame = av.VideoFrame.from_ndarray(picture, "yuv420p")
        frame.pts, frame.time_base = i * 3000, compat_time_base()
        payloads, timestamp = encoder.encode(frame, i in keys)
        found.append((b"".join(depayload(codec, p) for p in payloads), timestamp))
    return found


@pytest.mark.parametrize(("codec", "encoder"), [(VP8, Vp8Encoder), (H264, H264Encoder)])
def test_after_a_loss_pictures_are_not_whole_until_the_next_key_frame(codec, encoder):
    film = encoded_film(encoder(), codec, 9, keys={0, 6})
    assert [compat.is_key_frame(codec.name, data) for data, _ in film] == [i in {0, 6} for i in range(9)]
    frames = [stamped(data, t, float(i), after_loss=i == 4) for i, (data, t) in enumerate(film) if i != 3]
    decoding = Decoding()
    whole = {stamp.arrived: stamp.whole for stamp in decoding.run(codec, *frames)}
    assert [whole[i] for i in (0, 1, 2)] == [True] * 3
    assert not whole.get(4.0, False)
    assert not whole.get(5.0, False)
    assert [whole[i] for i in (6, 7, 8)] == [True] * 3
    assert decoding.error.is_set(), "a key frame is asked for"


def test_a_stream_that_does_not_begin_with_a_key_frame_is_not_whole():
    film = encoded_film(Vp8Encoder(), VP8, 4, keys={0})
    decoding = Decoding()
    stamps = decoding.run(VP8, *(stamped(data, t) for data, t in film[1:]))
    assert not any(stamp.whole for stamp in stamps)
    assert decoding.error.is_set()


def test_the_first_frame_after_packets_were_given_up_is_marked():
    buffer = VideoJitter(16)
    assert not buffer.add(packet(1, 1000, marker=1))[1].after_loss
    marks = []
    for i in range(3, 30):
        frame = buffer.add(packet(i, 1000 * i, marker=1))[1]
        if frame is not None:
            marks += [one.after_loss for one in frames_in_order(frame)]
    assert marks[0]
    assert not any(marks[1:])


def test_a_jump_of_the_sequence_is_a_loss():
    buffer = VideoJitter(16)
    buffer.add(packet(5000, 1000, marker=1))
    lost, frame = buffer.add(packet(3000, 2000, marker=1))
    assert lost
    assert frame.after_loss


def test_the_encoder_tells_the_ticket():
    told = []
    frame = av.VideoFrame.from_ndarray(np.full((96 * 3 // 2, 128), 90, np.uint8), "yuv420p")
    frame.pts, frame.time_base = 0, compat_time_base()
    frame.opaque = compat.Ticket(lambda ms, done: told.append((ms, done)))
    payloads, _ = timed_encoder(VP8).encode(frame, True)
    assert payloads
    assert len(told) == 1
    assert told[0][0] > 0


@pytest.mark.parametrize("amplitude", [0, 1, 50, 3000, 32767])
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_the_audio_level_is_the_stock_one(amplitude, layout):
    # A fresh copy of the module: the one in use may be patched already.
    spec = importlib.util.find_spec("aiortc.rtp")
    stock = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stock)
    channels = 2 if layout == "stereo" else 1
    samples = (
        np.random.default_rng(2).integers(-amplitude, amplitude + 1, (1, 960 * channels)).astype(np.int16)
    )
    frame = av.AudioFrame.from_ndarray(samples, "s16", layout)
    frame.sample_rate = 48000
    assert audio_level(frame) == stock.compute_audio_level_dbov(frame)


def picture(width=128, height=96):
    frame = av.VideoFrame.from_ndarray(np.full((height * 3 // 2, width), 90, np.uint8), "yuv420p")
    frame.pts, frame.time_base = 0, compat_time_base()
    return frame


def test_stock_opens_vp8_for_all_cores_and_with_noise_filtering():
    """When this fails, upstream has other options and ours want another look."""
    source = inspect.getsource(Vp8Encoder.encode)
    assert '"noise-sensitivity": "4"' in source
    assert "multiprocessing.cpu_count()" in source
    assert "self.codec is None" in source


def test_vp8_is_encoded_by_a_codec_of_our_own_that_follows_size_and_bitrate():
    encoder = timed_encoder(VP8)
    assert encoder.encode(picture())[0]
    first = encoder.codec
    assert encoder.encode(picture())[0]
    assert encoder.codec is first, "aiortc keeps it"
    assert first.thread_count == 1
    encoder.target_bitrate = 1_400_000
    encoder.encode(picture())
    second = encoder.codec
    assert second is not first
    assert second.bit_rate == 1_400_000
    encoder.encode(picture(64, 48))
    assert (encoder.codec.width, encoder.codec.height) == (64, 48)
