"""The fallback face network: MediaPipe short range, for faces near the camera.

Its recall on small faces is low (0.62 at 32 px and up, YuNet 0.94), so it is used only where YuNet's
weights cannot be had.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from guardian.core.frames import U8
from guardian.vision.anchors import AnchorNet

_LAYERS = ((16, 2), (8, 6))
_FOREHEAD = 0.25
"""Its boxes end at the brows; YuNet's, which the covers are made for, higher by this share."""


class BlazeFace:
    """See `guardian.vision.faces.FaceNet`. One thread only.

    Anchors after MediaPipe's face_detection_short_range.pbtxt: 896, two in each of 16x16 cells and six in
    each of 8x8.
    """

    multiple = 2

    def __init__(self, model: Path, threshold: float) -> None:
        self._net = AnchorNet.open(model, _LAYERS, -1, threshold)
        self.name = model.stem

    def detect(self, bgr: U8) -> npt.NDArray[np.float32]:
        """float32 (n, 5): left, top, width, height in pixels of `bgr`, score 0..1."""
        found = self._net.detect(bgr)[:, :5]
        found[:, 1] -= found[:, 3] * _FOREHEAD
        found[:, 3] *= 1 + _FOREHEAD
        return found
