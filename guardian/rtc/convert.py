"""Between PyAV frames and the core's pictures and sound.

Outgoing pictures of the shopper are built from a `SafeFrame` only.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av.audio.resampler import AudioResampler

from guardian.core.frames import SPEECH_RATE, U8, AudioChunk, Planes, SafeFrame

VIDEO_CLOCK = 90_000
VIDEO_TIME_BASE = Fraction(1, VIDEO_CLOCK)
_SEAM_S = 0.1
"""Time stamps off by less are jitter of the sender's clock, not a gap."""


def writable_rows(frame: av.VideoFrame, index: int) -> U8:
    """A writable view (height, line size) of one plane's buffer."""
    plane = frame.planes[index]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)


def planes_of(frame: av.VideoFrame) -> Planes:
    """Views (no copy) of a decoded 4:2:0 picture; odd sizes lose their last row or column.

    The views keep the frame's buffers alive. Other pixel formats are converted first.
    """
    if frame.format.name not in ("yuv420p", "yuvj420p"):
        frame = frame.reformat(format="yuv420p")
    width, height = frame.width & ~1, frame.height & ~1
    return Planes(
        writable_rows(frame, 0)[:height, :width],
        writable_rows(frame, 1)[: height // 2, : width // 2],
        writable_rows(frame, 2)[: height // 2, : width // 2],
    )


def picture_of(safe: SafeFrame, pts: int) -> av.VideoFrame:
    """A new PyAV picture (yuv420p) with a copy of the safe planes; pts in 1/90000 s."""
    width, height = safe.planes.size
    frame = av.VideoFrame(width, height, "yuv420p")
    for index, source in enumerate((safe.planes.y, safe.planes.u, safe.planes.v)):
        writable_rows(frame, index)[:, : source.shape[1]] = source
    frame.pts = pts
    frame.time_base = VIDEO_TIME_BASE
    return frame


class SpeechTap:
    """Turns one leg's decoded sound into 16 kHz mono chunks. One per track, for its whole life."""

    def __init__(self, t_origin: float) -> None:
        self._origin = t_origin
        self._first: float | None = None
        self._resampler: AudioResampler | None = None
        self._layout: tuple[str, str, int] | None = None
        self._next_t = t_origin

    def chunks(self, frame: av.AudioFrame, t: float) -> Iterator[AudioChunk]:
        """Chunks with media time: `t_origin` plus the seconds since the track's first sample.

        t: the frame's own time in seconds, read before the frame was passed on: whoever sends it
        stamps it anew.
        """
        layout = (frame.format.name, frame.layout.name, frame.sample_rate)
        if layout != self._layout:
            # A resampler locks to the format it saw first.
            self._resampler = AudioResampler(format="s16", layout="mono", rate=SPEECH_RATE)
            self._layout = layout
        if self._first is None:
            self._first = t
        t = self._origin + t - self._first
        if abs(t - self._next_t) > _SEAM_S:
            self._next_t = t
        assert self._resampler is not None
        for piece in self._resampler.resample(frame):
            samples = piece.to_ndarray().reshape(-1).astype(np.int16, copy=False)
            yield AudioChunk(samples, self._next_t)
            self._next_t += len(samples) / SPEECH_RATE
