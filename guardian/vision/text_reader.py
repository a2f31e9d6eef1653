"""Reading lines of text: PP-OCR's recognition network, decoded greedily (Shi et al., CRNN, 2015)."""

from __future__ import annotations

from math import ceil
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime

from guardian.core.frames import U8

F32 = npt.NDArray[np.float32]

HEIGHT = 48
"""Height of a line as the network was trained on it."""
STEP = 32
"""Widths are multiples of this, for each new one costs room of its own."""
NARROWEST, WIDEST = 64, 1280
UPRIGHT = 1.5
"""Height of a line's box, of its width, from which on it runs up or down."""
POOR = 0.85
"""Confidence below which a line is read the other way round as well."""
FEWEST = 4
"""Characters it has to have for that: what is no text reads as one or two."""


class TextReader:
    """The network on onnxruntime. One thread at a time; the characters come with the weights."""

    def __init__(self, model: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Lines differ in width: an arena would keep the room of every one.
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        characters = self._session.get_modelmeta().custom_metadata_map["character"].splitlines()
        self._characters = ["", *characters, " "]
        self.name = model.stem

    def read(self, bgr: U8, corners: F32) -> tuple[str, float]:
        """What a line says and how sure that is, 0..1. corners: float32 (4, 2), its turned box in pixels.

        ValueError when the network answers with something that is no probability.
        """
        line = _cut(bgr, corners)
        ways = [line]
        if line.shape[0] >= UPRIGHT * line.shape[1]:
            ways = [np.asarray(cv2.rotate(line, way), np.uint8) for way in _QUARTERS]
        best = max((self._read(way) for way in ways), key=lambda one: one[1])
        if best[1] < POOR and len(ways) == 1 and len(best[0]) >= FEWEST:
            over = np.asarray(cv2.rotate(line, cv2.ROTATE_180), np.uint8)
            best = max(best, self._read(over), key=lambda one: one[1])
        return best

    def _read(self, line: U8) -> tuple[str, float]:
        h, w = line.shape[:2]
        wide = min(max(round(w * HEIGHT / h), 8), WIDEST)
        small = cv2.resize(
            line, (wide, HEIGHT), interpolation=cv2.INTER_AREA if h > HEIGHT else cv2.INTER_CUBIC
        )
        blob = np.zeros((1, 3, HEIGHT, max(ceil(wide / STEP) * STEP, NARROWEST)), np.float32)
        blob[0, :, :, :wide] = small.transpose(2, 0, 1) / np.float32(127.5) - np.float32(1)
        chances = self._session.run(None, {self._input: blob})[0][0]
        return self._decoded(chances)

    def _decoded(self, chances: F32) -> tuple[str, float]:
        """chances: float32 (steps, characters), the first character being none."""
        if not np.isfinite(chances.sum()):
            raise ValueError("the reading network answered with something that is no number")
        best = chances.argmax(axis=1)
        kept = (best != 0) & (np.diff(best, prepend=-1) != 0)
        if not kept.any():
            return "", 0.0
        text = "".join(self._characters[at] for at in best[kept] if at < len(self._characters))
        return text, float(np.clip(chances.max(axis=1)[kept].mean(), 0, 1))


_QUARTERS = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE)


def _cut(bgr: U8, corners: F32) -> U8:
    """The box turned upright, uint8 (h, w, 3)."""
    box = _in_order(corners)
    w = max(round(float(np.linalg.norm(box[1] - box[0]))), 4)
    h = max(round(float(np.linalg.norm(box[3] - box[0]))), 4)
    target = np.array(((0, 0), (w, 0), (w, h), (0, h)), np.float32)
    matrix = cv2.getPerspectiveTransform(box, target)
    return np.asarray(cv2.warpPerspective(bgr, matrix, (w, h), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _in_order(corners: F32) -> F32:
    """From the top left, clockwise."""
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    left, right = by_x[:2][np.argsort(by_x[:2, 1])], by_x[2:][np.argsort(by_x[2:, 1])]
    return np.array((left[0], right[0], right[1], left[1]), np.float32)
