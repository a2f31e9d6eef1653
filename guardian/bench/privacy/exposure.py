"""In how many pictures does a judge still find a face that the picture had before it was protected?

Clips go through the live chain as `guardian protect` sends them, with all detections and with a share of
them dropped on purpose. The judge looks at both sides of it. A picture is exposed when a face found in the
protected one overlaps one found in its source by more than `SAME`. One that overlaps none is counted apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from guardian.bench.drawing import Strip, strips
from guardian.bench.privacy.clips import Clip, Picture, begun, composed, cutouts, films, remembered
from guardian.bench.privacy.finders import Dropping
from guardian.bench.privacy.judge import Judge, open_judge
from guardian.bench.privacy.takes import ClipTime
from guardian.bench.privacy.tally import ALL, DROPPED, Tally, Variant, as_rows, matched, misses, percent, row
from guardian.bench.script import Row, Script, Steps
from guardian.core.config import VisionConfig
from guardian.core.frames import Mode, Planes, RawFrame, Showing
from guardian.core.geometry import Box
from guardian.core.notes import Face, Seen
from guardian.core.ports import PersonFinder
from guardian.eyes import open_eyes, open_finders
from guardian.models import ModelStore
from guardian.vision.chain import VideoChain

SEED = 20
PEOPLE = 6
"""People cut out of photos for the composed clips."""
SURE = 0.5
"""Score of the judge that the face of such a person needs."""
BEGINNING = 8
"""Pictures at the beginning of a clip that are always judged."""
PERSON = 0.5
"""Probability above which a pixel of the source belongs to a person."""
ROOM = 0.1
"""Probability below which it does not."""
SMALLEST_BODY = 0.05
"""Share of the picture a body must have for what is shown of it to count."""
HEAD_W, HEAD_H = 1.4, 1.5
"""Width and height of a head with its hair, of the face's: no part of the body that is to be shown."""
EQUAL = 2
"""Levels by which a pixel that is shown may differ from its source, in every plane."""
RAW_SHARE = 0.25
"""Share of a face's box that must be shown for a face the judge found in the protected picture only to be
one that is shown, and not a likeness in a fill."""
VARIANTS = tuple(Variant(mode, dropped) for mode in (Mode.SELFIE, Mode.INSTALL) for dropped in (0.0, DROPPED))

Bits = npt.NDArray[np.bool_]
Source = dict[int, tuple[Face, ...]]
"""What the judge finds in a clip before it is protected, by number of the picture."""


@dataclass(frozen=True, slots=True)
class Effort:
    """Pictures of each clip that the chain sees, and every how many of them the judge looks."""

    length: int
    every: int


QUICK, WHOLE = Effort(240, 15), Effort(1_000_000, 1)


async def measure(effort: Effort, steps: Steps) -> list[Row]:
    """One row per clip and variant, and one for all clips of each variant."""
    store = ModelStore.default()
    people = open_finders(store, VisionConfig()).people
    found: dict[Variant, list[tuple[str, Tally]]] = {variant: [] for variant in VARIANTS}
    with open_judge() as judge:
        people_alone = cutouts(PEOPLE, lambda planes: any(face.score > SURE for face in judge.faces(planes)))
        clips = [begun(clip, effort.length) for clip in (*films(), *composed(people_alone))]
        steps.expect(sum(clip.length for clip in clips) * (1 + len(VARIANTS)))
        for clip in map(remembered, clips):
            steps.begin(f"{clip.name}: as it is")
            looking = _Looking(clip, effort.every, judge, people, steps)
            source = await _source(looking)
            for variant in VARIANTS:
                steps.begin(f"{clip.name}: {variant}")
                found[variant].append((clip.name, await _protected(looking, store, variant, source)))
    rows = [row(name, variant, [tally]) for variant in VARIANTS for name, tally in found[variant]]
    return rows + [row(ALL, variant, [tally for _, tally in found[variant]]) for variant in VARIANTS]


def chain(store: ModelStore, variant: Variant, clock: ClipTime) -> VideoChain:
    """The chain of `guardian protect`, with a face finder that loses what the variant says."""
    config = VisionConfig()
    finders = open_finders(store, config)
    if variant.dropped:
        finders = replace(finders, faces=Dropping(finders.faces, variant.dropped, SEED))
    return open_eyes(store, config, variant.mode, finders, clock)


@dataclass(frozen=True, slots=True)
class _Looking:
    """A clip and who looks at it."""

    clip: Clip
    every: int
    judge: Judge
    people: PersonFinder
    steps: Steps

    async def pictures(self) -> AsyncIterator[tuple[int, Picture, bool]]:
        """Numbered pictures, and whether they are to be judged."""
        for i, picture in enumerate(self.clip.play()):
            await asyncio.sleep(0)  # here a signal ends the work
            yield i, picture, i < BEGINNING or i % self.every == 0
            self.steps.done()


async def _source(looking: _Looking) -> Source:
    """What the judge finds in the pictures as they are."""
    return {
        i: looking.judge.faces(picture.planes) async for i, picture, judged in looking.pictures() if judged
    }


async def _protected(looking: _Looking, store: ModelStore, variant: Variant, source: Source) -> Tally:
    tally, clock = Tally(looking.clip.length, looking.every), ClipTime()
    eyes = chain(store, variant, clock)
    async for i, picture, judged in looking.pictures():
        clock.t = picture.t
        tally.seconds = max(tally.seconds, picture.t)
        if picture.doubtful:
            eyes.distrust("the picture is damaged")
        safe, notes = eyes.protect(RawFrame(picture.planes, picture.t, picture.t))
        if notes.showing is Showing.CURTAIN:
            tally.curtains.append(i)
        elif tally.first_shown is None:
            tally.first_shown = i
        if judged:
            found = looking.judge.faces(safe.planes)
            _take(tally, i, _Sides(picture.planes, safe.planes, source[i], found), looking.people)
    return tally


@dataclass(frozen=True, slots=True)
class _Sides:
    """A picture as it is and protected, and the judge's faces in both."""

    source: Planes
    protected: Planes
    faces: tuple[Face, ...]
    found: tuple[Face, ...]


def _take(tally: Tally, i: int, sides: _Sides, people: PersonFinder) -> None:
    """Counts one judged picture."""
    tally.judged.append(i)
    if not sides.faces and not sides.found:
        return
    equal = shown(sides.source, sides.protected)
    same, other = matched(sides.found, sides.faces)
    if same:
        tally.exposed[i] = as_rows(same)
    if other:
        tally.alone[i] = as_rows(other)
    tally.alone_shown += sum(_share(equal, one.box) > RAW_SHARE for one in other)
    if not sides.faces:
        return
    tally.with_face.append(i)
    body, room = body_and_room(people, sides.source, sides.faces)
    if tally.first_shown is not None and body.mean() >= SMALLEST_BODY:
        tally.body.append(float(equal[body].mean()))
        if room.any():
            tally.by_chance.append(float(equal[room].mean()))


def shown(source: Planes, protected: Planes) -> Bits:
    """Where the protected picture is its source within `EQUAL` levels in every plane; bool (h, w)."""
    equal = cv2.absdiff(source.y, protected.y) <= EQUAL
    for one, other in ((source.u, protected.u), (source.v, protected.v)):
        half = (cv2.absdiff(one, other) <= EQUAL).astype(np.uint8)
        equal &= np.repeat(np.repeat(half, 2, axis=0), 2, axis=1).astype(np.bool_)
    return np.asarray(equal, np.bool_)


def _share(bits: Bits, box: Box) -> float:
    pixels = box.pixels(bits.shape[1], bits.shape[0])
    if pixels is None:
        return 0.0
    x0, y0, x1, y1 = pixels
    return float(bits[y0:y1, x0:x1].mean())


def body_and_room(people: PersonFinder, planes: Planes, faces: Sequence[Face]) -> tuple[Bits, Bits]:
    """Where people are but for the covers their heads need, and where nobody is; bool (h, w)."""
    answer = people.find(planes)
    w, h = planes.size
    if not isinstance(answer, Seen):
        return np.zeros((h, w), np.bool_), np.zeros((h, w), np.bool_)
    mask = cv2.resize(answer.value, (w, h), interpolation=cv2.INTER_LINEAR)
    body = np.asarray(mask > PERSON)
    for face in faces:
        pixels = head_of(face.box).pixels(w, h)
        if pixels is not None:
            x0, y0, x1, y1 = pixels
            body[y0:y1, x0:x1] = False
    return body, np.asarray(mask < ROOM)


def head_of(face: Box) -> Box:
    """What any cover of a head needs, whatever outlines Guardian's have."""
    w, h = face.w * HEAD_W, face.h * HEAD_H
    return Box(face.x + (face.w - w) / 2, face.y + (face.h - h) / 2 - face.h * 0.03, w, h)


def _cells(row: Row) -> Sequence[Any]:
    return (
        row["clip"],
        row["variant"],
        row["judged"],
        row["with_face"],
        row["exposed"],
        percent(row["exposed_share"], 2),
        row["exposed_per_minute"],
        row["longest_run"],
        row["before_proof"],
        f"{row['not_in_source']} ({row['not_in_source_but_shown']})",
        percent(row["body_shown"], 0),
        percent(row["equal_by_chance"], 0),
    )


def drawing(rows: Sequence[Row]) -> str:
    """Every clip in every variant as a strip of its pictures."""
    found = [
        Strip(
            f"{row['clip']}, {row['variant']}",
            row["frames"],
            row["spans"],
        )
        for row in rows
        if row["clip"] != ALL
    ]
    colours = {"face": "#b5d3dd", "curtain": "#9a9a9a", "exposed": "#c0392b"}
    return strips("Pictures with a face in the source, behind a curtain, and exposed", found, colours)


SCRIPT = Script(
    "In how many pictures does an independent judge still find a face that the source had?",
    partial(measure, WHOLE),
    partial(measure, QUICK),
    (
        "clip",
        "mode",
        "judged",
        "with face",
        "exposed",
        "share",
        "a minute",
        "run",
        "before",
        "new (raw)",
        "body",
        "chance",
    ),
    _cells,
    misses,
    drawing,
    timed=False,
)
