"""The face network: YuNet, for faces of about 10 to 300 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from guardian.core.frames import U8

F32 = npt.NDArray[np.float32]


class YuNet:
    """YuNet on onnxruntime, any size that is a multiple of 32.

    Decoding after libfacedetection.train (Wu et al., YuNet, 2023): score = sqrt(cls * obj), box
    centre = (cell + offset) * stride, box size = exp(size) * stride.
    """

    multiple = 32

    def __init__(self, model: Path, threshold: float) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._threshold = threshold
        self._cells: dict[tuple[int, int], F32] = {}
        self.name = model.stem

    def detect(self, bgr: U8) -> F32:
        """See `FaceNet`."""
        blob = np.ascontiguousarray(bgr.transpose(2, 0, 1), dtype=np.float32)[np.newaxis]
        out = self._session.run(self._wanted, {"input": blob})
        squares = np.concatenate([c * o for c, o in zip(out[:3], out[3:6], strict=True)], axis=1)[0, :, 0]
        if not np.isfinite(squares.sum()):
            raise ValueError("the face network answered with something that is no number")
        hits = np.flatnonzero(squares > self._threshold**2)
        if not hits.size:
            return np.zeros((0, 5), np.float32)
        scores = np.sqrt(np.minimum(squares[hits, np.newaxis], 1))
        cells = self._grid(bgr.shape[1], bgr.shape[0])[hits]
        raw = np.concatenate(out[6:9], axis=1)[0, hits]
        stride = cells[:, 2:3]
        size = np.exp(raw[:, 2:4]) * stride
        corner = (cells[:, :2] + raw[:, :2]) * stride - size / 2
        return np.concatenate([corner, size, scores], axis=1)

    _wanted = tuple(f"{head}_{stride}" for head in ("cls", "obj", "bbox") for stride in (8, 16, 32))

    def _grid(self, w: int, h: int) -> F32:
        """float32 (n, 3): column, row and stride of every anchor, in the order of the outputs."""
        if (w, h) not in self._cells:
            rows = []
            for stride in (8, 16, 32):
                y, x = np.mgrid[: h // stride, : w // stride]
                rows.append(np.stack([x.ravel(), y.ravel(), np.full(x.size, stride)], axis=1))
            self._cells[w, h] = np.concatenate(rows).astype(np.float32)
        return self._cells[w, h]
