"""A picture that must never arrive: a pseudo-random texture and the search for it.

Protected pictures are averaged over cells far larger than the texture's, so nothing of it is left;
in a picture that got through unprotected it survives any video codec at call bit rates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guardian.core.frames import U8

TILE = 16
"""Pixels across one tile of the texture: two by two fields, lighter and darker crosswise. Its mean
is that of the picture, so an average over a tile keeps nothing; and neither a slope nor a straight
edge looks like it."""
BLOCK = 32
"""Pixels across one block that is searched."""
SEEN = 0.5
"""Correlation above which a block holds the canary."""
_NOISE = 4.0
"""Grey levels (root mean square) below which there is only codec noise, which correlates with
anything."""
_CHECKER = np.kron([[1, -1], [-1, 1]], np.ones((TILE // 2, TILE // 2))).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Canary:
    """A texture for pictures of one size.

    pattern: float32 (h, w) of -1 and +1; unit: the same by blocks, each of length 1.
    """

    pattern: npt.NDArray[np.float32]
    unit: npt.NDArray[np.float32]

    @classmethod
    def of_size(cls, width: int, height: int, seed: int = 7) -> Canary:
        """The texture for width x height pixels."""
        rng = np.random.default_rng(seed)
        rows, columns = -(-height // TILE), -(-width // TILE)
        signs = rng.integers(0, 2, (rows, columns)).astype(np.float32) * 2 - 1
        whole = np.kron(signs, _CHECKER)
        pattern = np.ascontiguousarray(whole[:height, :width])
        blocks = _blocks(pattern)
        return cls(pattern, blocks / np.linalg.norm(blocks, axis=2, keepdims=True))

    def painted(self, luma: U8, strength: float = 45.0) -> U8:
        """The luma plane (h, w) with the texture added, `strength` grey levels up and down."""
        return np.clip(luma + strength * self.pattern, 16, 235).astype(np.uint8)

    def correlation(self, luma: U8) -> npt.NDArray[np.float32]:
        """How much of the texture each block holds, 0..1, float32 (h // BLOCK, w // BLOCK).

        Each tile is taken relative to its own mean, so neither brightness nor a blurred texture
        counts; a block without contrast holds nothing.
        """
        picture = _blocks(luma.astype(np.float32))
        power = np.maximum(np.linalg.norm(picture, axis=2), _NOISE * BLOCK)
        found: npt.NDArray[np.float32] = np.abs(np.einsum("ijk,ijk->ij", picture, self.unit)) / power
        return found

    def fitted(self, luma: U8) -> U8:
        """A luma plane of any size as one of the texture's own, each pixel the nearest."""
        height, width = self.pattern.shape
        rows = np.arange(height) * luma.shape[0] // height
        columns = np.arange(width) * luma.shape[1] // width
        return luma if luma.shape == self.pattern.shape else luma[np.ix_(rows, columns)]

    def blocks_seen(self, luma: U8, where: npt.NDArray[np.bool_] | None = None) -> int:
        """Blocks that hold the canary; `where`: bool (h // BLOCK, w // BLOCK) limits the search.

        Pictures of another size are searched as if they had been made larger or smaller on their way.
        """
        seen = self.correlation(self.fitted(luma)) > SEEN
        return int(np.count_nonzero(seen if where is None else seen & where))


def _blocks(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(rows, columns, BLOCK * BLOCK) values, each relative to the mean of its tile."""
    rows, columns = plane.shape[0] // BLOCK, plane.shape[1] // BLOCK
    per = BLOCK // TILE
    tiles = plane[: rows * BLOCK, : columns * BLOCK].reshape(rows, per, TILE, columns, per, TILE)
    tiles = tiles - tiles.mean(axis=(2, 5), keepdims=True)
    return np.asarray(tiles.transpose(0, 3, 1, 4, 2, 5).reshape(rows, columns, BLOCK * BLOCK), np.float32)
