"""Self-tests of the aiortc patches: the stock behaviour each one changes, and the change itself."""

from __future__ import annotations

import importlib.util
import inspect
from importlib.metadata import version

import av
import numpy as np
import pytest

from guardian.rtc import compat
from guardian.rtc.compat.sound_level import audio_level


def test_aiortc_is_of_the_series_the_patches_were_written_for():
    assert version("aiortc").startswith(compat.SUPPORTED)


def test_what_the_patches_replace_is_there_with_the_shape_they_count_on():
    receiver = importlib.import_module("aiortc.rtcrtpreceiver")
    source = inspect.getsource(receiver.RTCRtpReceiver)
    assert "target=decoder_worker" in source
    assert "JitterBuffer(capacity=512, is_video=True)" in source


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
