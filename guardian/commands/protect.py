"""`guardian protect`: a video file through the live protection chain."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from guardian.core.errors import MediaError, ModelMissing
from guardian.core.frames import Mode
from guardian.core.latency import Histogram, Latencies
from guardian.core.notes import FrameNotes

if TYPE_CHECKING:
    from guardian.models import ModelStore
    from guardian.vision.chain import VideoChain
    from guardian.vision.film import FilmReader, FilmWriter

FILE_LATE_S = 5.0
"""Nobody waits for a file; only a finder that hangs is late."""


def protect(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A video file.", show_default=False)],
    target: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="The MP4 file to write.", show_default=False)
    ],
    mode: Annotated[Mode, typer.Option(help="What may be seen.")] = Mode.SELFIE,
    report: Annotated[Path | None, typer.Option(help="Write what happened here, as JSON.")] = None,
    trace: Annotated[Path | None, typer.Option(help="Write a line of JSON per frame here.")] = None,
) -> None:
    """Protect a video FILE as a live call would be.

    Every frame goes through the live chain. The first few show a card while
    protection is proven; then faces and, by the mode, people or surroundings
    are hidden. OUTPUT is H.264 in MP4 with the size, the frame count and the
    times of INPUT (4:2:0; 4:4:4 where a side is odd). Sound, subtitles and
    metadata (places!) are left out.
    """
    from guardian.vision.film import FilmReader

    _check_paths(source, [path for path in (target, report, trace) if path is not None])
    with ExitStack() as stack:
        reader = stack.enter_context(FilmReader(source))
        work = _Work(mode, _Outputs(target, report, trace))
        stack.callback(work.outputs.discard)
        _run(reader, work)


@dataclass(slots=True)
class _Outputs:
    """The files to write, under names of their own until they are whole."""

    target: Path
    report: Path | None
    trace: Path | None

    def temporary(self, path: Path) -> Path:
        # Beside the file a link leads to, so that the link stays one; short where the name is at its limit.
        return path.resolve().with_name(f".guardian-{os.getpid()}-{self.all().index(path)}.part")

    def all(self) -> list[Path]:
        return [path for path in (self.target, self.report, self.trace) if path is not None]

    def keep(self) -> None:
        for path in self.all():
            try:
                self.temporary(path).replace(path.resolve())
            except OSError as error:
                raise MediaError(f"{path} cannot be written ({_why(error)}).") from error

    def discard(self) -> None:
        for path in self.all():
            with suppress(OSError):
                self.temporary(path).unlink(missing_ok=True)


@dataclass(slots=True)
class _Work:
    """One run: what is wanted and what has been counted."""

    mode: Mode
    outputs: _Outputs
    frames: int = 0
    hands: int = 0
    """Frames in which a hand was shown."""
    states: Counter[str] = field(default_factory=Counter)
    showing: Counter[str] = field(default_factory=Counter)
    protect_ms: Histogram = field(default_factory=Histogram)
    stages: Latencies = field(default_factory=Latencies)

    def count(self, notes: FrameNotes) -> None:
        self.frames += 1
        self.hands += bool(notes.hands)
        self.states[notes.state.value] += 1
        self.showing[notes.showing.value] += 1
        self.protect_ms.record(notes.protect_ms)
        self.stages.record_all(notes.stages_ms.items())


def _lacks(store: ModelStore, mode: Mode) -> list[str]:
    """What a mode does worse without, in a sentence each."""
    role = {Mode.INSTALL: "text", Mode.PRODUCT: "hands"}.get(mode)
    if role is None:
        return []
    try:
        store.find(role)
    except ModelMissing as error:
        return [str(error)]
    return []


def _run(reader: FilmReader, work: _Work) -> None:
    from rich.console import Console

    from guardian.core.config import VisionConfig
    from guardian.eyes import eye_models, open_eyes
    from guardian.models import ModelStore

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    store = ModelStore.default()
    models = eye_models(store)
    for note in (*models.notes, *_lacks(store, work.mode)):
        console.print(note, markup=False)
    chain = open_eyes(store, replace(VisionConfig(), late_s=FILE_LATE_S), work.mode)
    outputs = work.outputs
    with ExitStack() as stack:
        lines = _opened(outputs, outputs.trace, stack)
        summary = _opened(outputs, outputs.report, stack)
        _film(reader, work, chain, lines)
        if summary is not None:
            json.dump(_report(reader, work, models.as_dict()), summary, indent=2)
            summary.write("\n")
    outputs.keep()
    shown = work.showing["covered"] / work.frames
    console.print(
        f"{outputs.target}: {work.frames} frames, {shown:.0%} with a picture, sound left out.", markup=False
    )


def _film(reader: FilmReader, work: _Work, chain: VideoChain, lines: TextIO | None) -> None:
    """Every frame through the chain and into the output's temporary file."""
    import time

    from guardian.core.frames import RawFrame
    from guardian.vision.film import FilmWriter

    writer: FilmWriter | None = None
    path = work.outputs.temporary(work.outputs.target)
    try:
        with _progress() as progress:
            task = progress.add_task("protecting", total=reader.expected)
            for picture in reader:
                assert reader.shape is not None
                writer = writer or FilmWriter(path, reader.shape)
                t = float(picture.pts * reader.shape.time_base)
                if picture.doubtful:
                    chain.distrust("the picture is damaged")
                safe, notes = chain.protect(RawFrame(picture.planes, t, time.perf_counter()))
                writer.write(safe.planes, picture.pts)
                if lines is not None:
                    lines.write(json.dumps(_line(work.frames, t, notes)) + "\n")
                work.count(notes)
                progress.advance(task)
        if writer is not None:
            writer.finish()
    except BaseException:
        if writer is not None:
            with suppress(MediaError):
                writer.close()
        raise


def _progress() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _line(i: int, t: float, notes: FrameNotes) -> dict[str, Any]:
    faces = [
        [*(round(n, 1) for n in (f.box.x, f.box.y, f.box.w, f.box.h)), round(f.score, 3), f.held]
        for f in notes.faces
    ]
    line = {
        "i": i,
        "t": round(t, 6),
        "state": notes.state.value,
        "faces": faces,
        "mask_age": notes.mask_age,
        "protect_ms": round(notes.protect_ms, 3),
    }
    if notes.mode is Mode.PRODUCT:
        line["hands"] = [
            [*(round(n, 1) for n in (h.box.x, h.box.y, h.box.w, h.box.h)), round(h.score, 3)]
            for h in notes.hands
        ]
    return line


def _report(reader: FilmReader, work: _Work, models: dict[str, str]) -> dict[str, Any]:
    assert reader.shape is not None
    counted = {"hands": work.hands} if work.mode is Mode.PRODUCT else {}
    return {
        "frames": work.frames,
        "size": list(reader.shape.size),
        "fps": round(float(reader.shape.rate), 3),
        "mode": work.mode.value,
        "states": dict(work.states),
        "showing": dict(work.showing),
        **counted,
        "stages_ms": {name: _quantiles(h) for name, h in work.stages.stages.items()},
        "protect_ms": _quantiles(work.protect_ms),
        "models": models,
    }


def _quantiles(histogram: Histogram) -> dict[str, float | int | None]:
    summary = histogram.summary()
    return {key: summary[key] for key in ("p50", "p95", "p99", "max")}


def _check_paths(source: Path, targets: list[Path]) -> None:
    """Refuses what would overwrite the input or one output with another, before any work is done."""
    taken = {source.resolve()}
    for path in targets:
        if path.resolve() in taken or _same(path, source):
            raise MediaError(f"{path} is named twice; write to a file of its own.")
        taken.add(path.resolve())
        if path.is_dir():
            raise MediaError(f"{path} is a folder; name a file to write.")
        if path.exists() and not path.is_file():
            raise MediaError(f"{path} is a device or a pipe; name a file to write.")
        if not path.parent.is_dir():
            raise MediaError(f"{path.parent} is not a folder; make it first.")
        if not os.access(path.parent, os.W_OK):
            raise MediaError(f"{path.parent} cannot be written to; choose another place.")


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _opened(outputs: _Outputs, path: Path | None, stack: ExitStack) -> TextIO | None:
    if path is None:
        return None
    try:
        return stack.enter_context(outputs.temporary(path).open("w", encoding="utf-8"))
    except OSError as error:
        raise MediaError(f"{path} cannot be written ({_why(error)}).") from error


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
