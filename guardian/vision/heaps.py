"""Networks say the same thing many times over: of each heap of boxes the best is kept."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]


def alone(found: F32, iou: float) -> F32:
    """The best of each heap of boxes that overlap by more than `iou`, the surest first.

    found: float32 (n, 5 or more): left, top, width, height, score, and what else belongs to a box.
    """
    if len(found) < 2:
        return found
    kept = cv2.dnn.NMSBoxes(found[:, :4].tolist(), found[:, 4].tolist(), 0.0, iou)
    return found[np.asarray(kept, np.intp).ravel()]
