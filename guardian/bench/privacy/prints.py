"""What is printed in the picture: how much of it *install* hides, what can be read after, and at what cost.

Text is drawn on photos of the shared folder, half of it on light sheets and half on the photo itself, so its
place is known. Codes are photos of printed ones: where they are is not known, only whether they can be read.
Photos and films on which nothing was drawn tell what else is hidden, true writing included.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cv2
import numpy as np

from guardian.bench.drawing import Bars, bars
from guardian.bench.privacy.clips import film, picture_at
from guardian.bench.privacy.takes import Take, media
from guardian.bench.script import Row, Script, Steps
from guardian.core.config import VisionConfig
from guardian.core.frames import U8, Mode, Planes, RawFrame
from guardian.core.notes import PrintKind, Seen
from guardian.core.ports import PrintFinder
from guardian.demo.scene import planes_from_rgb
from guardian.eyes import open_finders
from guardian.models import ModelStore
from guardian.vision.codes import find_codes
from guardian.vision.print_watch import PrintWatch, Reading, at_once

SIZE = (640, 480)
HEIGHTS = (8, 10, 12, 16, 24, 48, 96, 180)
GOAL_HEIGHT, GOAL = 16, 0.9
"""Letters of this height in pixels and more are to be hidden, and the share of the lines that has to be."""
HIDDEN_SHARE = 0.8
"""Share of a line's box that has to be hidden for it to be so."""
WORDS = ("138 0013 8000", "WeChat: shop88", "Order 20481", "call me", "No. 12 Elm Road", "INVOICE")
FONTS = tuple(range(8))
LINES = 3
SEED = 5
_ALL = np.full((1, 1), 255, np.uint8)


@dataclass(frozen=True, slots=True)
class Effort:
    """One photo of so many; one picture of a film of so many."""

    photos: int
    codes: int
    pictures: int


QUICK, WHOLE = Effort(24, 12, 40), Effort(6, 1, 5)


@dataclass(slots=True)
class _Bag:
    """What came of the pictures of one row."""

    pictures: int = 0
    there: int = 0
    found: int = 0
    read_before: int = 0
    read_after: int = 0
    hidden: list[float] = field(default_factory=list)
    look_ms: dict[PrintKind, list[float]] = field(default_factory=lambda: {kind: [] for kind in PrintKind})

    def row(self, what: str) -> Row:
        def quantile(kind: PrintKind, share: float) -> float | None:
            return float(np.quantile(self.look_ms[kind], share)) if self.look_ms[kind] else None

        return {
            "what": what,
            "pictures": self.pictures,
            "there": self.there or None,
            "found": self.found / self.there if self.there else None,
            "read_before": self.read_before,
            "read_after": self.read_after,
            "hidden_share": float(np.mean(self.hidden)) if self.hidden else None,
            "text_ms": {"p50": quantile(PrintKind.TEXT, 0.5), "p95": quantile(PrintKind.TEXT, 0.95)},
            "codes_ms": {"p50": quantile(PrintKind.CODE, 0.5), "p95": quantile(PrintKind.CODE, 0.95)},
        }


class _Timed:
    """A print finder whose looks are timed."""

    def __init__(self, finder: PrintFinder) -> None:
        self._finder = finder
        self.name = finder.name
        self.bag = _Bag()

    def find(self, planes: Planes, kind: PrintKind) -> Any:
        """See `PrintFinder`."""
        began = time.thread_time()
        answer = self._finder.find(planes, kind)
        self.bag.look_ms[kind].append((time.thread_time() - began) * 1000)
        return answer


class _Watch:
    """What prints hide of pictures that have nothing to do with each other, or of a film."""

    def __init__(self, finder: PrintFinder) -> None:
        self._watch = PrintWatch(Reading(finder, at_once), VisionConfig())

    def hidden(self, planes: Planes, t: float | None = None) -> U8:
        """uint8 (h, w), 255 where it is hidden. t: seconds in a film; None for a picture by itself."""
        if t is None:
            self._watch.clear()
        found = self._watch.hidden(RawFrame(planes, t or 0.0, t or 0.0), _ALL)
        return np.asarray(cv2.resize(found.cells, planes.size, interpolation=cv2.INTER_LINEAR), np.uint8)


async def measure(effort: Effort, steps: Steps) -> list[Row]:
    """A row for each height of letters, one for photos of codes, and some of pictures without either."""
    store = ModelStore.default()
    store.find("text")
    reading = open_finders(store, VisionConfig()).prints
    assert reading is not None
    timed = _Timed(reading.finder)
    timed.find(_photo(np.full((480, 640, 3), 128, np.uint8)), PrintKind.TEXT)
    steps.expect(len(HEIGHTS) + 5)
    photos = sorted(media("people").glob("*.jpg"))[:: effort.photos]
    pictures = [fitted(picture_at(path)) for path in photos]
    rows = []
    for height in HEIGHTS:
        steps.begin(f"letters of {height} px")
        rows.append(await _text(timed, pictures, height))
        steps.done()
    steps.begin("photos of codes")
    rows.append(await _codes(store, timed, effort))
    steps.done()
    plain = [(planes_from_rgb(rgb), None) for rgb in pictures]
    for name, seen in [("people, nothing drawn", plain), *_films(effort)]:
        steps.begin(name)
        rows.append(await _besides(timed, name, seen))
        steps.done()
    return rows


async def _text(timed: _Timed, pictures: Sequence[U8], height: int) -> Row:
    bag = timed.bag = _Bag()
    watch = _Watch(timed)
    chance = np.random.default_rng(SEED + height)
    for rgb in pictures:
        await asyncio.sleep(0)  # here a signal ends the work
        drawn, boxes = written(rgb, height, chance)
        hidden = watch.hidden(planes_from_rgb(drawn))
        bag.pictures += 1
        bag.there += len(boxes)
        bag.found += sum(float((hidden[box] == 255).mean()) >= HIDDEN_SHARE for box in boxes)
    return bag.row(f"letters of {height} px")


def written(rgb: U8, height: int, chance: np.random.Generator) -> tuple[U8, list[tuple[slice, slice]]]:
    """The picture with up to `LINES` lines of capitals of this height, and where they are."""
    out = rgb.copy()
    boxes: list[tuple[slice, slice]] = []
    rows, columns = rgb.shape[:2]
    thick = max(height // 9, 1)
    for i in range(LINES):
        text, font = WORDS[int(chance.integers(len(WORDS)))], FONTS[int(chance.integers(len(FONTS)))]
        scale = cv2.getFontScaleFromHeight(font, height, thick)
        while cv2.getTextSize(text, font, scale, thick)[0][0] > columns - 20 and len(text) > 2:
            text = text[:-1]
        (w, h), below = cv2.getTextSize(text, font, scale, thick)
        x, y = int(chance.integers(4, max(columns - w - 4, 5))), int(chance.integers(h + 4, rows - below - 4))
        box = np.s_[y - h : y + below, x : x + w]
        if w > columns - 8 or any(_meet(box, other) for other in boxes):
            continue
        ground = int(out[box].mean())
        if i % 2 == 0:
            ground = int(chance.integers(190, 245))
            cv2.rectangle(out, (x - 8, y - h - 8), (x + w + 8, y + below + 8), (ground,) * 3, cv2.FILLED)
        ink = ground + 100 if ground < 128 else ground - 100
        cv2.putText(out, text, (x, y), font, scale, (ink,) * 3, thick, cv2.LINE_AA)
        boxes.append(box)
    return out, boxes


def _meet(one: tuple[slice, slice], other: tuple[slice, slice]) -> bool:
    return all(a.start < b.stop + 24 and b.start < a.stop + 24 for a, b in zip(one, other, strict=True))


async def _codes(store: ModelStore, timed: _Timed, effort: Effort) -> Row:
    bag = timed.bag = _Bag()
    watch, take = _Watch(timed), Take(store, Mode.INSTALL)
    paths = sorted(media("qr").rglob("*.png")) + sorted(media("qr").rglob("*.jpg"))
    for path in paths[:: effort.codes]:
        await asyncio.sleep(0)  # here a signal ends the work
        planes = _photo(picture_at(path))
        answer = timed.find(planes, PrintKind.CODE)
        bag.pictures += 1
        bag.there += 1
        bag.found += isinstance(answer, Seen) and bool(answer.value)
        bag.hidden.append(float((watch.hidden(planes) == 255).mean()))
        bag.read_before += _read(planes)
        take.begin()
        bag.read_after += _read(take.settled(planes, 1)[0].planes)
    return bag.row("photos of codes")


def _read(planes: Planes) -> bool:
    return any(code.text for code in find_codes(planes.y))


async def _besides(timed: _Timed, name: str, seen: Iterable[tuple[Planes, float | None]]) -> Row:
    bag = timed.bag = _Bag()
    watch = _Watch(timed)
    for planes, t in seen:
        await asyncio.sleep(0)  # here a signal ends the work
        bag.pictures += 1
        bag.hidden.append(float((watch.hidden(planes, t) == 255).mean()))
    return bag.row(name)


def _films(effort: Effort) -> Iterator[tuple[str, Iterable[tuple[Planes, float | None]]]]:
    for name in ("product_bottles_640x360", "people_walking_768x432", "talking_head_640x360"):
        clip = film(media("video") / f"{name}.mp4", name)
        yield name, ((one.planes, one.t) for i, one in enumerate(clip.play()) if i % effort.pictures == 0)


def fitted(rgb: U8) -> U8:
    """A photo brought into a call's picture: as large as fits into `SIZE`."""
    scale = min(SIZE[0] / rgb.shape[1], SIZE[1] / rgb.shape[0])
    size = tuple(max(round(side * scale / 4) * 4, 16) for side in rgb.shape[1::-1])
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _photo(rgb: U8) -> Planes:
    return planes_from_rgb(fitted(rgb))


def misses(rows: Sequence[Row]) -> list[str]:
    """What has to hold and did not."""
    said = []
    for row in rows:
        height = int(row["what"].split()[2]) if row["what"].startswith("letters") else 0
        if height >= GOAL_HEIGHT and row["found"] is not None and row["found"] < GOAL:
            said.append(f"Of the {row['what']} {row['found']:.2f} are hidden, {GOAL} are to be.")
        if row["read_after"]:
            said.append(f"{row['read_after']} codes can still be read in what leaves.")
    return said


def _cells(row: Row) -> tuple[Any, ...]:
    return (
        row["what"],
        row["pictures"],
        row["there"],
        row["found"],
        row["read_before"],
        row["read_after"],
        row["hidden_share"],
        row["text_ms"]["p50"],
        row["text_ms"]["p95"],
        row["codes_ms"]["p50"],
        row["codes_ms"]["p95"],
    )


def drawing(rows: Sequence[Row]) -> str:
    """Share of lines that are hidden by the height of their letters, as SVG."""
    text = [row for row in rows if row["what"].startswith("letters")]
    return bars(
        [
            Bars(
                "Lines of text by the height of their letters, px",
                [row["what"].split()[2] for row in text],
                {"hidden": [row["found"] for row in text]},
                "share",
                1.0,
                [GOAL],
            )
        ]
    )


SCRIPT = Script(
    "What is printed in the picture: how much of it is hidden, and what can be read after?",
    partial(measure, WHOLE),
    partial(measure, QUICK),
    ("what", "pictures", "there", "found", "read", "after", "hidden", "text ms", "p95", "codes ms", "p95"),
    _cells,
    misses,
    drawing,
    timed=False,
)
