"""Which faces of labelled stills are found and covered, by their size, their turn and the light?

A still is shown until every look of a rotation has been taken, as a still camera would show it; hits of all
looks count together, as tracks hold them. Found: a hit overlaps the label by more than `FOUND_IOU`. Covered:
the chain in mode install hides the face's centre and nine tenths of its box, by whatever means. The labels
tell nothing of yaw, so there is no table of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import cv2
import numpy as np

from guardian.bench.drawing import Bars, bars
from guardian.bench.privacy.clips import film, picture_at
from guardian.bench.privacy.finders import UNPRINTED, RepeatingFaces, RepeatingPeople
from guardian.bench.privacy.squares import hidden
from guardian.bench.privacy.squares import squares as squared
from guardian.bench.privacy.stills import (
    ROTATION,
    Bits,
    Boxes,
    Showing,
    Still,
    as_boxes,
    covered,
    found,
    shown,
    sizes,
    squares,
    stills,
    unlabelled,
)
from guardian.bench.privacy.takes import ClipTime, media
from guardian.bench.script import Row, Script, Steps
from guardian.core.config import VisionConfig
from guardian.core.frames import Mode, Planes, RawFrame
from guardian.core.notes import Face, Seen
from guardian.core.ports import FaceFinder
from guardian.core.tracks import Crowd, FaceTracks
from guardian.demo.scene import planes_from_rgb
from guardian.eyes import Finders, open_eyes, open_finders
from guardian.models import ModelStore

STORED, CALL, TWICE = 416, 640, 832
"""Pixels a still is shown wide and high: as it is stored, as the facts of the detectors were measured (and a
call's picture is), and twice as large."""
UPRIGHT = (Showing("416", STORED), Showing("640", CALL), Showing("832", TWICE))
LIGHTS = tuple(Showing(f"light {light:.0%}", CALL, light=light) for light in (0.5, 0.25, 0.12))
TURNS = tuple(Showing(f"turned {turn}", CALL, turn=turn) for turn in (15, 30, 45, 60, 90, 135, 180))
BINS = ((12, 16), (16, 32), (32, 64), (64, 128), (128, 10_000))
BIN_NAMES = ("12-16", "16-32", "32-64", "64-128", ">128")
GOALS = {16: 0.93, 32: 0.97}
"""Least size and the share of such faces to be found."""
JUDGED_AT = "640"
TURNED_SIZE = 32
"""Faces of this size and more are looked for in turned stills; smaller ones are blurred by the turning."""
FPS = 30
WARM = 8
NO_NEWS = 12
"""Pictures after which none of another picture is new any more."""
PHOTO_SIDE = 640


@dataclass(frozen=True, slots=True)
class Effort:
    """One still, one photo without people and one picture of a film of so many."""

    stills: int
    photos: int
    pictures: int


QUICK, WHOLE = Effort(5, 18, 10), Effort(1, 3, 1)


@dataclass(slots=True)
class _Bag:
    """What came of all stills shown in one way: a line per face."""

    sizes: list[float]
    found: list[bool]
    covered: list[bool]
    pictures: int = 0
    unlabelled: int = 0


async def measure(effort: Effort, steps: Steps) -> list[Row]:
    """One row per way of showing the stills, then two of pictures in which nobody is."""
    store = ModelStore.default()
    seen = stills(effort.stills)
    steps.expect(len(UPRIGHT + LIGHTS + TURNS) + 2)
    rows = []
    for how in UPRIGHT + LIGHTS + TURNS:
        steps.begin(f"stills, {how.name}")
        rows.append(_row(how, await _looked(store, seen, how)))
        steps.done()
    for name, pictures in _nobody(effort).items():
        steps.begin(name)
        rows.append(await _false(store, name, pictures))
        steps.done()
    return rows


async def _looked(store: ModelStore, seen: Sequence[Still], how: Showing) -> _Bag:
    finders = open_finders(store, VisionConfig())
    chain = _Covering(store) if not how.turn else None
    bag = _Bag([], [], [])
    for still in seen:
        await asyncio.sleep(0)  # here a signal ends the work
        size = sizes(still.faces)
        if how.turn and size.max(initial=0) < TURNED_SIZE:
            continue
        planes, faces = shown(still, how)
        hits, held = rotation(finders.faces, planes)
        bag.pictures += 1
        bag.unlabelled += unlabelled(faces, held)
        bag.sizes += size.tolist()
        bag.found += found(faces, squares(hits) if how.turn else hits).tolist()
        if chain is not None:
            bag.covered += covered(faces, chain.hidden(planes)).tolist()
    return bag


def rotation(finder: FaceFinder, planes: Planes) -> tuple[Boxes, Boxes]:
    """Every hit in a still that is shown until all looks have been taken, and the faces held at the end."""
    tracks = FaceTracks(VisionConfig().face_hold_s)
    hits: set[tuple[float, float, float, float]] = set()
    held: tuple[Face, ...] = ()
    for i in range(ROTATION):
        answer = finder.find(planes)
        if not isinstance(answer, Seen):
            continue
        hits |= {(face.box.x, face.box.y, face.box.w, face.box.h) for face in answer.value}
        try:
            held = tracks.update(answer.value, i / FPS, finder.revisit)
        except Crowd:
            held = ()
    return np.array(sorted(hits), np.float64).reshape(-1, 4), as_boxes([face.box for face in held])


class _Covering:
    """The live chain in mode install, which shows what it does not have to hide."""

    def __init__(self, store: ModelStore) -> None:
        # The picture of squares is another scene, and is to be looked at at once.
        config = replace(VisionConfig(), codes_every_s=0.0, text_every_s=0.0)
        own = open_finders(store, config)
        self._clock = ClipTime()
        self._faces, self._people = RepeatingFaces(own.faces), RepeatingPeople(own.people)
        self._chain = open_eyes(
            store, config, Mode.INSTALL, Finders(self._faces, self._people, prints=UNPRINTED), self._clock
        )
        self._count = 0

    def hidden(self, planes: Planes) -> Bits:
        """What is hidden of a still after a rotation; bool (h, w)."""
        for _ in range(ROTATION + WARM):
            self._show(planes)
        self._faces.repeat = self._people.repeat = True
        pattern = squared(planes.size)
        for _ in range(NO_NEWS):
            self._show(pattern)
        result = hidden(self._show(pattern))
        self._faces.repeat = self._people.repeat = False
        # The next still is none that follows on this one.
        self._count += 10 * FPS
        return result

    def _show(self, planes: Planes) -> Any:
        self._count += 1
        t = self._clock.t = self._count / FPS
        return self._chain.protect(RawFrame(planes, t, t))[0]


def _row(how: Showing, bag: _Bag) -> Row:
    size, hit = np.array(bag.sizes), np.array(bag.found, np.bool_)
    hid = np.array(bag.covered, np.bool_) if bag.covered else None
    least = TURNED_SIZE if how.turn else 0

    def share(values: Bits | None, low: float, high: float) -> float | None:
        wanted = (size >= low) & (size < high)
        if values is None or low < least or not wanted.any():
            return None
        return float(values[wanted].mean())

    return {
        "shown": how.name,
        "side": how.side,
        "light": how.light,
        "turn": how.turn,
        "pictures": bag.pictures,
        "faces": {name: int(((size >= a) & (size < b)).sum()) for name, (a, b) in _bins()},
        "found": {name: share(hit, a, b) for name, (a, b) in _bins()},
        "found_from": {str(low): share(hit, low, np.inf) for low in GOALS},
        "covered": {name: share(hid, a, b) for name, (a, b) in _bins()},
        "covered_from": {str(low): share(hid, low, np.inf) for low in GOALS},
        "false_per_picture": bag.unlabelled / max(bag.pictures, 1),
    }


def _bins() -> Iterator[tuple[str, tuple[int, int]]]:
    return zip(BIN_NAMES, BINS, strict=True)


def _nobody(effort: Effort) -> dict[str, Iterable[Planes]]:
    """Pictures in which no face is expected: a film of things on a table, and photos of printed codes."""
    table = film(media("video") / "product_bottles_640x360.mp4", "product_bottles")
    photos = sorted(media("qr").rglob("*.png")) + sorted(media("qr").rglob("*.jpg"))
    return {
        "nobody: product_bottles": (
            one.planes for i, one in enumerate(table.play()) if i % effort.pictures == 0
        ),
        "nobody: photos of codes": (_photo(picture_at(path)) for path in photos[:: effort.photos]),
    }


def _photo(rgb: Any) -> Planes:
    scale = min(PHOTO_SIDE / max(rgb.shape[:2]), 1.0)
    size = [max(round(side * scale / 4) * 4, 16) for side in rgb.shape[1::-1]]
    return planes_from_rgb(np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8))


async def _false(store: ModelStore, name: str, pictures: Iterable[Planes]) -> Row:
    """Faces held per picture where there are none; a film as it runs, a photo for a rotation."""
    finder = open_finders(store, VisionConfig()).faces
    tracks = FaceTracks(VisionConfig().face_hold_s)
    count = held = with_any = 0
    for planes in pictures:
        await asyncio.sleep(0)  # here a signal ends the work
        if "photos" in name:
            faces = len(rotation(finder, planes)[1])
        else:
            answer = finder.find(planes)
            seen = answer.value if isinstance(answer, Seen) else ()
            faces = len(tracks.update(seen, count / FPS, finder.revisit))
        count += 1
        held += faces
        with_any += faces > 0
    return {
        "shown": name,
        "pictures": count,
        "false_per_picture": held / max(count, 1),
        "pictures_with_false": with_any / max(count, 1),
    }


def _cells(row: Row) -> Sequence[Any]:
    def cell(kind: str, key: str) -> str:
        share = row.get(kind, {}).get(key)
        return "-" if share is None else f"{share:.3f}"

    return (
        row["shown"],
        row["pictures"],
        *(cell("found", name) for name in BIN_NAMES),
        *(cell("found_from", str(low)) for low in GOALS),
        *(cell("covered_from", str(low)) for low in GOALS),
        row["false_per_picture"],
    )


def misses(rows: Sequence[Row]) -> list[str]:
    """What of the targets is not reached at the size of a call's picture."""
    row = next((row for row in rows if row["shown"] == JUDGED_AT), None)
    if row is None:
        return ["No still was shown at the size the targets are for."]
    said = []
    for low, goal in GOALS.items():
        share = row["found_from"][str(low)]
        if share is None or share < goal:
            said.append(
                f"Of the faces of {low} px and more {share or 0:.3f} are found in pictures of "
                f"{row['side']} px; {goal} should be."
            )
    return said


def drawing(rows: Sequence[Row]) -> str:
    """Recall by size, by turn and by light."""
    by_name = {row["shown"]: row for row in rows}
    upright = [by_name[how.name] for how in UPRIGHT if how.name in by_name]
    turned = [by_name[how.name] for how in (UPRIGHT[1], *TURNS) if how.name in by_name]
    lit = [by_name[how.name] for how in (UPRIGHT[1], *LIGHTS) if how.name in by_name]
    series = {f"found, shown at {row['shown']}": [row["found"][n] for n in BIN_NAMES] for row in upright}
    series |= {
        f"covered, shown at {row['shown']}": [row["covered"][n] for n in BIN_NAMES]
        for row in upright
        if row["shown"] == JUDGED_AT
    }
    return bars(
        [
            Bars(
                "Faces by the shorter side of their box, px",
                BIN_NAMES,
                series,
                "share",
                1.0,
                [*GOALS.values()],
            ),
            Bars(
                f"Faces of {TURNED_SIZE} px and more by their turn, degrees",
                [f"{row['turn']:.0f}" for row in turned],
                {"found": [row["found_from"][str(TURNED_SIZE)] for row in turned]},
                "share",
            ),
            Bars(
                "Faces by the light that is left",
                [f"{row['light']:.0%}" for row in lit],
                {f"found, {low} px and more": [row["found_from"][str(low)] for row in lit] for low in GOALS},
                "share",
            ),
        ]
    )


SCRIPT = Script(
    "Which faces of labelled stills are found and covered, by size, turn and light?",
    partial(measure, WHOLE),
    partial(measure, QUICK),
    (
        "shown",
        "pictures",
        *BIN_NAMES,
        ">=16",
        ">=32",
        "covered >=16",
        ">=32",
        "false a picture",
    ),
    _cells,
    misses,
    drawing,
    timed=False,
)
