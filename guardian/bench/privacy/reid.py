"""Can those whose faces are covered still be told apart?

Portraits of 40 people go through the live chain. Whoever attacks knows where each face lies, has eight other
pictures of everybody, in clear or protected in the same way, and is asked about the remaining two, until
all 400 have been asked about. Chance is one in forty.

naive: learned from clear pictures. parrot: compared with protected ones. learned: trained on protected ones.
enhanced: the same on pictures whose contrast was raised or whose smooth part was taken away. restored:
sharpened again, then as naive. 30 pictures: the same on averages of 30 pictures of one take.

The face is its box grown by 1.3, which the law is about. The whole portrait, for information, has hair,
shoulders and the wall behind, which differ from person to person in this set and which a mode may show:
what is recognised there is recognised by these. A face that was not found counts like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import sqrt
from typing import Any

import cv2
import numpy as np

from guardian.bench.drawing import Bars, bars
from guardian.bench.privacy.attacks import F32, LEARNED, NAIVE, PARROT, Attack, Rank1, Who, best
from guardian.bench.privacy.portraits import (
    Crop,
    Portrait,
    averaged,
    box_in_scene,
    place,
    portraits,
    scene_with,
    seen_at,
    usual_covers,
)
from guardian.bench.privacy.takes import ARMING, Take
from guardian.bench.script import Row, Script, Steps
from guardian.core.errors import Unavailable
from guardian.core.frames import Mode, State
from guardian.core.geometry import Box
from guardian.core.notes import FrameNotes
from guardian.models import ModelStore
from guardian.vision.outline import cover_box

GROWN, SHAPE = 1.3, 1.25
"""How much the face's box is grown, and the height by the width of what is looked at."""
PICTURES = 30
"""Pictures of one take that are averaged."""
TIMES_CHANCE = {"naive": 2, "parrot": 3, "learned": 5, "enhanced": 5, "restored": 2, "pictures_30": 5}
"""How often chance each kind of attack may be right about faces."""
CLEAR = 0.9
"""What an attack must reach on clear faces to prove anything."""
USUAL = 10
"""How often chance attacks on the usual covers must be right, or they are no attacks."""
COVERED = 0.95
"""Share of a face's box that covers must hide; else the face was missed."""
BLUR = 1.5
"""What restoring takes the blur to be: a Gaussian of so many pixels of the crop, as the usual one is."""
KINDS = ("naive", "parrot", "learned", "enhanced", "restored", "pictures_30")


@dataclass(frozen=True, slots=True)
class Effort:
    """How many people, portraits of each and deals of the portraits, and which modes."""

    people: int
    each: int
    seeds: int
    modes: tuple[Mode, ...]


QUICK = Effort(12, 5, 1, (Mode.SELFIE,))
WHOLE = Effort(40, 10, 2, (Mode.SELFIE, Mode.INSTALL))


@dataclass(slots=True)
class Seen:
    """What was seen of all portraits in one way: one picture of each, and the mean of many."""

    one: list[Crop] = field(default_factory=list)
    mean: list[Crop] = field(default_factory=list)


async def measure(effort: Effort, steps: Steps) -> list[Row]:
    """Rows: clear, the usual covers, then face and whole portrait for each mode."""
    store = ModelStore.default()
    people = portraits(store, effort.people, effort.each)
    inquiry = Inquiry(np.array([one.person for one in people], np.intp), effort.seeds)
    steps.expect(len(effort.modes) * (len(people) + len(REGIONS)) + 3)
    clear = {region: _clear(people, box) for region, box in REGIONS.items()}
    await _step(steps, "attacks on clear faces")
    rows: list[Row] = [{"what": "clear", "region": "face", "clear": inquiry.clear(clear["face"]).as_dict()}]
    for name, seen in _usual(people).items():
        await _step(steps, f"attacks on {name}")
        rows.append({"what": name, "region": "face", **_figures(inquiry.kinds(clear["face"], seen))})
    for mode in effort.modes:
        protected, missed = await _protected(Take(store, mode), people, steps)
        for region, found in protected.items():
            await _step(steps, f"attacks on {mode}, {region}")
            kinds = inquiry.kinds(clear[region], found.one)
            many = inquiry.kinds(clear[region], found.mean)
            kinds["pictures_30"] = max(many.values(), key=lambda one: one.rate)
            row = {"what": str(mode), "region": region, **_figures(kinds)}
            rows.append({**row, "pictures_30_by_kind": _figures(many), "missed": missed})
    return [{**row, "chance": 1 / effort.people, "asked": len(people)} for row in rows]


async def _step(steps: Steps, what: str) -> None:
    steps.begin(what)
    steps.done()
    await asyncio.sleep(0)  # whoever is told to end can


def _clear(people: Sequence[Portrait], region: Callable[[Portrait], Box]) -> list[Crop]:
    return [
        seen_at(scene_with(one, 0, number), region(one), place(one, 0, number))
        for number, one in enumerate(people)
    ]


def _usual(people: Sequence[Portrait]) -> dict[str, list[Crop]]:
    """The faces under the usual covers, as large as Guardian's."""
    found: dict[str, list[Crop]] = {}
    for number, one in enumerate(people):
        way = place(one, 0, number)
        box = cover_box(box_in_scene(one.face, way))
        for name, planes in usual_covers(scene_with(one, 0, number), box):
            found.setdefault(name, []).append(seen_at(planes, _face(one), way))
    return found


def _face(portrait: Portrait) -> Box:
    """As large as the grown face, and of one shape for all, or the shape alone would say who it is."""
    face = portrait.face.grown(GROWN)
    w = sqrt(face.area / SHAPE)
    return Box(face.x + (face.w - w) / 2, face.y + (face.h - w * SHAPE) / 2, w, w * SHAPE)


def _whole(portrait: Portrait) -> Box:
    h, w = portrait.picture.shape
    return Box(0, 0, w, h)


REGIONS: Mapping[str, Callable[[Portrait], Box]] = {"face": _face, "portrait": _whole}


async def _protected(take: Take, people: Sequence[Portrait], steps: Steps) -> tuple[dict[str, Seen], int]:
    """What is seen of each region, and how many faces were missed."""
    seen = {region: Seen() for region in REGIONS}
    missed = 0
    for number, one in enumerate(people):
        await _step(steps, f"portraits in {take.mode}")
        take.begin()
        shown: dict[str, list[Crop]] = {region: [] for region in REGIONS}
        for frame in range(ARMING + PICTURES):
            way = place(one, frame, number)
            safe, notes = take.show(scene_with(one, frame, number))
            if notes.state is not State.ARMED:
                continue
            for region, box in REGIONS.items():
                shown[region].append(seen_at(safe.planes, box(one), way))
            if len(shown["face"]) == PICTURES:
                break
        else:
            raise Unavailable("The chain did not trust a portrait in time; nothing can be attacked.")
        for region, crops in shown.items():
            seen[region].one.append(crops[-1])
            seen[region].mean.append(averaged(crops))
        missed += not _is_covered(box_in_scene(one.face, way), notes)
    return seen, missed


def _is_covered(face: Box, notes: FrameNotes) -> bool:
    """Whether one cover hides nearly all of the face."""
    covers = [cover_box(found.box) for found in notes.faces]
    return any(_shared(face, cover) >= COVERED * face.area for cover in covers)


def _shared(a: Box, b: Box) -> float:
    w = min(a.x + a.w, b.x + b.w) - max(a.x, b.x)
    h = min(a.y + a.h, b.y + b.h) - max(a.y, b.y)
    return max(w, 0.0) * max(h, 0.0)


# --- ways to look at a picture -----------------------------------------------------------------


def _plain(crops: Sequence[Crop]) -> F32:
    return np.stack([np.concatenate([crop.luma.ravel(), crop.chroma.ravel()]) for crop in crops])


def _even(crops: Sequence[Crop]) -> F32:
    """Luma alone, all pictures of one brightness and contrast."""
    luma = np.stack([crop.luma.ravel() for crop in crops])
    return _of_unit_spread(luma - luma.mean(axis=1, keepdims=True))


def _local_contrast(crops: Sequence[Crop]) -> F32:
    """Luma less its surroundings, by how much it varies there."""
    found = []
    for crop in crops:
        rest = crop.luma - cv2.GaussianBlur(crop.luma, (0, 0), 3)
        found.append((rest / (np.sqrt(cv2.GaussianBlur(rest * rest, (0, 0), 3)) + 0.05)).ravel())
    return np.stack(found)


def _residue(crops: Sequence[Crop]) -> F32:
    """Luma less the smoothest surface (of second order) through it."""
    h, w = crops[0].luma.shape
    y, x = (axis.ravel() for axis in np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j])
    surface = np.linalg.qr(np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1))[0]
    luma = np.stack([crop.luma.ravel() for crop in crops]).astype(np.float64)
    return _of_unit_spread(luma - (luma @ surface) @ surface.T)


def _edges(crops: Sequence[Crop]) -> F32:
    """How strong edges of eight directions are in squares of 4x4 (Dalal and Triggs, 2005)."""
    found = []
    for crop in crops:
        across, down = cv2.Sobel(crop.luma, cv2.CV_32F, 1, 0), cv2.Sobel(crop.luma, cv2.CV_32F, 0, 1)
        strength, angle = cv2.cartToPolar(across, down)
        at = (angle * (8 / (2 * np.pi))).astype(np.intp) % 8
        spread = np.where(at == np.arange(8)[:, None, None], strength, np.float32(0))
        h, w = crop.luma.shape
        squares = spread.reshape(8, h // 4, 4, w // 4, 4).sum(axis=(2, 4))
        found.append((squares / (np.linalg.norm(squares, axis=0) + 1)).ravel())
    return np.stack(found)


def _together(crops: Sequence[Crop]) -> F32:
    """Pixels and edges, of one weight."""
    looks = [look - look.mean(axis=0) for look in (_even(crops), _edges(crops))]
    return np.concatenate([look / (np.linalg.norm(look) + 1e-6) for look in looks], axis=1) * 100


def _of_unit_spread(pictures: Any) -> F32:
    return np.asarray(pictures / (pictures.std(axis=1, keepdims=True) + 1e-3), np.float32)


def _sharpened(crops: Sequence[Crop]) -> list[Crop]:
    """Richardson-Lucy (1972) against a Gaussian of `BLUR` pixels of the crop."""
    found = []
    for crop in crops:
        seen = crop.luma + 1
        guess = seen.copy()
        for _ in range(20):
            ratio = seen / (cv2.GaussianBlur(guess, (0, 0), BLUR) + 1e-3)
            guess = guess * cv2.GaussianBlur(ratio, (0, 0), BLUR)
        found.append(Crop(guess.astype(np.float32), crop.chroma))
    return found


def _wiener(crops: Sequence[Crop]) -> list[Crop]:
    """Wiener's filter against the same, for a noise of a hundredth of the picture."""
    h, w = crops[0].luma.shape
    y, x = np.meshgrid(np.fft.fftfreq(h), np.fft.fftfreq(w), indexing="ij")
    blur = np.exp(-2 * (np.pi * BLUR) ** 2 * (x * x + y * y))
    back = blur / (blur * blur + 1e-2)
    return [
        Crop(np.fft.ifft2(np.fft.fft2(crop.luma) * back).real.astype(np.float32), crop.chroma)
        for crop in crops
    ]


# --- judging -----------------------------------------------------------------------------------

Crops = Sequence[Crop]
Looks = Mapping[str, Callable[[Crops], F32]]
PLAIN: Looks = {"pixels": _plain, "even pixels": _even}
ENHANCED: Looks = {
    "local contrast": _local_contrast,
    "residue": _residue,
    "edges": _edges,
    "pixels and edges": _together,
}


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Who is on the pictures, and how often to deal them."""

    who: Who
    seeds: int

    def best(self, attacks: Mapping[str, Attack], looks: Looks, known: Crops, asked: Crops) -> Rank1:
        """The best of the attacks that learn from `known` and are asked about `asked`."""
        pairs = {name: (look(known), look(asked)) for name, look in looks.items()}
        return best(attacks, pairs, self.who, self.seeds)

    def clear(self, clear: Crops) -> Rank1:
        """How well the attacks do on clear pictures."""
        return self.best({**PARROT, **LEARNED}, {**PLAIN, **ENHANCED}, clear, clear)

    def naive(self, clear: Crops, asked: Crops) -> Rank1:
        """Learned from clear pictures."""
        return self.best(NAIVE, PLAIN, clear, asked)

    def kinds(self, clear: Crops, seen: Crops) -> dict[str, Rank1]:
        """Every kind of attack on one picture of each take."""
        sharpened = [self.naive(clear, restore(seen)) for restore in (_sharpened, _wiener)]
        return {
            "naive": self.naive(clear, seen),
            "parrot": self.best(PARROT, PLAIN, seen, seen),
            "learned": self.best(LEARNED, PLAIN, seen, seen),
            "enhanced": self.best({**PARROT, **LEARNED}, ENHANCED, seen, seen),
            "restored": max(sharpened, key=lambda found: found.rate),
        }


def _figures(kinds: Mapping[str, Rank1]) -> dict[str, Any]:
    return {kind: found.as_dict() for kind, found in kinds.items()}


def _cells(row: Row) -> Sequence[Any]:
    def shown(kind: str) -> str | None:
        if kind not in row:
            return None
        found = row[kind]
        return f"{found['rate']:.3f}±{(found['high'] - found['low']) / 2:.3f}"

    return (row["what"], row["region"], *(shown(kind) for kind in ("clear", *KINDS)), row.get("missed"))


def _misses(rows: Sequence[Row]) -> list[str]:
    said = []
    for row in rows:
        if "clear" in row and row["clear"]["rate"] <= CLEAR:
            said.append(
                f"Clear faces are named in {row['clear']['rate']:.2f} only: the attacks prove nothing."
            )
        elif "missed" not in row and "clear" not in row:
            said += _weak(row)
        elif "missed" in row and row["region"] == "face":
            said += _recognised(row)
    return said


def _weak(row: Row) -> list[str]:
    if row["learned"]["rate"] > USUAL * row["chance"]:
        return []
    return [f"{row['what']}: the attacks do not see through it, though others do; they prove nothing."]


def _recognised(row: Row) -> list[str]:
    return [
        f"{row['what']}: faces are named in {row[kind]['rate']:.3f} ({kind.replace('_', ' ')}, "
        f"{row[kind]['attack']}), more than {times} times chance."
        for kind, times in TIMES_CHANCE.items()
        if row[kind]["rate"] > times * row["chance"]
    ]


def _rate(row: Row, kind: str) -> float | None:
    return row[kind]["rate"] if kind in row else None


def _drawing(rows: Sequence[Row]) -> str:
    attacked = [row for row in rows if row["region"] == "face" and "clear" not in row]
    series = {kind.replace("_", " "): [_rate(row, kind) for row in attacked] for kind in KINDS}
    names = [row["what"] for row in attacked]
    goals = sorted({times * rows[0]["chance"] for times in TIMES_CHANCE.values()})
    return bars([Bars("faces named rightly, by attack", names, series, "share of pictures", goals=goals)])


SCRIPT = Script(
    "Can those whose faces are covered still be told apart?",
    partial(measure, WHOLE),
    partial(measure, QUICK),
    (
        "named rightly",
        "of",
        "clear",
        "naive",
        "parrot",
        "learned",
        "enhanced",
        "restored",
        "30 pictures",
        "missed",
    ),
    _cells,
    _misses,
    _drawing,
    timed=False,
)
