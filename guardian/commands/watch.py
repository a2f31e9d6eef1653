"""`guardian watch`: pictures and video searched for contacts that are shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guardian.core.errors import ModelMissing
from guardian.core.notes import PrintKind

if TYPE_CHECKING:
    from guardian.core.frames import Planes
    from guardian.core.ports import ContactFinder
    from guardian.core.shown import Sighting

KINDS = {"qr": PrintKind.CODE, "text": PrintKind.TEXT}
EVERY_S = {PrintKind.CODE: 0.2, PrintKind.TEXT: 0.5}
"""Seconds of a film between two looks."""
AGAIN_S = 5.0
"""What was not seen for so long is told again."""


def watch(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Pictures or video.")],
    kinds: Annotated[str, typer.Option(help="What to look for: qr, text or both.")] = "qr,text",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per row.")] = False,
) -> None:
    """Search pictures and video for codes, numbers and names to get in touch by; a row for each.

    Benign ones, and other text, are listed with level PASS.
    """
    from rich.console import Console

    wanted = _wanted(kinds)
    for path in files:
        _check(path)  # what cannot be seen is said before anything is loaded
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    for path in files:
        # One for each file: it remembers scenes.
        finder, notes = _finder(wanted)
        if path is files[0]:
            console.print(*notes, sep="\n", end="\n" if notes else "", markup=False)
        for row in rows_of(path, finder, wanted):
            typer.echo(json.dumps(row, ensure_ascii=False) if as_json else _line(row))


def _wanted(kinds: str) -> tuple[PrintKind, ...]:
    names = [name.strip() for name in kinds.split(",") if name.strip()]
    if not names or not all(name in KINDS for name in names):
        raise typer.BadParameter(f"{kinds} is not one of {', '.join(KINDS)}, or both with a comma.")
    return tuple(kind for name, kind in KINDS.items() if name in names)


def _check(path: Path) -> None:
    """MediaError for what is neither a picture nor a video."""
    from guardian.vision.film import FilmReader
    from guardian.vision.stills import still

    if still(path) is None:
        with FilmReader(path):
            pass


def _finder(wanted: tuple[PrintKind, ...]) -> tuple[ContactFinder, tuple[str, ...]]:
    """And what would be better, in plain sentences. ModelMissing when nothing that is wanted can be done."""
    from guardian.core.config import ContactConfig, SpeechConfig
    from guardian.core.violations import Role
    from guardian.ears import rules_for
    from guardian.lookout import WrittenWords, open_lookout
    from guardian.models import ModelStore
    from guardian.vision.shown import CLOSE

    words = WrittenWords(rules_for(SpeechConfig().rules_dir), Role.MERCHANT)
    config = ContactConfig(kinds=tuple(kind.value for kind in wanted))
    opened = open_lookout(ModelStore.default(), config, words, looking=CLOSE)
    if opened.notes and wanted == (PrintKind.TEXT,):
        raise ModelMissing(" ".join(opened.notes))
    return opened.finder, opened.notes


def rows_of(path: Path, finder: ContactFinder, wanted: tuple[PrintKind, ...]) -> Iterator[dict[str, Any]]:
    """A row for each thing shown, as it comes into view. MediaError."""
    told = _Told()
    looked: dict[PrintKind, float] = {}
    for planes, t in _pictures(path):
        for kind in wanted:
            if kind in looked and 0 <= t - looked[kind] < EVERY_S[kind]:
                continue
            looked[kind] = t
            for sighting in _looked(finder, planes, kind):
                if told.is_new(sighting, t):
                    yield _row(path, t, sighting, planes.size)


def _looked(finder: ContactFinder, planes: Planes, kind: PrintKind) -> tuple[Sighting, ...]:
    return next((found for found in finder.find(planes, kind) if found is not None), ())


@dataclass(slots=True)
class _Told:
    """What is in view was told."""

    seen: list[tuple[Sighting, float]] = field(default_factory=list)

    def is_new(self, sighting: Sighting, t: float) -> bool:
        """Whether it was not seen a moment ago."""
        from guardian.core.shown import alike

        known = [at for at, (other, _) in enumerate(self.seen) if alike(other, sighting)]
        new = all(t - self.seen[at][1] > AGAIN_S for at in known)
        self.seen = [one for at, one in enumerate(self.seen) if at not in known and t - one[1] <= AGAIN_S]
        self.seen.append((sighting, t))
        return new


def _pictures(path: Path) -> Iterator[tuple[Planes, float]]:
    """The pictures of a file with their seconds."""
    from rich.console import Console
    from rich.progress import Progress

    from guardian.vision.film import FilmReader
    from guardian.vision.stills import still

    planes = still(path)
    if planes is not None:
        yield planes, 0.0
        return
    console = Console(stderr=True)
    with (
        FilmReader(path) as reader,
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task(path.name, total=reader.expected)
        first: float | None = None
        for picture in reader:
            assert reader.shape is not None
            t = float(picture.pts * reader.shape.time_base)
            first = t if first is None else first
            yield picture.planes, t - first
            progress.advance(task)


def _row(path: Path, t: float, sighting: Sighting, size: tuple[int, int]) -> dict[str, Any]:
    xs, ys = zip(*sighting.place.corners, strict=True)
    left, top = max(min(xs), 0.0), max(min(ys), 0.0)
    right, bottom = min(max(xs), float(size[0])), min(max(ys), float(size[1]))
    contact = sighting.contact
    return {
        "file": str(path),
        "t": round(t, 3),
        "kind": contact.kind.value,
        "text": contact.text,
        "box": [round(n, 1) for n in (left, top, max(right - left, 0.0), max(bottom - top, 0.0))],
        "level": contact.level.value,
    }


def _line(row: dict[str, Any]) -> str:
    text = row["text"].replace("\n", " / ")
    return f"{row['file']} {row['t']:7.2f} s  {row['level']:<6} {row['kind']:<6} {text}"
