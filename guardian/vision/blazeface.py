"""The fallback face network: MediaPipe short range, for faces near the camera.

Its recall on small faces is low (0.62 at 32 px and up, YuNet 0.94), so it is used only where YuNet's
weights cannot be had.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from guardian.core.frames import U8
from guardian.vision.tflite import F32, Network

_FOREHEAD = 0.25
"""Its boxes end at the brows; YuNet's, which the covers are made for, higher by this share."""


class BlazeFace:
    """See `guardian.vision.faces.FaceNet`. One thread only.

    Decoding after MediaPipe's face_detection_short_range.pbtxt: 896 anchors, two in each of 16x16
    cells and six in each of 8x8; boxes are offsets in input pixels, scores logits.
    """

    multiple = 2

    def __init__(self, model: Path, threshold: float) -> None:
        self._net = Network(model)
        self._threshold = threshold
        self._anchors = np.concatenate([_anchors(16, 2), _anchors(8, 6)])
        self.name = model.stem

    def detect(self, bgr: U8) -> npt.NDArray[np.float32]:
        """float32 (n, 5): left, top, width, height in pixels of `bgr`, score 0..1."""
        side = self._net.size[0]
        scale = side / max(bgr.shape[:2])
        w, h = (max(round(n * scale), 1) for n in (bgr.shape[1], bgr.shape[0]))
        padded = np.zeros((side, side, 3), np.uint8)
        padded[:h, :w] = cv2.cvtColor(cv2.resize(bgr, (w, h)), cv2.COLOR_BGR2RGB)
        blob = padded.astype(np.float32)[np.newaxis] / np.float32(127.5) - np.float32(1)
        boxes, logits = sorted(self._net.run(blob), key=lambda output: -output.shape[-1])
        scores = 1 / (1 + np.exp(-np.clip(logits[0, :, 0], -80, 80)))
        hits = np.flatnonzero(scores > self._threshold)
        raw = boxes[0, hits, :4]
        size = raw[:, 2:4] / scale
        corner = (raw[:, :2] + self._anchors[hits] * side) / scale - size / 2
        found = np.concatenate([corner, size, scores[hits, np.newaxis]], axis=1)
        found[:, 1] -= found[:, 3] * _FOREHEAD
        found[:, 3] *= 1 + _FOREHEAD
        return np.asarray(found, np.float32)


def _anchors(cells: int, each: int) -> F32:
    """Middles of the cells, float32 (cells * cells * each, 2), 0..1."""
    y, x = np.mgrid[:cells, :cells]
    middles = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
    return np.asarray((np.repeat(middles, each, axis=0) + np.float32(0.5)) / np.float32(cells), np.float32)
