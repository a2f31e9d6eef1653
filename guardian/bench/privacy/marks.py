"""Which pixels are shown? Those that follow their source.

Two chains get the same picture but for a mark: each pixel some levels brighter in one and darker in the
other, two and two in every square of four, so that averages do not tell them apart and finders find the
same. Where the two outputs differ as their sources do, the source is shown, and by how much;
where they are equal, nothing of it is, whatever colour it has.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from guardian.core.frames import U8, Planes

F32 = npt.NDArray[np.float32]
I16 = npt.NDArray[np.int16]

DEPTH = 6
"""Levels of luma by which a mark is brighter or darker."""
SHOWN = 0.25
"""Share of a mark that comes through from which its pixels count as shown. Rounding makes up to 0.1."""
_DARKEST, _BRIGHTEST = 16 + DEPTH, 235 - DEPTH
_SQUARES = np.array(
    [[1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1], [-1, 1, 1, -1], [-1, 1, -1, 1], [-1, -1, 1, 1]], np.int16
)


def marks(size: tuple[int, int], seed: int) -> I16:
    """+1 and -1 for a picture of an even size (w, h), int16 (h, w)."""
    w, h = size
    dealt = np.random.default_rng(seed).integers(0, len(_SQUARES), (h // 2, w // 2))
    squares = _SQUARES[dealt].reshape(h // 2, w // 2, 2, 2)
    return np.ascontiguousarray(squares.transpose(0, 2, 1, 3).reshape(h, w))


def marked(planes: Planes, mark: I16) -> tuple[Planes, Planes]:
    """The picture with the mark and with its opposite."""
    y = np.clip(planes.y, _DARKEST, _BRIGHTEST).astype(np.int16)
    deep = mark * DEPTH
    brighter, darker = (y + deep).astype(np.uint8), (y - deep).astype(np.uint8)
    return Planes(brighter, planes.u, planes.v), Planes(darker, planes.u, planes.v)


def opacity(one: U8, other: U8, mark: I16) -> F32:
    """Share of the source in the luma of both outputs, about 0..1, float32 (h / 2, w / 2)."""
    follows = (one.astype(np.int16) - other.astype(np.int16)) * mark
    h, w = follows.shape
    in_fours = follows.reshape(h // 2, 2, w // 2, 2).sum(axis=(1, 3), dtype=np.int32)
    return np.asarray(in_fours / np.float32(8 * DEPTH), np.float32)
