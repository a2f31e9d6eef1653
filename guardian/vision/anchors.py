"""Networks that say boxes as offsets from fixed anchors, as MediaPipe's for faces and palms do."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from guardian.core.frames import U8
from guardian.vision.tflite import F32, Network

Layers = tuple[tuple[int, int], ...]
"""Cells a side of each layer of anchors, and anchors in each cell."""


class AnchorNet:
    """A square network of RGB values from `lowest` to 1. One thread only.

    Decoding after MediaPipe's tensors_to_detections_calculator: boxes, and key points behind them, are
    offsets in input pixels from the middles of cells, scores logits.
    """

    def __init__(self, net: Network, layers: Layers, lowest: float, threshold: float) -> None:
        """threshold: score, 0..1, from which on something is found."""
        self._net = net
        self._anchors = np.concatenate([_anchors(cells, each) for cells, each in layers])
        self._lowest, self._threshold = np.float32(lowest), threshold
        self.side = net.size[0]
        """Width and height of the picture it takes."""

    @classmethod
    def open(cls, model: Path, layers: Layers, lowest: float, threshold: float) -> AnchorNet:
        """With the network of a file."""
        return cls(Network(model), layers, lowest, threshold)

    def detect(self, bgr: U8) -> F32:
        """float32 (n, 5 + 2 k): left, top, width, height in pixels of `bgr`, score 0..1, and x, y of the
        network's k key points."""
        side = self.side
        scale = side / max(bgr.shape[:2])
        w, h = (max(round(n * scale), 1) for n in (bgr.shape[1], bgr.shape[0]))
        padded = np.zeros((side, side, 3), np.uint8)
        padded[:h, :w] = cv2.cvtColor(cv2.resize(bgr, (w, h)), cv2.COLOR_BGR2RGB)
        blob = padded.astype(np.float32)[np.newaxis] * ((1 - self._lowest) / np.float32(255)) + self._lowest
        offsets, logits = sorted(self._net.run(blob), key=lambda output: -output.shape[-1])
        scores = 1 / (1 + np.exp(-np.clip(logits[0, :, 0], -80, 80)))
        hits = np.flatnonzero(scores > self._threshold)
        anchors = self._anchors[hits] * np.float32(side)
        said = offsets[0, hits].reshape(len(hits), offsets.shape[-1] // 2, 2) / np.float32(scale)
        middles = (anchors / np.float32(scale))[:, np.newaxis]
        size = said[:, 1]
        corner = said[:, 0] + middles[:, 0] - size / 2
        rest = (said[:, 2:] + middles).reshape(len(hits), offsets.shape[-1] - 4)
        return np.column_stack([corner, size, scores[hits], rest]).astype(np.float32)


def _anchors(cells: int, each: int) -> F32:
    """Middles of the cells, float32 (cells * cells * each, 2), 0..1."""
    y, x = np.mgrid[:cells, :cells]
    middles = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
    return np.asarray((np.repeat(middles, each, axis=0) + np.float32(0.5)) / np.float32(cells), np.float32)
