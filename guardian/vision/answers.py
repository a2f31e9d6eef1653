"""Finders are not believed: an answer is used when it can be one, else it is a doubt."""

from __future__ import annotations

from math import isfinite

import numpy as np
import numpy.typing as npt

from guardian.core.geometry import Box
from guardian.core.notes import Face, Hand, Print, PrintKind, Seen, Unknown

MAX_FACES = 300
MAX_HANDS = 20
LARGEST_HAND = 1.5
"""Side of a hand's box, of the picture's longer side."""
MAX_PRINTS, MAX_CORNERS = 1000, 100
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


def believed_hands(answer: object, size: tuple[int, int]) -> tuple[Hand, ...]:
    """The hands of a finder's answer; Doubt for Unknown and for nonsense."""
    value = _value(answer, "hands")
    if not isinstance(value, tuple) or len(value) > MAX_HANDS:
        raise Doubt("the hand finder gave an answer that cannot be one")
    if not all(isinstance(hand, Hand) and _possible_hand(hand, size) for hand in value):
        raise Doubt("the hand finder gave a hand that cannot be one")
    return value


def believed_prints(answer: object, size: tuple[int, int]) -> tuple[Print, ...]:
    """The prints of a finder's answer; Doubt for Unknown and for nonsense."""
    value = _value(answer, "prints")
    if not isinstance(value, tuple) or len(value) > MAX_PRINTS:
        raise Doubt("the print finder gave an answer that cannot be one")
    if not all(isinstance(one, Print) and _possible_print(one, size) for one in value):
        raise Doubt("the print finder gave a print that cannot be one")
    return value


def _value(answer: object, what: str) -> object:
    if isinstance(answer, Unknown):
        raise Doubt(f"{what} unknown: {answer.reason}")
    if not isinstance(answer, Seen):
        raise Doubt(f"{what}: no answer")
    return answer.value


def _possible(face: Face, size: tuple[int, int]) -> bool:
    return _possible_box(face.box, size) and 0 <= face.score <= 1


def _possible_hand(hand: Hand, size: tuple[int, int]) -> bool:
    if not (_possible_box(hand.box, size) and _possible_box(hand.palm, size) and 0 <= hand.score <= 1):
        return False
    return max(hand.box.w, hand.box.h) <= LARGEST_HAND * max(size)


def _possible_print(one: Print, size: tuple[int, int]) -> bool:
    if not (isinstance(one.kind, PrintKind) and 3 <= len(one.corners) <= MAX_CORNERS):
        return False
    w, h = size
    return all(-w < x < 2 * w and -h < y < 2 * h for x, y in one.corners)


def _possible_box(box: object, size: tuple[int, int]) -> bool:
    if not isinstance(box, Box) or not all(isfinite(n) for n in (box.x, box.y, box.w, box.h)):
        return False
    w, h = size
    near = -w < box.x < 2 * w and -h < box.y < 2 * h
    return near and 0 < box.w <= 4 * w and 0 < box.h <= 4 * h
