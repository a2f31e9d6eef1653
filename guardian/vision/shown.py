"""Finding contacts that are held up to a camera: codes that are read, and lines of text that are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from guardian.core.contacts import Allowed, Contact, ContactKind, judged_bars, judged_code, judged_text
from guardian.core.frames import Planes
from guardian.core.notes import Print, PrintKind
from guardian.core.shown import Sighting
from guardian.core.violations import Level
from guardian.vision.codes import Care, read_codes
from guardian.vision.following import copy_of, moved
from guardian.vision.looks import fit
from guardian.vision.pictures import small_bgr
from guardian.vision.prints import LineFinder
from guardian.vision.text_rows import Piece, joined, pairs, rows

F32 = npt.NDArray[np.float32]

REMEMBERED = {PrintKind.CODE: 4, PrintKind.TEXT: 5}
"""Looks at most for which the answer of an unchanged scene stands."""
STILL = 0.25
"""Shift in cells of the small copy below which a scene has not moved."""
READ = 0.5
"""Confidence below which a line is not taken for text."""
LOWEST = 8.0
"""Pixels of height below which a line cannot be read."""
ONCE = 0.3
"""Share of a line's box that one found on a finer copy has to cover to take its place."""
WHOLE = 0.6
"""Length it needs then, of the line's: less is a part of large letters."""


class LineReader(Protocol):
    """Reads lines. One thread at a time."""

    def read(self, bgr: npt.NDArray[np.uint8], corners: F32) -> tuple[str, float]:
        """See `guardian.vision.text_reader.TextReader`."""
        ...


@dataclass(frozen=True, slots=True)
class Looking:
    """How closely a picture is looked at. areas: of the copies in which lines are looked for, the smallest
    first; turned: of those turned by a quarter; most_lines: that are read, the largest first."""

    areas: tuple[int, ...]
    turned: tuple[int, ...]
    most_lines: int
    care: Care


LIVE = Looking((448 * 336,), (), 12, Care.QUICK)
CLOSE = Looking((448 * 336, 960 * 720, 1920 * 1440), (960 * 720,), 200, Care.THOROUGH)


@dataclass(frozen=True, slots=True)
class Judge:
    """What text means. words: by the rules of speech, None where no rule matches."""

    allowed: Allowed
    words: Callable[[str], Contact | None]

    def line(self, text: str) -> tuple[Contact, ...]:
        """The contacts in a line of text."""
        found = judged_text(text, self.allowed)
        if any(contact.level is not Level.PASS for contact in found):
            return found
        said = self.words(text)
        return found if said is None else (*found, said)


@dataclass(frozen=True, slots=True)
class TextSense:
    """Finds lines and reads them."""

    lines: LineFinder
    reader: LineReader


@dataclass(slots=True)
class _Last:
    """What the last look at a scene has found, and how often that scene was looked at, or was not."""

    copy: F32
    found: tuple[Sighting, ...] = ()
    looks: int = 1
    left_out: int = 0


class ShownFinder:
    """Does what `guardian.core.ports.ContactFinder` says.

    A scene that has not changed is not looked at again, but for the second time (the first picture of a scene
    may be blurred) and now and then.
    """

    name = "shown"

    def __init__(self, text: TextSense | None, judge: Judge, looking: Looking = LIVE) -> None:
        """text: None where nothing can be read."""
        self._text = text
        self._judge = judge
        self._looking = looking
        self._last: dict[PrintKind, _Last] = {}

    def find(self, planes: Planes, kind: PrintKind) -> Iterator[tuple[Sighting, ...] | None]:
        """See `guardian.core.ports.ContactFinder`."""
        last = self._scene(planes, kind)
        if last.looks > 2 and last.left_out < REMEMBERED[kind]:
            last.left_out += 1
            yield last.found
            return
        last.left_out = 0
        for found in self._looked(planes, kind):
            if found is not None:
                last.found = found
            yield found

    def _looked(self, planes: Planes, kind: PrintKind) -> Iterator[tuple[Sighting, ...] | None]:
        if kind is PrintKind.CODE:
            yield self._codes(planes)
        elif self._text is None:
            yield ()
        else:
            yield from self._contacts_written(self._text, planes)

    def _scene(self, planes: Planes, kind: PrintKind) -> _Last:
        """What is known of the scene of a picture."""
        copy, last = copy_of(planes), self._last.get(kind)
        way = None if last is None else moved(last.copy, copy)
        if last is None or way is None or way.changed.any() or max(abs(way.dx), abs(way.dy)) > STILL:
            last = self._last[kind] = _Last(copy)
        else:
            last.looks += 1
        return last

    def _codes(self, planes: Planes) -> tuple[Sighting, ...]:
        found = read_codes(planes.y, self._looking.care)
        return tuple(
            Sighting(
                (judged_bars if code.bars else judged_code)(code.text, self._judge.allowed),
                _place(PrintKind.CODE, code.corners, code.text),
            )
            for code in found
        )

    def _contacts_written(self, text: TextSense, planes: Planes) -> Iterator[tuple[Sighting, ...] | None]:
        boxes: list[F32] = []
        for detect, areas in ((_lines, self._looking.areas), (_turned_lines, self._looking.turned)):
            sizes = [fit(*planes.size, min(area, planes.y.size), text.lines.multiple) for area in areas]
            for size in dict.fromkeys(sizes):
                boxes = _once(boxes, detect(text.lines, planes, size))
                yield None
        full = small_bgr(planes, planes.size)
        pieces: list[Piece] = []
        for box in sorted(boxes, key=_height, reverse=True)[: self._looking.most_lines]:
            if _height(box) < LOWEST:
                break
            said, sure = text.reader.read(full, box)
            if sure >= READ and said.strip():
                pieces.append(Piece(said.strip(), box, sure))
            yield None
        yield self._judged(pieces)

    def _judged(self, pieces: Sequence[Piece]) -> tuple[Sighting, ...]:
        found = rows(pieces)
        whole = [(row, contact) for row in found for contact in self._judge.line(row.text) or (plain(row),)]
        both = [joined(one, other, "\n") for one, other in pairs(found)]
        split = [
            (piece, contact)
            for piece in both
            for contact in judged_text(piece.text, self._judge.allowed)
            if "\n" in contact.text
        ]
        return tuple(
            Sighting(contact, _place(PrintKind.TEXT, piece.corners), piece.sure)
            for piece, contact in whole + split
        )


def _lines(finder: LineFinder, planes: Planes, size: tuple[int, int]) -> list[F32]:
    """Boxes of lines found on a copy of a size, in pixels of the picture."""
    return list(finder.detect(small_bgr(planes, size)) * _scale(planes, size))


def _turned_lines(finder: LineFinder, planes: Planes, size: tuple[int, int]) -> list[F32]:
    """Those found on the copy turned by a quarter: lines that run up or down are missed as they are."""
    found = finder.detect(np.asarray(cv2.rotate(small_bgr(planes, size), cv2.ROTATE_90_CLOCKWISE), np.uint8))
    back = np.stack([found[..., 1], size[1] - 1 - found[..., 0]], axis=-1)
    return [np.ascontiguousarray(box) for box in back * _scale(planes, size)]


def _scale(planes: Planes, size: tuple[int, int]) -> F32:
    return np.asarray(np.array(planes.size, np.float32) / np.array(size, np.float32), np.float32)


def plain(row: Piece) -> Contact:
    """Text that reaches nobody."""
    return Contact(ContactKind.TEXT, row.text, Level.PASS, "shown.text")


def _once(coarse: list[F32], fine: list[F32]) -> list[F32]:
    """Boxes of lines, each once: as the finer copy has it, unless that took a large line for its parts."""
    kept = [box for box in coarse if not any(_replaces(one, box) for one in fine)]
    return kept + [box for box in fine if not any(_shared(box, other) > ONCE for other in kept)]


def _replaces(fine: F32, coarse: F32) -> bool:
    return _length(fine) >= WHOLE * _length(coarse) and _shared(coarse, fine) > ONCE


def _shared(one: F32, other: F32) -> float:
    """Share of one box that another one covers."""
    shared, _ = cv2.intersectConvexConvex(one, other)
    return float(shared) / max(float(cv2.contourArea(one)), 1.0)


def _height(box: F32) -> float:
    return float(min(cv2.minAreaRect(box)[1]))


def _length(box: F32) -> float:
    return float(max(cv2.minAreaRect(box)[1]))


def _place(kind: PrintKind, corners: F32, text: str = "") -> Print:
    return Print(kind, tuple((float(x), float(y)) for x, y in corners), text)
