"""How much of the room is seen, and how much of the person?

Photos of people whose outline is known, as stored and letterboxed to 640x480, until the picture has settled;
and clips of people cut out of such photos who move before known rooms. A pixel counts as shown when it
follows its source (`guardian.bench.privacy.marks`), whatever its colour. In clips it counts for good: what
matters is what can be gathered over a call (Hilgefort et al., Spying through Virtual Backgrounds, 2021).
There a band of 3 % of the picture's width around the person is left out; `with edge` counts it too.
Promised is what photos as stored show and keep, and what clips ever show of the room; the rest is told.

Of the person, `kept` is what is shown outside the covers of faces, `of all` what is shown altogether. The
photos' outlines were made by a machine that counts things held in the hand as the person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from guardian.bench.privacy.compose import SIZE, Clip, Shot, clips
from guardian.bench.privacy.curves import growing
from guardian.bench.privacy.marks import F32, SHOWN, marked, marks, opacity
from guardian.bench.privacy.people import Still, spread, stills
from guardian.bench.privacy.rooms import ROOM
from guardian.bench.privacy.takes import FPS, Take
from guardian.bench.script import Row, Script, Steps
from guardian.core.frames import Mode, Planes, Showing
from guardian.core.notes import Face
from guardian.demo.scene import planes_from_rgb
from guardian.models import ModelStore
from guardian.vision.outline import cover_box

Bools = npt.NDArray[np.bool_]

MOST_SHOWN = 0.02
"""Share of the background that photos as stored may show."""
LEAST_KEPT = 0.80
"""Share of the person, outside the covers, that photos as stored must show."""
MOST_UNION = 0.01
"""Share of a room that a clip may ever show."""
BAND = 0.03
"""Of the picture's width: where edges are not judged."""
SETTLING = 6
"""Pictures after the first trusted one until a photo is judged."""
CURVE_S = 0.5
"""Between two points of the curve of what has been seen of a room."""
_SEED = 3


@dataclass(frozen=True, slots=True)
class Effort:
    """How many photos and clips, and seconds of each clip."""

    stills: int
    clips: int
    seconds: float


QUICK = Effort(16, 4, 6.0)
WHOLE = Effort(1000, 16, 8.0)


class Pair:
    """Two chains that get the same pictures with opposite marks."""

    def __init__(self, store: ModelStore) -> None:
        self._takes = (Take(store, Mode.SELFIE), Take(store, Mode.SELFIE))
        self._mark = marks((2, 2), _SEED)

    def begin(self, size: tuple[int, int]) -> None:
        """A new take, of pictures of this size."""
        self._mark = marks(size, _SEED)
        for take in self._takes:
            take.begin()

    def show(self, planes: Planes) -> Look:
        """What becomes of the next picture."""
        both = marked(planes, self._mark)
        (one, notes), (other, _) = (
            take.show(picture) for take, picture in zip(self._takes, both, strict=True)
        )
        covered = one.showing is Showing.COVERED and other.showing is Showing.COVERED
        return Look(opacity(one.planes.y, other.planes.y, self._mark), notes.faces, covered)

    def settled(self, planes: Planes) -> Look:
        """The same picture until it is shown and `SETTLING` times more. Unavailable if it never is."""
        both = marked(planes, self._mark)
        (one, notes), (other, _) = (
            take.settled(picture, SETTLING) for take, picture in zip(self._takes, both, strict=True)
        )
        return Look(opacity(one.planes.y, other.planes.y, self._mark), notes.faces, True)


@dataclass(frozen=True, slots=True)
class Look:
    """What is seen of one picture: opacity as of `marks.opacity`; covered: no card and no older picture."""

    opacity: F32
    faces: tuple[Face, ...]
    covered: bool

    def under_covers(self) -> Bools:
        """Where the covers of faces are, bool (h / 2, w / 2)."""
        hidden = np.zeros(self.opacity.shape, np.uint8)
        for face in self.faces:
            box = cover_box(face.box).scaled(0.5, 0.5)
            x, y = max(round(box.x), 0), max(round(box.y), 0)
            hidden[y : max(round(box.y + box.h), 0), x : max(round(box.x + box.w), 0)] = 1
        return hidden > 0


async def measure(effort: Effort, steps: Steps) -> list[Row]:
    """Rows: photos as stored, photos letterboxed, every clip."""
    pair = Pair(ModelStore.default())
    photos = list(stills())
    chosen = spread(photos, effort.stills)
    made = clips(photos, effort.clips, _SEED)
    steps.expect(2 * len(chosen) + len(made))
    rows = [
        {**await _photos(pair, "photos as stored", chosen, steps), "promised": True},
        await _photos(pair, "photos at 640x480", [one.letterboxed(SIZE) for one in chosen], steps),
    ]
    for clip in made:
        steps.begin(f"clip {clip.name}")
        rows.append(await _clip(pair, clip, effort.seconds))
        steps.done()
    return rows


# --- photos ------------------------------------------------------------------------------------


async def _photos(pair: Pair, what: str, chosen: Sequence[Still], steps: Steps) -> Row:
    found = []
    for still in chosen:
        steps.begin(f"{what}: {still.name}")
        found.append(_photo(pair, still))
        steps.done()
        await asyncio.sleep(0)  # whoever is told to end can
    figures = {key: [value for one in found if (value := one[key]) is not None] for key in found[0]}
    return {
        "what": what,
        "count": len(found),
        "shown": _mean(figures["shown"]),
        "shown_p90": round(float(np.quantile(figures["shown"], 0.9)), 4),
        "kept": _mean(figures["kept"]),
        "kept_of_all": _mean(figures["kept_of_all"]),
        "iou": _mean(figures["iou"]),
        "by_photo": {
            still.name: {key: None if value is None else round(value, 4) for key, value in one.items()}
            for still, one in zip(chosen, found, strict=True)
        },
    }


def _photo(pair: Pair, still: Still) -> dict[str, float | None]:
    pair.begin((still.rgb.shape[1], still.rgb.shape[0]))
    return photo_figures(pair.settled(planes_from_rgb(still.rgb)), still.person)


def photo_figures(look: Look, person: npt.NDArray[np.uint8]) -> dict[str, float | None]:
    """Shares of a photo; person: uint8 (h, w), 255 where they are. None where there is nothing to share."""
    truth = _halved(person > 0)
    seen = look.opacity >= SHOWN
    free = ~look.under_covers()
    return {
        "shown": _share(seen, ~truth),
        "kept": _share(seen, truth & free),
        "kept_of_all": _share(seen, truth),
        "iou": _share(seen & truth, (seen | truth) & free),
    }


# --- clips -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Gathered:
    """What has been seen of a room so far, bool (h / 2, w / 2) of the whole room, and of the person."""

    room: Bools = field(default_factory=lambda: _nothing(ROOM))
    edge: Bools = field(default_factory=lambda: _nothing(ROOM))
    open: Bools = field(default_factory=lambda: _nothing(ROOM))
    """What of the room was in the picture, outside the band, at any time."""
    kept: list[float] = field(default_factory=list)
    kept_of_all: list[float] = field(default_factory=list)
    pictures: int = 0

    def take(self, look: Look, shot: Shot) -> None:
        """Adds what one picture shows."""
        seen = look.opacity >= SHOWN
        person, touched = _halved(shot.person), _halved_any(shot.touched)
        band = _grown(touched, BAND * SIZE[0] / 2)
        here = np.s_[:, shot.pan // 2 : shot.pan // 2 + seen.shape[1]]
        self.room[here] |= seen & ~band
        self.edge[here] |= seen & ~touched
        self.open[here] |= ~band
        self.pictures += look.covered
        free = person & ~look.under_covers()
        if free.any():
            self.kept.append(float(np.count_nonzero(seen & free)) / np.count_nonzero(free))
            self.kept_of_all.append(float(np.count_nonzero(seen & person)) / np.count_nonzero(person))

    @property
    def union(self) -> float:
        """Share of the room ever shown outside the band."""
        return _share(self.room, self.open) or 0.0


async def _clip(pair: Pair, clip: Clip, seconds: float) -> Row:
    gathered = Gathered()
    curve = []
    pair.begin(SIZE)
    count = 0
    for count, shot in enumerate(clip.shots(seconds), 1):
        gathered.take(pair.show(shot.planes), shot)
        if count % round(CURVE_S * FPS) == 0:
            curve.append(round(gathered.union, 5))
            await asyncio.sleep(0)
    return {
        "what": clip.name,
        "count": count,
        "union": round(gathered.union, 5),
        "edge": round(_share(gathered.edge, gathered.open) or 0.0, 4),
        "kept": _mean(gathered.kept),
        "kept_of_all": _mean(gathered.kept_of_all),
        "with_picture": round(gathered.pictures / max(count, 1), 4),
        "curve": curve,
    }


# --- shares ------------------------------------------------------------------------------------


def _nothing(size: tuple[int, int]) -> Bools:
    return np.zeros((size[1] // 2, size[0] // 2), np.bool_)


def _halved(mask: Bools) -> Bools:
    """Half the size, True where most of a square of four is."""
    h, w = mask.shape
    return np.asarray(mask.reshape(h // 2, 2, w // 2, 2).sum(axis=(1, 3)) >= 2, np.bool_)


def _halved_any(mask: Bools) -> Bools:
    h, w = mask.shape
    return np.asarray(mask.reshape(h // 2, 2, w // 2, 2).any(axis=(1, 3)), np.bool_)


def _grown(mask: Bools, by: float) -> Bools:
    """All that is at most `by` pixels away from the mask."""
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray((away <= by) & mask.any(), np.bool_)


def _share(part: Bools, whole: Bools) -> float | None:
    count = np.count_nonzero(whole)
    return float(np.count_nonzero(part & whole)) / count if count else None


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return round(float(np.mean(found)), 4) if found else None


# --- tables ------------------------------------------------------------------------------------


def _cells(row: Row) -> Sequence[Any]:
    keys = ("shown", "union", "edge", "kept", "kept_of_all", "iou")
    return (row["what"], row["count"], *(_percent(row.get(key)) for key in keys))


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.2%}"


def _misses(rows: Sequence[Row]) -> list[str]:
    said = []
    for row in rows:
        if row.get("union", 0.0) > MOST_UNION:
            said.append(f"{row['what']}: {row['union']:.1%} of the room is shown at some time.")
        if not row.get("promised"):
            continue
        if row["shown"] > MOST_SHOWN:
            said.append(
                f"{row['what']}: {row['shown']:.1%} of the background is shown, over {MOST_SHOWN:.0%}."
            )
        if row["kept"] is None or row["kept"] < LEAST_KEPT:
            said.append(f"{row['what']}: less than {LEAST_KEPT:.0%} of the person is kept.")
    return said


def _drawing(rows: Sequence[Row]) -> str:
    return growing(
        "share of the room seen so far, outside the band around the person",
        {row["what"]: row["curve"] for row in rows if "curve" in row},
        CURVE_S,
        MOST_UNION,
    )


SCRIPT = Script(
    "How much of the room is seen, and how much of the person?",
    partial(measure, WHOLE),
    partial(measure, QUICK),
    ("selfie", "pictures", "background shown", "room ever shown", "with edge", "kept", "of all", "IoU"),
    _cells,
    _misses,
    _drawing,
    timed=False,
)
