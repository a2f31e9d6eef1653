"""What is heard has time as it was: nothing is shortened by what was lost, or never sent."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

import av
import numpy as np
import pytest

from guardian.core.frames import SPEECH_RATE
from guardian.rtc.compat import EncodedFrame
from guardian.rtc.opus import opus_ticks
from guardian.rtc.speech_tap import SpeechTap

RATE = 48_000
HELD_BACK = 16
"""Samples the resampler's filter keeps."""


@lru_cache(maxsize=16)
def encoded(ms=20.0, layout="mono", seconds=3.0, bit_rate=32000):
    """Opus packets of a 440 Hz tone, as the sender's libopus makes them."""
    samples = int(RATE * ms / 1000)
    application = "lowdelay" if ms < 10 else "voip"
    codec = av.CodecContext.create("libopus", "w")
    codec.bit_rate, codec.format, codec.layout, codec.sample_rate = bit_rate, "s16", layout, RATE
    codec.options = {"application": application, "frame_duration": str(ms)}
    codec.time_base = Fraction(1, RATE)
    packets = []
    for at in range(0, int(seconds * RATE), samples):
        t = (at + np.arange(samples)) / RATE
        tone = (9000 * np.sin(2 * np.pi * 440 * t)).astype(np.int16)
        channels = 2 if layout == "stereo" else 1
        frame = av.AudioFrame.from_ndarray(np.repeat(tone, channels).reshape(1, -1), "s16", layout)
        frame.sample_rate, frame.pts, frame.time_base = RATE, at, codec.time_base
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return packets


def piece(data, timestamp, stream=1):
    return EncodedFrame("opus", data, timestamp, RATE, True, False, 0.0, stream, opus_ticks(data))


def hear(pieces, tap=None, t_origin=10.0):
    """Chunks of pieces that come in when they end."""
    tap = tap or SpeechTap()
    return [
        chunk
        for one in pieces
        for chunk in tap.chunks(one, t_origin + (one.timestamp + one.ticks) / RATE)
    ]  # fmt: skip


def total(chunks):
    return sum(len(chunk.samples) for chunk in chunks)


def assert_continuous(chunks):
    for before, after in pairwise(chunks):
        assert after.t == pytest.approx(before.t + before.seconds, abs=1e-9)


@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize("ms", [2.5, 5, 10, 20, 40, 60])
def test_sound_of_any_packet_length_comes_out_whole(ms, layout):
    packets = encoded(ms, layout)
    ticks = int(RATE * ms / 1000)
    assert {opus_ticks(packet) for packet in packets} == {ticks}
    chunks = hear([piece(packet, index * ticks) for index, packet in enumerate(packets)])
    assert total(chunks) == len(packets) * ticks // 3 - HELD_BACK
    assert chunks[0].t == pytest.approx(10.0)
    assert_continuous(chunks)
    heard = np.concatenate([chunk.samples for chunk in chunks])[SPEECH_RATE : 2 * SPEECH_RATE]
    assert np.abs(np.fft.rfft(heard)).argmax() == 440, "one second: the bin is the frequency"


def test_what_was_lost_is_silence_of_the_same_length():
    """Stock's way, a resampler alone, makes time shorter by what is missing."""
    packets = encoded()
    kept = [piece(p, i * 960) for i, p in enumerate(packets) if not 50 <= i < 100]
    chunks = hear(kept)
    assert total(chunks) == len(packets) * 320 - HELD_BACK
    assert_continuous(chunks)
    heard = np.concatenate([chunk.samples for chunk in chunks]).astype(float)
    assert np.abs(heard[50 * 320 + 200 : 100 * 320 - 200]).max() == 0
    assert np.abs(heard[40 * 320 : 49 * 320]).max() > 5000
    assert np.abs(heard[102 * 320 : 110 * 320]).max() > 5000
    steps = np.abs(np.diff(heard))
    assert steps.max() <= steps[: 40 * 320].max() * 1.5, "no click where the gap begins or ends"


def test_pauses_of_a_silent_sender_are_time_too():
    packets = encoded()
    pieces = [piece(packets[i], i * 960) for i in range(20)]
    pieces += [piece(packets[20 + k], (20 + 20 * k) * 960) for k in range(1, 6)]
    chunks = hear(pieces)
    assert total(chunks) == (20 + 20 * 5 + 1) * 320 - HELD_BACK
    assert_continuous(chunks)
    assert max(chunk.seconds for chunk in chunks) <= 0.11, "whoever listens can stop in between"


def test_a_gap_of_more_than_ten_seconds_is_a_new_start():
    packets = encoded()
    pieces = [piece(packets[0], 0), piece(packets[1], 12 * RATE)]
    chunks = hear(pieces)
    assert total(chunks) == 640 - HELD_BACK
    assert chunks[-1].t == pytest.approx(22.0)


def test_another_stream_begins_when_it_comes_in():
    packets = encoded()
    tap = SpeechTap()
    first = hear([piece(packets[i], i * 960) for i in range(10)], tap)
    second = hear([piece(packets[i], i * 960, stream=2) for i in range(10)], tap, t_origin=13.0)
    assert second[0].t == pytest.approx(13.0)
    assert total(second) == 10 * 320 - HELD_BACK
    assert first[-1].t < second[0].t


def test_a_stream_that_begins_before_the_last_one_ended_does_not_turn_time_back():
    packets = encoded()
    tap = SpeechTap()
    first = hear([piece(packets[i], i * 960) for i in range(10)], tap)
    second = hear([piece(packets[i], i * 960, stream=2) for i in range(10)], tap, t_origin=10.1)
    assert second[0].t >= first[-1].t + first[-1].seconds - 1e-9


def test_timestamps_cannot_make_silence_faster_than_time_passes():
    packets = encoded()
    tap, made = SpeechTap(), 0
    for index in range(100):
        came = 10.0 + index * 0.02
        made += total(tap.chunks(piece(packets[index], index * 9 * RATE), came))
    assert made <= (100 * 0.02 + 1.2) * SPEECH_RATE


def test_what_is_no_opus_is_an_error_and_its_time_is_filled():
    packets = encoded()
    tap = SpeechTap()
    heard = hear([piece(packets[0], 0)], tap)
    with pytest.raises(av.FFmpegError):
        hear([piece(b"\xff\xff\xff", 960)], tap)
    heard += hear([piece(packets[2], 1920)], tap)
    assert total(heard) == 3 * 320 - HELD_BACK
    assert_continuous(heard)


def test_mono_and_stereo_may_change_in_mid_stream():
    pieces = [piece(encoded(20, "stereo" if i % 2 else "mono")[i], i * 960) for i in range(50)]
    assert total(hear(pieces)) == 50 * 320 - HELD_BACK
