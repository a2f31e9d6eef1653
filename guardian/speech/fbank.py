"""Log mel filter banks as Kaldi makes them, from sound that comes in pieces.

25 ms windows every 10 ms, centred (`snip_edges=False`), without dither; each loses its mean, is
pre-emphasised and weighted with Povey's window; 80 triangles between 20 and 7,600 Hz on the mel scale.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from guardian.core.frames import I16, SPEECH_RATE

F32 = npt.NDArray[np.float32]

BINS = 80
HOP = SPEECH_RATE // 100
_WINDOW = SPEECH_RATE // 40
_FFT = 512
_BEFORE = (_WINDOW - HOP) // 2
"""Samples of the first window that lie before the sound: mirrored."""
_LOW_HZ, _HIGH_HZ = 20.0, 7600.0
_EMPHASIS = 0.97
_EPSILON = np.finfo(np.float32).eps


def _mel(hz: npt.NDArray[np.float64] | float) -> npt.NDArray[np.float64]:
    return np.asarray(1127.0 * np.log(1.0 + np.asarray(hz) / 700.0))


def _triangles() -> F32:
    """Weights of each bin of the spectrum (rows) in each filter."""
    edges = np.linspace(_mel(_LOW_HZ), _mel(_HIGH_HZ), BINS + 2)
    bins = _mel(np.arange(_FFT // 2 + 1) * SPEECH_RATE / _FFT)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


_TRIANGLES = _triangles()
_POVEY = ((0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / (_WINDOW - 1))) ** 0.85).astype(np.float32)


class FilterBanks:
    """The frames of one utterance."""

    def __init__(self) -> None:
        self._waiting: F32 = np.zeros(0, np.float32)
        self._begun = False

    def take(self, samples: I16) -> F32:
        """The frames (n x 80) that these samples complete; the first comes with the 280th sample."""
        waiting = np.concatenate((self._waiting, samples.astype(np.float32) / 32768.0))
        if not self._begun and len(waiting) >= _BEFORE:
            waiting = np.concatenate((waiting[:_BEFORE][::-1], waiting))
            self._begun = True
        count = max(0, (len(waiting) - _WINDOW) // HOP + 1) if self._begun else 0
        self._waiting = waiting[count * HOP :]
        if not count:
            return np.zeros((0, BINS), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(waiting, _WINDOW)[: count * HOP : HOP]
        level = windows - windows.mean(axis=1, keepdims=True)
        level[:, 1:] -= _EMPHASIS * level[:, :-1]
        level[:, 0] *= 1.0 - _EMPHASIS
        spectrum = np.fft.rfft(level * _POVEY, _FFT)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        return np.asarray(np.log(np.maximum(power @ _TRIANGLES, _EPSILON)), np.float32)
