"""What is judged: films of the shared media folder, and people cut out of photos who move before a room.

Composed clips are made in memory, picture by picture, and bring what the films lack: faces of every size up
to a close-up, turned, dim, coming in and leaving at the border, and sudden changes of scene.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import cos, pi, sin
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from guardian.bench.privacy.takes import media
from guardian.core.errors import MediaError
from guardian.core.frames import U8, Planes
from guardian.demo.scene import planes_from_rgb, room
from guardian.vision.film import FilmReader

FILMS = ("talking_head_640x360", "people_walking_768x432", "classroom_480x270", "product_bottles_640x360")
SIZE = (640, 480)
FPS = 30
REMEMBERED = 240
"""Pictures of a clip that may be held in memory."""
COMPOSED = 150
"""Pictures of a composed clip."""
SCENE = 50
"""Pictures from one sudden change of scene to the next."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a clip. t: media seconds. doubtful: the decoder says that it is damaged."""

    planes: Planes
    t: float
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip that can be played again and again. length: pictures."""

    name: str
    length: int
    play: Callable[[], Iterator[Picture]]


def picture_at(path: Path) -> U8:
    """A photo, RGB (h, w, 3). MediaError."""
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise MediaError(f"{path} cannot be read as a picture.")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def films() -> list[Clip]:
    """The films of the shared media folder. MediaError, Unavailable."""
    folder = media("video")
    return [film(folder / f"{name}.mp4", name.rsplit("_", 1)[0]) for name in FILMS]


def film(path: Path, name: str) -> Clip:
    """A film as `guardian protect` reads it. MediaError."""

    def play() -> Iterator[Picture]:
        with FilmReader(path) as reader:
            for one in reader:
                assert reader.shape is not None
                yield Picture(one.planes, float(one.pts * reader.shape.time_base), one.doubtful)

    with FilmReader(path) as reader:
        length = reader.expected
    return Clip(name, length if length is not None else sum(1 for _ in play()), play)


def begun(clip: Clip, length: int) -> Clip:
    """No more of a clip than so many pictures from its beginning."""
    return Clip(clip.name, min(length, clip.length), lambda: islice(clip.play(), length))


def remembered(clip: Clip) -> Clip:
    """A short clip with its pictures in memory, so that they are made once; a long one as it is."""
    if clip.length > REMEMBERED:
        return clip
    pictures = [replace(one, planes=copied(one.planes)) for one in clip.play()]
    return Clip(clip.name, clip.length, lambda: iter(pictures))


def copied(planes: Planes) -> Planes:
    """Planes that keep no decoder's buffer."""
    return Planes(planes.y.copy(), planes.u.copy(), planes.v.copy())


@dataclass(frozen=True, slots=True)
class Cutout:
    """A person without their surroundings: RGBA (h, w, 4) float32, colours times opacity 0..1."""

    rgba: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the cut-out is in a picture: its middle in shares of the picture's sides, its height in shares of
    the picture's height, and its turn in degrees."""

    person: int
    x: float
    y: float
    height: float
    turn: float = 0.0


@dataclass(frozen=True, slots=True)
class Play:
    """A composed clip. poses: who is where in picture i of `COMPOSED`. light: share of the light left."""

    name: str
    poses: Callable[[int], Sequence[Pose]]
    light: float = 1.0


def cutouts(count: int, fit: Callable[[Planes], bool]) -> list[Cutout]:
    """People of the shared photos who stand upright, in the order of their names. MediaError, Unavailable.

    fit: whether a person will do who stands in the room alone.
    """
    background = room(*SIZE).astype(np.float32)
    folder = media("people")
    found: list[Cutout] = []
    for path in sorted(folder.glob("*_mask.png")):
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        photo = path.with_name(path.name.replace("_mask.png", ".jpg"))
        if mask is None or not photo.is_file():
            continue
        one = _cutout(picture_at(photo), np.asarray(mask, np.uint8))
        if one is not None and fit(_picture(ALONE, 0, [one], background)):
            found.append(one)
        if len(found) == count:
            return found
    raise MediaError(f"{folder} holds fewer than {count} people who can be cut out.")


def _cutout(rgb: U8, mask: U8) -> Cutout | None:
    """The person the mask shows; None for a strip, for a crowd, and for one without pixels enough."""
    mask = np.asarray(cv2.resize(mask, rgb.shape[1::-1], interpolation=cv2.INTER_AREA), np.uint8)
    x, y, w, h = cv2.boundingRect((mask > 127).astype(np.uint8))
    if h < 200 or not 1.0 <= h / w <= 3.0:
        return None
    opacity = (
        cv2.GaussianBlur(mask[y : y + h, x : x + w], (3, 3), 0)[:, :, np.newaxis].astype(np.float32) / 255
    )
    colours = rgb[y : y + h, x : x + w].astype(np.float32) * opacity
    return Cutout(np.concatenate([colours, opacity], axis=2))


def composed(people: Sequence[Cutout]) -> list[Clip]:
    """Every play with these people, six of them."""
    background = room(*SIZE).astype(np.float32)
    return [_clip(play, people, background) for play in PLAYS]


def _clip(play: Play, people: Sequence[Cutout], background: npt.NDArray[np.float32]) -> Clip:
    def pictures() -> Iterator[Picture]:
        for i in range(COMPOSED):
            yield Picture(_picture(play, i, people, background), i / FPS)

    return Clip(play.name, COMPOSED, pictures)


def _picture(play: Play, i: int, people: Sequence[Cutout], background: npt.NDArray[np.float32]) -> Planes:
    canvas = background.copy()
    for pose in play.poses(i):
        layer = _placed(people[pose.person % len(people)], pose)
        canvas = canvas * (1 - layer[:, :, 3:]) + layer[:, :, :3]
    return planes_from_rgb(np.clip(canvas * play.light, 0, 255).astype(np.uint8))


def _placed(person: Cutout, pose: Pose) -> npt.NDArray[np.float32]:
    w, h = SIZE
    rows, columns = person.rgba.shape[:2]
    scale = pose.height * h / rows
    # Halved until little is left to do: a far scale would take single pixels and let the rest fall.
    rgba = person.rgba
    while scale < 0.5:
        rgba = np.asarray(cv2.resize(rgba, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)
        scale *= rows / rgba.shape[0]
        rows, columns = rgba.shape[:2]
    matrix = cv2.getRotationMatrix2D((columns / 2, rows / 2), pose.turn, scale)
    matrix[:, 2] += (pose.x * w - columns / 2, pose.y * h - rows / 2)
    return np.asarray(cv2.warpAffine(rgba, matrix, SIZE, flags=cv2.INTER_LINEAR), np.float32)


def _sway(i: int, seconds: float) -> float:
    """-1..1 and back in so many seconds."""
    return sin(2 * pi * i / FPS / seconds)


def _near(i: int) -> list[Pose]:
    """The camera goes from the whole person to a face larger than the picture, and back."""
    height = 0.9 + 5.1 * (1 - cos(2 * pi * i / COMPOSED)) / 2
    # The head stays in the middle: about an eighth of a cut-out down from its top.
    return [Pose(0, 0.5, 0.25 + height * 0.36, height)]


def _far(i: int) -> list[Pose]:
    """Three people far away cross the picture; none is in it at first."""
    ways = ((1, 0.20, 3.2, 1), (2, 0.28, 4.0, -1), (3, 0.40, 4.6, 1))
    return [
        Pose(person, 0.5 + side * (-0.7 + 1.4 * i / FPS / seconds), 0.62, height)
        for person, height, seconds, side in ways
    ]


def _turning(i: int) -> list[Pose]:
    """One who leans over to either side and on until they lie."""
    return [Pose(4, 0.5, 0.62, 1.0, 95 * _sway(i, 5.0))]


def _coming(i: int) -> list[Pose]:
    """One comes in from the side and leaves, another from below, at a quick walk."""
    return [
        Pose(5, -0.3 + 1.6 * i / 75, 0.6, 1.0),
        Pose(0, 0.7, 1.6 - 0.95 * max(0.0, sin(pi * (i - 60) / 90)), 1.0),
    ]


def _changing(i: int) -> list[Pose]:
    """Nobody, then at once a close-up, then at once another further away."""
    return [[], [Pose(1, 0.5, 1.3, 3.0)], [Pose(2, 0.35, 0.6, 1.0), Pose(3, 0.75, 0.7, 0.6)]][i // SCENE % 3]


ALONE = Play("alone", lambda i: [Pose(0, 0.5, 0.6, 1.0)])
PLAYS = (
    Play("near and far", _near),
    Play("far away", _far),
    Play("turning", _turning),
    Play("coming, going", _coming),
    Play("dim", _coming, 0.2),
    Play("scene cuts", _changing),
)
