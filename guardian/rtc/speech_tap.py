"""Encoded sound of one leg made into what recognisers take, with time as it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from av.audio.resampler import AudioResampler

from guardian.core.frames import I16, SPEECH_RATE, AudioChunk
from guardian.rtc.compat import EncodedFrame
from guardian.rtc.opus import OPUS_CLOCK

_LONGEST_FILL_S = 10.0
"""A longer gap is a new start: nothing is gained by listening to more silence."""
_AHEAD_S = 1.0
"""How far sound may be ahead of when it came in: timestamps cannot make silence without end."""
_BEHIND_S = 5.0
"""Sound that is further behind than this when it comes in has another clock by now."""
_SEAM_TICKS = OPUS_CLOCK // 10
"""Timestamps that overlap by less are jitter of the sender's clock."""
_FILL_TICKS = OPUS_CLOCK // 10
"""Gaps are filled in pieces of this length, so that whoever listens can stop in between."""
_FADE_TICKS = OPUS_CLOCK // 200


class SpeechTap:
    """Decodes one voice (Opus) into 16 kHz mono. One per voice for a whole call; for one thread.

    What was lost or never sent (DTX) comes out as silence of the same length, so that a recogniser's times
    are right. Chunks follow one another without a gap, but for new starts: another stream, or a gap of
    more than 10 s. Samples lag 16 (1 ms) behind, which is the resampler's filter.
    """

    def __init__(self) -> None:
        self._stream = 0
        self._decoder = _decoder()
        self._resampler = _resampler()
        self._due = 0
        self._t = -1.0
        self._tail = 0
        self._after_gap = True

    def chunks(self, sound: EncodedFrame, t: float) -> Iterator[AudioChunk]:
        """The silence before a piece of sound, if any, and the piece itself.

        t: media seconds of the call at which the piece had come in, that is at its end. av.FFmpegError for
        what is no Opus: its time is filled with silence when the next piece comes.
        """
        came = t - sound.seconds
        gap = sound.timestamp - self._due
        if sound.stream != self._stream:
            self._decoder, self._resampler = _decoder(), _resampler()
        late_s = came - (self._t + gap / OPUS_CLOCK)
        if (
            sound.stream != self._stream
            or not -_SEAM_TICKS <= gap <= _LONGEST_FILL_S * OPUS_CLOCK
            or late_s > _BEHIND_S
        ):
            self._stream = sound.stream
            self._t = max(self._t, came)
            self._after_gap = True
        else:
            room_s = max(0.0, came + _AHEAD_S - self._t)
            yield from self._silence(min(gap, int(room_s * OPUS_CLOCK)))
        self._due = sound.timestamp
        packet: av.Packet[Any] = av.Packet(sound.data)
        for frame in self._decoder.decode(packet):
            self._due += frame.samples
            samples = np.frombuffer(memoryview(frame.planes[0]), np.int16)[: frame.samples]
            if self._after_gap:
                _fade_in(samples)
                self._after_gap = False
            self._tail = int(samples[-1])
            yield from self._resampled(frame)

    def _silence(self, ticks: int) -> Iterator[AudioChunk]:
        """Silence where there is nothing; what was heard last fades out, so that it does not click."""
        while ticks > 0:
            samples = np.zeros(min(ticks, _FILL_TICKS), np.int16)
            fade = min(len(samples), _FADE_TICKS)
            samples[:fade] = np.linspace(self._tail, 0, fade)
            self._tail, self._after_gap = 0, True
            ticks -= len(samples)
            frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "s16", "mono")
            frame.sample_rate = OPUS_CLOCK
            yield from self._resampled(frame)

    def _resampled(self, frame: av.AudioFrame) -> Iterator[AudioChunk]:
        frame.pts = None  # The resampler counts samples; that is what makes them exact.
        for made in self._resampler.resample(frame):
            samples = made.to_ndarray().reshape(-1).astype(np.int16, copy=False)
            yield AudioChunk(samples, self._t)
            self._t += len(samples) / SPEECH_RATE


def _decoder() -> av.AudioCodecContext:
    decoder = av.CodecContext.create("libopus", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.format = "s16"
    decoder.layout = "mono"
    decoder.sample_rate = OPUS_CLOCK
    return decoder


def _resampler() -> AudioResampler:
    return AudioResampler(format="s16", layout="mono", rate=SPEECH_RATE)


def _fade_in(samples: I16) -> None:
    fade = min(len(samples), _FADE_TICKS)
    samples[:fade] = samples[:fade] * np.linspace(0, 1, fade)
