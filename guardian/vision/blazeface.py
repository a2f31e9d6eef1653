"""The fallback face network: MediaPipe short range, for faces near the camera.

Its recall on small faces is low (0.62 at 32 px and up, YuNet 0.94), so it is used only where YuNet's
weights cannot be had.
"""

from __future__ import annotations

import weakref
from pathlib import Path

import cv2
import mediapipe
import numpy as np
import numpy.typing as npt
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.vision import FaceDetector, FaceDetectorOptions

from guardian.core.frames import U8


class BlazeFace:
    """See `guardian.vision.faces.FaceNet`. One thread only."""

    multiple = 2

    def __init__(self, model: Path, threshold: float) -> None:
        options = FaceDetectorOptions(
            base_options=BaseOptions(model_asset_buffer=model.read_bytes()),
            min_detection_confidence=threshold,
        )
        self._detector = FaceDetector.create_from_options(options)
        # Left to the interpreter's end it would be closed after what it needs for that is gone.
        weakref.finalize(self, self._detector.close)
        self.name = model.stem

    def detect(self, bgr: U8) -> npt.NDArray[np.float32]:
        """float32 (n, 5): left, top, width, height in pixels of `bgr`, score 0..1."""
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(rgb))
        rows = []
        for found in self._detector.detect(image).detections:
            box = found.bounding_box
            # Its boxes end at the brows; YuNet's, which the covers are made for, at the hair line.
            top = box.origin_y - 0.25 * box.height
            rows.append([box.origin_x, top, box.width, 1.25 * box.height, found.categories[0].score])
        return np.array(rows, np.float32).reshape(-1, 5)
