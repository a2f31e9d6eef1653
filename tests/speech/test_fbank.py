"""The features that the transducers were trained on, made here from pieces of sound."""

import numpy as np
import pytest

from guardian.core.frames import SPEECH_RATE
from guardian.speech.fbank import BINS, HOP, FilterBanks


def noise(seconds):
    return np.random.default_rng(7).integers(-8000, 8000, int(seconds * SPEECH_RATE)).astype(np.int16)


@pytest.mark.parametrize("size", [1, 100, 320, 1000, 5000])
def test_pieces_give_what_the_whole_gives(size):
    sound = noise(0.5)
    whole = FilterBanks().take(sound)
    banks = FilterBanks()
    pieces = [banks.take(sound[at : at + size]) for at in range(0, len(sound), size)]
    np.testing.assert_allclose(np.concatenate(pieces), whole, rtol=1e-5, atol=1e-5)


def test_there_is_a_frame_every_ten_milliseconds_centred_on_its_time():
    frames = FilterBanks().take(noise(1.0))
    assert frames.shape == (99, BINS)
    click = np.zeros(SPEECH_RATE, np.int16)
    click[50 * HOP + HOP // 2] = 30_000
    assert np.argmax(FilterBanks().take(click).sum(axis=1)) == 50


def test_a_tone_is_loudest_in_its_filter():
    t = np.arange(SPEECH_RATE) / SPEECH_RATE
    loudest = [
        int(np.argmax(FilterBanks().take((9000 * np.sin(2 * np.pi * hz * t)).astype(np.int16))[50]))
        for hz in (300, 1000, 3000)
    ]
    # By 1127 ln(1 + f / 700) between 20 and 7600 Hz in 81 equal parts.
    assert loudest == [10, 27, 53]


def test_silence_is_the_least_there_is():
    frames = FilterBanks().take(np.zeros(SPEECH_RATE, np.int16))
    assert np.all(frames == pytest.approx(np.log(np.finfo(np.float32).eps)))
