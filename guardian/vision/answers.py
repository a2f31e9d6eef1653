"""Finders are not believed: an answer is used when it can be one, else it is a doubt."""

from __future__ import annotations

from math import isfinite

import numpy as np
import numpy.typing as npt

from guardian.core.geometry import Box
from guardian.core.notes import Face, Seen, Unknown

MAX_FACES = 300
SMALLEST_MASK, LARGEST_MASK = 8, 2048


class Doubt(Exception):
    """This frame cannot be proven safe; the text says why, without any content."""


def believed_faces(answer: object, size: tuple[int, int]) -> tuple[Face, ...]:
    """The faces of a finder's answer; Doubt for Unknown and for nonsense."""
    value = _value(answer, "faces")
    if not isinstance(value, tuple) or len(value) > MAX_FACES:
        raise Doubt("the face finder gave an answer that cannot be one")
    if not all(isinstance(face, Face) and _possible(face, size) for face in value):
        raise Doubt("the face finder gave a face that cannot be one")
    return value


def believed_mask(answer: object) -> npt.NDArray[np.float32]:
    """The mask of a finder's answer; Doubt for Unknown and for nonsense."""
    mask = _value(answer, "people")
    if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype != np.float32:
        raise Doubt("the person finder gave an answer that is no mask")
    if min(mask.shape) < SMALLEST_MASK or max(mask.shape) > LARGEST_MASK:
        raise Doubt("the person finder gave a mask of an impossible size")
    # Written so that NaN fails too.
    if not (float(mask.min()) >= -1e-3 and float(mask.max()) <= 1 + 1e-3):
        raise Doubt("the person finder gave values that are no probabilities")
    return mask


def _value(answer: object, what: str) -> object:
    if isinstance(answer, Unknown):
        raise Doubt(f"{what} unknown: {answer.reason}")
    if not isinstance(answer, Seen):
        raise Doubt(f"{what}: no answer")
    return answer.value


def _possible(face: Face, size: tuple[int, int]) -> bool:
    box = face.box
    if not isinstance(box, Box) or not all(isfinite(n) for n in (box.x, box.y, box.w, box.h, face.score)):
        return False
    w, h = size
    near = -w < box.x < 2 * w and -h < box.y < 2 * h
    return near and 0 < box.w <= 4 * w and 0 < box.h <= 4 * h and 0 <= face.score <= 1
