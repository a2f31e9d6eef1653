"""Finding people: MediaPipe's landscape selfie segmenter."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from guardian.core.frames import Planes
from guardian.core.notes import Seen, Unknown
from guardian.vision.pictures import small_bgr
from guardian.vision.tflite import F32, Network


class SelfieSegmenter:
    """Person probability from a network of 1x144x256x3 RGB 0..1. One thread only."""

    def __init__(self, model: Path) -> None:
        self._net = Network(model)
        self.name = model.stem

    def find(self, planes: Planes) -> Seen[F32] | Unknown:
        """float32 (144, 256), the whole picture stretched to the network's shape."""
        rgb = cv2.cvtColor(small_bgr(planes, self._net.size), cv2.COLOR_BGR2RGB)
        blob = np.multiply(rgb, np.float32(1 / 255), dtype=np.float32)[np.newaxis]
        return Seen(self._net.run(blob)[0][0, :, :, 0])
