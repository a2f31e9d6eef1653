"""Self-tests of the aiortc patches: the stock behaviour each one changes, and the change itself."""

from __future__ import annotations

import importlib.util
import inspect
from importlib.metadata import version

import av
import numpy as np
import pytest
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from guardian.rtc import compat
from guardian.rtc.compat.sending import timed_encoder
from guardian.rtc.compat.sound_level import audio_level

H264 = RTCRtpCodecParameters(
    mimeType="video/H264",
    clockRate=90000,
    payloadType=99,
    parameters={"packetization-mode": "1", "profile-level-id": "42e01f", "level-asymmetry-allowed": "1"},
)
VP8 = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90000, payloadType=97)


def test_aiortc_is_of_the_series_the_patches_were_written_for():
    assert version("aiortc").startswith(compat.SUPPORTED)


def test_what_the_patches_replace_is_there_with_the_shape_they_count_on():
    receiver = importlib.import_module("aiortc.rtcrtpreceiver")
    sender = importlib.import_module("aiortc.rtcrtpsender")
    source = inspect.getsource(receiver.RTCRtpReceiver)
    assert "target=decoder_worker" in source
    assert "JitterBuffer(capacity=512, is_video=True)" in source
    assert "self.__encoder = get_encoder(codec)" in inspect.getsource(sender.RTCRtpSender)
    assert "self.__encoder.encode, data, force_keyframe" in inspect.getsource(sender.RTCRtpSender)


def compat_time_base():
    from guardian.rtc.convert import VIDEO_TIME_BASE

    return VIDEO_TIME_BASE


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
