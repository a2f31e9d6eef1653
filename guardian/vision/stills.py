"""Picture files as planes."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np

from guardian.core.errors import MediaError
from guardian.core.frames import U8, Planes

MOST_BYTES = 64 << 20
MOST_PIXELS = 64_000_000
_FULL = {1: 255.0, 2: 65535.0}
"""Of a fourth plane that cannot be seen through, by the bytes of its numbers."""
_FILMS = (b"GIF8",)
"""What begins so may have more than one picture."""


def still(path: Path) -> Planes | None:
    """The picture in a file, upright; None where the file is none. MediaError for one that is too large.

    What can be seen through is white.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        data = path.read_bytes()
    except OSError:
        return None
    if not data or data.startswith(_FILMS) or not cv2.haveImageReader(str(path)):
        return None
    if _pixels(path) > MOST_PIXELS:
        raise MediaError(f"{path} has more than {MOST_PIXELS // 1_000_000} million pixels; make it smaller.")
    buffer = np.frombuffer(data, np.uint8)
    try:
        # Only without a fourth plane is a photo turned as its camera says.
        picture = cv2.imdecode(buffer, cv2.IMREAD_COLOR)
        whole = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if picture is None:
        return None
    if whole is not None and whole.ndim == 3 and whole.shape[2] == 4 and whole.shape[:2] == picture.shape[:2]:
        opaque = whole[..., 3:].astype(np.float32) / _FULL.get(whole.dtype.itemsize, 1.0)
        picture = np.asarray(picture * opaque + 255 * (1 - opaque), np.uint8)
    return _planes(np.asarray(picture, np.uint8))


def _pixels(path: Path) -> int:
    """How many pixels the file says it has; 0 where FFmpeg cannot tell."""
    try:
        with av.open(str(path.absolute())) as container:
            streams = container.streams.video
            return streams[0].width * streams[0].height if streams else 0
    except (av.FFmpegError, OSError, ValueError):
        return 0


def _planes(bgr: U8) -> Planes:
    h, w = bgr.shape[:2]
    # White, and no row twice: a code that fills its picture may have squares of one pixel.
    even = cv2.copyMakeBorder(bgr, 0, h % 2, 0, w % 2, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    h, w = even.shape[:2]
    flat = cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420).reshape(-1)
    y, u, v = np.split(np.asarray(flat, np.uint8), (h * w, h * w * 5 // 4))
    return Planes(y.reshape(h, w), u.reshape(h // 2, w // 2), v.reshape(h // 2, w // 2))
