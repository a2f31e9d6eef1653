"""Finding lines of text: PP-OCR's detection network."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime

from guardian.core.frames import U8

F32 = npt.NDArray[np.float32]

MEAN = np.array((123.7, 116.3, 103.5), np.float32).reshape(3, 1, 1)
DEVIATION = np.array((58.4, 57.1, 57.4), np.float32).reshape(3, 1, 1)
"""Of the pixels the network was trained on, channel by channel."""
INK = 0.3
"""Probability above which a pixel belongs to the core of a line."""
SURE = 0.5
"""Mean probability of a line's core above which it is believed."""
THINNEST = 2.0
"""Pixels of the network's copy below which a core is noise."""
UNCLIP = 1.6
"""The network marks the cores of lines; a line's edge is this times area / perimeter away (Liao et al.,
Real-time Scene Text Detection with Differentiable Binarization, 2020)."""


class TextLines:
    """The network on onnxruntime, any size that is a multiple of 32. One thread at a time."""

    multiple = 32

    def __init__(self, model: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self.name = model.stem

    def detect(self, bgr: U8) -> F32:
        """float32 (n, 4, 2): corners (x, y) of the lines' turned boxes, in pixels of `bgr`."""
        blob = np.ascontiguousarray(bgr.transpose(2, 0, 1), dtype=np.float32)[np.newaxis]
        blob -= MEAN
        blob /= DEVIATION
        heat = self._session.run(None, {self._input: blob})[0][0, 0]
        if not np.isfinite(heat.sum()):
            raise ValueError("the text network answered with something that is no number")
        return lines_of(heat)


def lines_of(heat: F32) -> F32:
    """float32 (n, 4, 2): corners of the lines of a map of probabilities, float32 (h, w)."""
    cores, _ = cv2.findContours((heat > INK).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    shapes = [np.asarray(core, np.int32) for core in cores]
    lines = [_line(core) for core in shapes if _believed(heat, core)]
    return np.array(lines, np.float32).reshape(-1, 4, 2)


def _believed(heat: F32, core: npt.NDArray[np.int32]) -> bool:
    if min(cv2.minAreaRect(core)[1]) + 1 < THINNEST:
        return False
    x, y, w, h = cv2.boundingRect(core)
    inside = np.zeros((h, w), np.uint8)
    cv2.drawContours(inside, [core - (x, y)], -1, (1,), cv2.FILLED)
    return float(cv2.mean(heat[y : y + h, x : x + w], inside)[0]) >= SURE


def _line(core: npt.NDArray[np.int32]) -> F32:
    middle, (w, h), degrees = cv2.minAreaRect(core)
    # A contour runs through the middles of its pixels.
    w, h = w + 1, h + 1
    by = UNCLIP * w * h / (2 * (w + h))
    return np.asarray(cv2.boxPoints((middle, (w + 2 * by, h + 2 * by), degrees)), np.float32)
