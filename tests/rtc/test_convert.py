"""Pictures and sound keep their content on the way between PyAV and the core."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from guardian.core.frames import SPEECH_RATE
from guardian.rtc.convert import SpeechTap, planes_of, writable_rows


def picture(width, height, fmt="yuv420p"):
    return av.VideoFrame.from_ndarray(np.full((height, width, 3), (10, 200, 90), np.uint8), "rgb24").reformat(
        format=fmt
    )


@pytest.mark.parametrize("size", [(640, 480), (322, 242), (321, 241), (16, 16)])
@pytest.mark.parametrize("fmt", ["yuv420p", "rgb24", "yuv444p"])
def test_planes_have_even_sizes_and_the_right_colour(size, fmt):
    planes = planes_of(picture(*size, fmt))
    assert planes.size == (size[0] & ~1, size[1] & ~1)
    assert planes.u.shape == planes.v.shape == (planes.y.shape[0] // 2, planes.y.shape[1] // 2)
    assert abs(int(planes.y[2, 2]) - 119) < 12


def test_planes_are_views_that_outlive_the_frame():
    frame = picture(64, 48)
    writable_rows(frame, 0)[:] = 77
    planes = planes_of(frame)
    del frame
    assert int(planes.y[0, 0]) == 77


def sound(pts, samples=960, rate=48000, layout="stereo"):
    channels = 2 if layout == "stereo" else 1
    frame = av.AudioFrame.from_ndarray(np.full((1, samples * channels), 500, np.int16), "s16", layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, pts, Fraction(1, rate)
    return frame


def test_sound_becomes_16_khz_mono_with_the_time_of_the_call():
    tap = SpeechTap(10.0)
    chunks = [c for i in range(50) for c in tap.chunks(sound(5000 + i * 960), (5000 + i * 960) / 48000)]
    assert chunks[0].t == 10.0
    assert abs(sum(len(c.samples) for c in chunks) - SPEECH_RATE) < 100
    assert abs(chunks[-1].t + chunks[-1].seconds - 11.0) < 0.01


def test_a_gap_in_the_sound_moves_the_time_and_jitter_does_not():
    tap = SpeechTap(0.0)
    first = list(tap.chunks(sound(0), 0.0))
    jittered = list(tap.chunks(sound(960), 0.03))
    after_gap = list(tap.chunks(sound(96000), 2.0))
    assert jittered[0].t == pytest.approx(first[0].seconds, abs=0.001)
    assert after_gap[0].t == pytest.approx(2.0, abs=0.001)


def test_a_change_of_format_is_followed():
    tap = SpeechTap(0.0)
    list(tap.chunks(sound(0), 0.0))
    chunks = list(tap.chunks(sound(320, samples=320, rate=16000, layout="mono"), 0.02))
    assert sum(len(c.samples) for c in chunks) == pytest.approx(320, abs=20)
