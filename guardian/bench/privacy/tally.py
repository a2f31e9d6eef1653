"""What a judge's look at a protected clip comes to, in figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from guardian.bench.script import Row
from guardian.core.frames import Mode
from guardian.core.notes import Face

SAME = 0.3
"""Overlap (intersection over union) above which two boxes are one face."""
DROPPED = 0.3
EXPOSED_SHARE = {0.0: 0.001, DROPPED: 0.005}
LONGEST_RUN = 2
BODY_SHOWN = 0.80
ALL = "all"

Boxes = list[list[float]]
"""Left, top, width, height and score of faces, in pixels."""


@dataclass(frozen=True, slots=True)
class Variant:
    """How a clip is protected. dropped: share of the faces found that are lost on purpose."""

    mode: Mode
    dropped: float

    def __str__(self) -> str:
        return self.mode.value + (f", {self.dropped:.0%} dropped" if self.dropped else "")


def as_rows(faces: Iterable[Face]) -> Boxes:
    """Faces as they are written."""
    return [[round(n, 2) for n in (f.box.x, f.box.y, f.box.w, f.box.h, f.score)] for f in faces]


@dataclass(slots=True)
class Tally:
    """What came of one clip in one variant, by number of the picture.

    every: the judge looks at one picture of so many. alone: faces found in protected pictures that their
    source had not, alone_shown: those of them that are the source's own pixels. body, by_chance: shares of
    the person, and of pixels far from any person, that are as in the source.
    """

    length: int
    every: int
    seconds: float = 0.0
    judged: list[int] = field(default_factory=list)
    with_face: list[int] = field(default_factory=list)
    exposed: dict[int, Boxes] = field(default_factory=dict)
    first_shown: int | None = None
    curtains: list[int] = field(default_factory=list)
    alone: dict[int, Boxes] = field(default_factory=dict)
    alone_shown: int = 0
    body: list[float] = field(default_factory=list)
    by_chance: list[float] = field(default_factory=list)


def matched(found: Iterable[Face], faces: Sequence[Face]) -> tuple[list[Face], list[Face]]:
    """Faces found in a protected picture that its source had, and those that it had not."""
    same: list[Face] = []
    other: list[Face] = []
    for face in found:
        (same if any(face.box.iou(one.box) > SAME for one in faces) else other).append(face)
    return same, other


def longest_run(judged: Sequence[int], exposed: Iterable[int]) -> int:
    """Pictures that are exposed one after another; those not judged between two exposed ones count too."""
    bad = set(exposed)
    longest, begin = 0, None
    for i in judged:
        if i not in bad:
            begin = None
            continue
        begin = i if begin is None else begin
        longest = max(longest, i - begin + 1)
    return longest


def row(name: str, variant: Variant, tallies: Sequence[Tally]) -> Row:
    """The figures of one clip, or of all, in one variant."""
    with_face = sum(len(tally.with_face) for tally in tallies)
    exposed = sum(len(tally.exposed) for tally in tallies)
    # Each judged picture stands for those that were not.
    minutes = sum(tally.seconds * len(tally.judged) / tally.length for tally in tallies) / 60
    body = [share for tally in tallies for share in tally.body]
    by_chance = [share for tally in tallies for share in tally.by_chance]
    found: Row = {
        "clip": name,
        "mode": variant.mode.value,
        "dropped": variant.dropped,
        "variant": str(variant),
        "frames": sum(tally.length for tally in tallies),
        "judged": sum(len(tally.judged) for tally in tallies),
        "with_face": with_face,
        "exposed": exposed,
        "exposed_share": exposed / with_face if with_face else None,
        "exposed_per_minute": exposed / minutes if minutes else None,
        "longest_run": max(longest_run(t.judged, t.exposed) for t in tallies),
        "before_proof": sum(i < _first(tally) for tally in tallies for i in tally.exposed),
        "until_shown": max(_first(tally) for tally in tallies),
        "curtains": sum(len(tally.curtains) for tally in tallies),
        "not_in_source": sum(len(boxes) for tally in tallies for boxes in tally.alone.values()),
        "not_in_source_but_shown": sum(tally.alone_shown for tally in tallies),
        "body_shown": float(np.mean(body)) if body else None,
        "equal_by_chance": float(np.mean(by_chance)) if by_chance else None,
    }
    if name != ALL:
        found["exposed_boxes"] = {str(i): boxes for i, boxes in tallies[0].exposed.items()}
        found["boxes_not_in_source"] = {str(i): boxes for i, boxes in tallies[0].alone.items()}
        found["spans"] = {
            "face": spans(tallies[0].with_face, tallies[0].every),
            "curtain": spans(tallies[0].curtains, 1),
            "exposed": spans(list(tallies[0].exposed), 1),
        }
    return found


def _first(tally: Tally) -> int:
    return tally.length if tally.first_shown is None else tally.first_shown


def spans(numbers: Sequence[int], step: int) -> list[list[int]]:
    """Numbers in order as spans from the first to behind the last; those `step` apart belong together."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number - found[-1][1] < step:
            found[-1][1] = number + 1
        else:
            found.append([number, number + 1])
    return found


def percent(share: float | None, digits: int) -> str | None:
    """A share as it stands in a table."""
    return None if share is None else f"{share:.{digits}%}"


def misses(rows: Sequence[Row]) -> list[str]:
    """What has to hold for all clips together and does not."""
    said = []
    for row in (row for row in rows if row["clip"] == ALL):
        name = row["variant"]
        share, most = row["exposed_share"], EXPOSED_SHARE[row["dropped"]]
        if share is None:
            said.append(f"{name}: the judge found no face in any source; nothing is shown by this.")
            continue
        if share > most:
            said.append(f"{name}: {share:.2%} of the frames with a face are exposed; {most:.1%} may be.")
        if row["longest_run"] > LONGEST_RUN:
            said.append(f"{name}: {row['longest_run']} frames in a row are exposed; {LONGEST_RUN} may be.")
        if row["before_proof"]:
            said.append(f"{name}: {row['before_proof']} frames are exposed before the first proof.")
        body = row["body_shown"]
        # Of finders that are made to fail less of the person may be shown, but nothing more of the face.
        promised = row["mode"] == Mode.SELFIE and not row["dropped"]
        if promised and (body is None or body < BODY_SHOWN):
            part = percent(body, 0) or "nothing"
            said.append(f"{name}: {part} of the body is shown; at least {BODY_SHOWN:.0%} should be.")
    return said
