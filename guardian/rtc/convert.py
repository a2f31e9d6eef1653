"""Between PyAV frames and the core's pictures.

Outgoing pictures of the shopper are built from a `SafeFrame` only.
"""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

from guardian.core.frames import U8, Planes, SafeFrame

VIDEO_CLOCK = 90_000
VIDEO_TIME_BASE = Fraction(1, VIDEO_CLOCK)


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
