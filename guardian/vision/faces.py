"""Finding faces: a small pass over every picture, closer looks in turn.

YuNet covers faces of about 10 to 300 pixels, so one size does not do. Each picture is seen as a
whole at about 280 pixels across; every second one has another look besides, in turn at four
overlapping quarters (small faces), at a tiny copy (faces that fill the picture) and at turned copies.
A new size and a sudden change of scene get all of them at once. A network for near faces gets many
more looks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime

from guardian.core.frames import U8, Planes
from guardian.core.geometry import Box
from guardian.core.notes import Face, Seen, Unknown
from guardian.vision.pictures import part, small_bgr

F32 = npt.NDArray[np.float32]

WHOLE_AREA = 256 * 192
TILE_AREA = 400 * 240
TINY_AREA = 128 * 96
NEAR_AREA = 160 * 120
TURNED_AREA = 192 * 144
TURNED_SCORE = 0.35
NEAR_SCORE = 0.35
"""BlazeFace gives flat enlarged parts just above 0.3."""
CLOSER_SCORE = 0.55
"""Score a face needs in a closer look: hands and leaves look like faces when looked at closely."""
SCENE_CUT = 22.0
"""Mean luma difference of thumbnails above which a picture counts as another scene."""
SAME_FACE_IOU = 0.3


class FaceNet(Protocol):
    """A face network at one picture size."""

    name: str
    multiple: int

    def detect(self, bgr: U8) -> F32:
        """float32 (n, 5): left, top, width, height in pixels of `bgr`, score 0..1."""
        ...


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
        scores = np.sqrt(np.concatenate([c * o for c, o in zip(out[:3], out[3:6], strict=True)], axis=1))
        scores = scores[0, :, 0]
        if not np.isfinite(scores.sum()):
            raise ValueError("the face network answered with something that is no number")
        hits = np.flatnonzero(scores > self._threshold)
        cells = self._grid(bgr.shape[1], bgr.shape[0])[hits]
        raw = np.concatenate(out[6:9], axis=1)[0, hits]
        stride = cells[:, 2:3]
        size = np.exp(raw[:, 2:4]) * stride
        corner = (cells[:, :2] + raw[:, :2]) * stride - size / 2
        return np.concatenate([corner, size, np.minimum(scores[hits, np.newaxis], 1)], axis=1)

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


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a part of the picture, given in shares of its sides, at about `area` pixels."""

    x: float
    y: float
    share: float
    area: int
    score: float = 0.0
    """Score a face needs in this look besides the network's own threshold."""
    quarters: int = 0
    """Quarter turns against the clock before looking: people lie down, and cameras are held anyhow."""

    def box(self, w: int, h: int) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1) in a picture of w x h, even numbers."""
        tile_w, tile_h = max(_even(w * self.share), 2), max(_even(h * self.share), 2)
        x0, y0 = min(_even(w * self.x), w - tile_w), min(_even(h * self.y), h - tile_h)
        return x0, y0, x0 + tile_w, y0 + tile_h


@dataclass(frozen=True, slots=True)
class Round:
    """Looks taken in turn: `at_once` of them in each `every`th picture."""

    looks: tuple[Look, ...]
    every: int
    at_once: int

    @property
    def pictures(self) -> int:
        """Pictures until all looks have been taken."""
        return -(-len(self.looks) // self.at_once) * self.every

    def due(self, count: int) -> list[Look]:
        """The looks of the picture with number `count`."""
        if count % self.every != self.every - 1:
            return []
        first = count // self.every * self.at_once
        return [self.looks[(first + i) % len(self.looks)] for i in range(self.at_once)]


Gaze = tuple[Round, ...]
"""Where a finder looks besides the whole picture. Every round takes at most
`guardian.core.tracks.REVISIT_FRAMES` pictures."""


def tiles(rows: int, look: Look) -> tuple[Look, ...]:
    """`look` in `rows` rows and columns that overlap."""
    at = [i * (1 - look.share) / (rows - 1) for i in range(rows)]
    return tuple(replace(look, x=x, y=y) for y in at for x in at)


FAR_SIGHTED: Gaze = (
    Round(
        (
            *tiles(2, Look(0, 0, 0.55, TILE_AREA, CLOSER_SCORE)),
            Look(0, 0, 1, TINY_AREA),
            *(Look(0, 0, 1, TURNED_AREA, TURNED_SCORE, quarters) for quarters in (1, 2, 3)),
        ),
        every=2,
        at_once=1,
    ),
)
"""For a network that finds faces of every size but the smallest and the largest."""
SHORT_SIGHTED: Gaze = (
    Round(tiles(2, Look(0, 0, 0.6, NEAR_AREA)), every=1, at_once=2),
    Round(
        (
            *tiles(3, Look(0, 0, 0.4, NEAR_AREA, NEAR_SCORE)),
            *tiles(5, Look(0, 0, 0.25, NEAR_AREA, NEAR_SCORE)),
            *(Look(0, 0, 1, NEAR_AREA, TURNED_SCORE, quarters) for quarters in (1, 2, 3)),
        ),
        every=1,
        at_once=2,
    ),
)
"""For a network that finds only faces near the camera: it is brought near to every part. What it takes
for a face by mistake is covered too, for it misses more than it makes up."""


class TurningFaceFinder:
    """Looks at every picture as a whole and closer at parts of it in turn. One thread only."""

    def __init__(self, net: FaceNet, gaze: Gaze = FAR_SIGHTED) -> None:
        self._net = net
        self._gaze = gaze
        self._size = (0, 0)
        self._thumbnail: U8 | None = None
        self._count = 0
        self.looks = 0
        self.name = net.name

    def find(self, planes: Planes) -> Seen[tuple[Face, ...]] | Unknown:
        """Faces in pixels of `planes`."""
        everywhere = self._new_scene(planes)
        looks = [Look(0, 0, 1, WHOLE_AREA)]
        for one in self._gaze:
            looks += one.looks if everywhere else one.due(self._count)
        self._count += 1
        self.looks = len(looks)
        return Seen(_merged(np.concatenate([self._look(planes, look) for look in looks])))

    def _look(self, planes: Planes, look: Look) -> F32:
        x0, y0, x1, y1 = box = look.box(*planes.size)
        w, h = fit(x1 - x0, y1 - y0, look.area, self._net.multiple)
        bgr = small_bgr(part(planes, box), (w, h))
        found = self._net.detect(np.ascontiguousarray(np.rot90(bgr, look.quarters)))
        found = _turned_back(found[found[:, 4] >= look.score], (w, h), look.quarters)
        sx, sy = (x1 - x0) / w, (y1 - y0) / h
        return found * np.array([sx, sy, sx, sy, 1], np.float32) + np.array([x0, y0, 0, 0, 0], np.float32)

    def _new_scene(self, planes: Planes) -> bool:
        # Averages and not samples: a hand that shakes moves every sample of a patterned wall, and no average.
        thumbnail = np.asarray(cv2.resize(planes.y, (32, 24), interpolation=cv2.INTER_AREA), np.uint8)
        before, self._thumbnail = self._thumbnail, thumbnail
        if before is None or planes.size != self._size:
            self._size = planes.size
            return True
        return float(cv2.mean(cv2.absdiff(before, thumbnail))[0]) > SCENE_CUT


def _turned_back(found: F32, size: tuple[int, int], quarters: int) -> F32:
    """Boxes found in a picture of `size` (w, h) after its turns, as they lie in the picture itself."""
    w, h = size
    x, y, across, down, score = found.T
    match quarters % 4:
        case 1:
            turned = [w - y - down, x, down, across, score]
        case 2:
            turned = [w - x - across, h - y - down, across, down, score]
        case 3:
            turned = [y, h - x - across, down, across, score]
        case _:
            return found
    return np.stack(turned, axis=1)


def fit(w: int, h: int, area: int, multiple: int) -> tuple[int, int]:
    """A size of about the shape of w x h, about `area` pixels, both numbers of the multiple."""
    scale = min((area / (w * h)) ** 0.5, 1.0)
    return (
        max(round(w * scale / multiple), 2) * multiple,
        max(round(h * scale / multiple), 2) * multiple,
    )


def _merged(found: F32) -> tuple[Face, ...]:
    """One face for each heap of boxes that overlap."""
    if not len(found):
        return ()
    boxes, scores = found[:, :4].astype(float), found[:, 4].astype(float)
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.0, SAME_FACE_IOU)
    return tuple(Face(Box(*boxes[i].tolist()), float(scores[i])) for i in np.asarray(kept).ravel())


def _even(value: float) -> int:
    return int(value) // 2 * 2
