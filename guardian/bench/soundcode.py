"""A voice of numbered bursts of tone, and an ear that says when each arrived.

Every 100 ms begins a burst of 40 ms whose pitch is its number modulo 32, so a delay of up to 3.2 s is known
to within 10 ms after Opus, resampling and gap filling, and a missing piece of sound is a missing number.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

import av
import numpy as np
import numpy.typing as npt
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

RATE = 48_000
PERIOD_S = 0.1
COUNT = 32
_TONE_S = 0.04
_PIECE = RATE // 50
_FIRST_HZ, _STEP_HZ = 500, 100
_LOUD = 9000
_WINDOW, _HOP = RATE // 50, RATE // 100
_CLEAR_SHARE = 0.5
_HEARD_RMS = 300.0
_REMEMBERED = 4 * COUNT


class CodedVoice(MediaStreamTrack):
    """Sends the bursts by the wall clock and notes when each began."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._start: float | None = None
        self._at = 0
        self.began: dict[int, float] = {}
        """Monotonic seconds by number, of the latest bursts."""

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        self._start = self._start or now
        await asyncio.sleep(max(0.0, self._start + self._at / RATE - now))
        number, within = divmod(self._at, round(PERIOD_S * RATE))
        if within == 0:
            self.began[number] = time.monotonic()
            self.began.pop(number - _REMEMBERED, None)
        samples = np.zeros(_PIECE, np.int16)
        tone = _bursts()[number % COUNT][within : within + _PIECE]
        samples[: len(tone)] = tone
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._at, Fraction(1, RATE)
        self._at += _PIECE
        return frame


@lru_cache(maxsize=1)
def _bursts() -> list[npt.NDArray[np.int16]]:
    """Every burst, int16 at RATE, rising and falling over 5 ms."""
    t = np.arange(round(_TONE_S * RATE)) / RATE
    shape = np.minimum(1.0, np.minimum(t, _TONE_S - t) / 0.005)
    return [(_LOUD * shape * np.sin(2 * np.pi * hz * t)).astype(np.int16) for hz in _pitches()]


def _pitches() -> npt.NDArray[np.float64]:
    return _FIRST_HZ + _STEP_HZ * np.arange(COUNT, dtype=np.float64)


@lru_cache(maxsize=1)
def _detector() -> npt.NDArray[np.complex64]:
    """One row per pitch: what a window is multiplied with to know how much of it is in there."""
    t = np.arange(_WINDOW) / RATE
    return np.asarray(np.exp(-2j * np.pi * np.outer(_pitches(), t)) * np.hanning(_WINDOW), np.complex64)


@dataclass(frozen=True, slots=True)
class Heard:
    """One burst: when it came (monotonic seconds) and how long after it was said."""

    at: float
    number: int
    delay_s: float


@dataclass(slots=True)
class CodeEar:
    """Hears the bursts of a voice in the sound that arrives; feed it every piece."""

    voice: CodedVoice
    heard: list[Heard] = field(default_factory=list)
    _rest: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    _quiet: bool = True

    def take(self, frame: av.AudioFrame, now: float) -> None:
        """The next piece (s16, any layout, 48 kHz), which came at `now`."""
        channels = max(1, frame.layout.nb_channels)
        mono = frame.to_ndarray().reshape(-1, channels)[:, 0].astype(np.float32)
        sound = np.concatenate([self._rest, mono])
        start = 0
        while len(sound) - start >= _WINDOW:
            self._look(sound[start : start + _WINDOW], now)
            start += _HOP
        self._rest = sound[start:]

    def _look(self, window: npt.NDArray[np.float32], now: float) -> None:
        rms = float(np.sqrt(np.mean(window**2)))
        pitch = _pitch(window) if rms > _HEARD_RMS else None
        if pitch is None:
            self._quiet = True
            return
        if not self._quiet:
            return
        self._quiet = False
        said = [n for n in self.voice.began if n % COUNT == pitch and self.voice.began[n] <= now]
        if said:
            number = max(said)
            self.heard.append(Heard(now, number, now - self.voice.began[number]))


def _pitch(window: npt.NDArray[np.float32]) -> int | None:
    """Index of the pitch that stands out, or None."""
    power = np.abs(_detector() @ window) ** 2
    best = int(np.argmax(power))
    return best if power[best] > _CLEAR_SHARE * power.sum() else None


@dataclass(frozen=True, slots=True)
class SoundFigures:
    """Of a span: longest time without a new burst beyond the usual (ms), share of bursts that never came
    (0..1), median delay (ms)."""

    longest_gap_ms: float
    missing: float
    delay_ms: float


def figures(heard: list[Heard], since: float, until: float) -> SoundFigures | None:
    """Of the bursts that came between two monotonic seconds; None where there was none."""
    inside = [one for one in heard if since <= one.at < until]
    if not inside:
        return None
    at = np.asarray([since, *(one.at for one in inside), until])
    numbers = {one.number for one in inside}
    expected = max(numbers) - min(numbers) + 1
    return SoundFigures(
        max(0.0, float(np.diff(at).max()) - PERIOD_S) * 1000,
        1 - len(numbers) / expected,
        float(np.median([one.delay_s for one in inside])) * 1000,
    )
