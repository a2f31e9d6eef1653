"""Where the sample call's pictures come from: the generated scene or a video file."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import cv2
import numpy as np

from guardian.core.canary import BLOCK, Canary
from guardian.core.errors import MediaError
from guardian.core.frames import Planes
from guardian.core.notes import Seen
from guardian.core.ports import PersonFinder
from guardian.demo.scene import CANARY_FRAMES, FPS, HEIGHT, WIDTH, Scene, ScenePicture
from guardian.rtc.convert import planes_of

_LARGEST = 1280
_NEAR = 0.1
_MARGIN = 0.05


class PictureSource(Protocol):
    """Pictures of one size without end; `canary` is None where none is painted."""

    canary: Canary | None
    fps: float
    size: tuple[int, int]

    def pictures(self) -> Iterator[ScenePicture]: ...


class SceneSource:
    """The generated scene."""

    def __init__(self, people: PersonFinder) -> None:
        self._scene = Scene(people)
        self.canary: Canary | None = self._scene.canary
        self.fps: float = FPS
        self.size = (WIDTH, HEIGHT)

    def pictures(self) -> Iterator[ScenePicture]:
        """The canary alone, then the person moving."""
        return self._scene.pictures()


class FileSource:
    """A video file, over and over. Without a person finder it is left as it is, canary-free."""

    def __init__(self, path: Path, people: PersonFinder | None) -> None:
        self._path = path
        self._people = people
        first = next(self._decoded(), None)
        if first is None:
            raise MediaError(f"{path} has no pictures; give a video file with --video.")
        self.size = first.size
        self.canary = Canary.of_size(*self.size) if people is not None else None
        self.fps = self._rate()

    def _rate(self) -> float:
        with av.open(str(self._path.absolute())) as container:
            rate = container.streams.video[0].average_rate or Fraction(FPS)
        return float(min(max(rate, Fraction(5)), Fraction(FPS)))

    def _decoded(self) -> Iterator[Planes]:
        try:
            with av.open(str(self._path.absolute())) as container:
                if not container.streams.video:
                    raise MediaError(f"{self._path} has no video; give a video file with --video.")
                for frame in container.decode(video=0):
                    shrink = min(1.0, _LARGEST / max(frame.width, frame.height))
                    width, height = (int(side * shrink) & ~1 for side in (frame.width, frame.height))
                    yield planes_of(frame.reformat(width, height, "yuv420p"))
        except (OSError, av.FFmpegError) as error:
            raise MediaError(
                f"{self._path} cannot be read as video: {error.strerror or 'damaged file'}."
            ) from error

    def pictures(self) -> Iterator[ScenePicture]:
        """The canary alone where there is one, then the file."""
        width, height = self.size
        nowhere = np.zeros((height // BLOCK, width // BLOCK), np.bool_)
        if self.canary is not None:
            grey = np.full((height, width), 126, np.uint8)
            half = np.full((height // 2, width // 2), 128, np.uint8)
            for _ in range(CANARY_FRAMES):
                yield ScenePicture(Planes(self.canary.painted(grey), half, half), ~nowhere)
        while True:
            for planes in self._decoded():
                if planes.size == self.size:
                    yield self._painted(planes) if self.canary is not None else ScenePicture(planes, nowhere)

    def _painted(self, planes: Planes) -> ScenePicture:
        """The canary as wallpaper, well away from people."""
        assert self.canary is not None
        assert self._people is not None
        width, height = self.size
        answer = self._people.find(planes)
        near = np.ones((height, width), np.uint8)
        if isinstance(answer, Seen):
            reach = max(3, int(answer.value.shape[1] * _MARGIN)) * 2 + 1
            wide = cv2.dilate((answer.value > _NEAR).astype(np.uint8), np.ones((reach, reach), np.uint8))
            near = cv2.resize(wide, (width, height), interpolation=cv2.INTER_NEAREST).astype(np.uint8)
        rows, columns = height // BLOCK, width // BLOCK
        blocks = near[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
        free = np.logical_not(blocks.any(axis=(1, 3)))
        where = np.zeros((height, width), np.bool_)
        where[: rows * BLOCK, : columns * BLOCK] = np.kron(free, np.ones((BLOCK, BLOCK), np.bool_))
        luma = np.where(where, self.canary.painted(planes.y, 22), planes.y)
        return ScenePicture(Planes(luma, planes.u, planes.v), free)
