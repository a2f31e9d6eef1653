"""`guardian listen`: sound files through the live speech chain."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guardian.core.violations import Role

if TYPE_CHECKING:
    from guardian.core.frames import AudioChunk
    from guardian.speech.chain import ChainNotes, HearingChain

LONG_FILE_S = 60.0
"""Files longer than this show how far they are."""


def listen(
    audio: Annotated[list[Path], typer.Argument(metavar="AUDIO...", help="wav, ogg, mp3, mp4 ...")],
    language: Annotated[str, typer.Option(help="zh, en or auto (both).")] = "auto",
    speaker: Annotated[Role, typer.Option(help="Who speaks.")] = Role.MERCHANT,
    engine: Annotated[
        str, typer.Option(help="auto, syllables-zh, words-en, vosk-zh, vosk-en or pocketsphinx.")
    ] = "auto",
    rules: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of rule files.")] = None,
    realtime: Annotated[bool, typer.Option("--realtime", help="By the clock, as in a call.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per row.")] = False,
) -> None:
    """Listen to files as if they were said in a call; one row per change of a violation."""
    from dataclasses import replace

    from rich.console import Console

    from guardian.ears import LANGUAGES, open_ears
    from guardian.models import ModelStore
    from guardian.settings import load
    from guardian.speech.audio import duration_of

    if language not in (*LANGUAGES, "auto"):
        raise typer.BadParameter(f"{language} is not one of {', '.join(LANGUAGES)}, auto.")
    config = replace(load().speech_config(), engine=engine, rules_dir=str(rules) if rules is not None else "")
    languages = LANGUAGES if language == "auto" else (language,)
    for path in audio:
        duration_of(path)  # what cannot be heard is said before anything is loaded
    store = ModelStore.default()
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    told: set[str] = set()
    for path in audio:
        chain = open_ears(store, config, languages, speaker)
        for note in chain.notes:
            if note not in told:
                told.add(note)
                console.print(note, markup=False)
        for row in rows_of(path, chain, paced if realtime else unpaced):
            typer.echo(json.dumps(row, ensure_ascii=False) if as_json else _line(row))


@dataclass(slots=True)
class _Coverage:
    seconds: float = 0.0
    heard: float = 0.0
    work_s: float = 0.0
    said: list[str] = field(default_factory=list)
    lapses: list[str] = field(default_factory=list)

    def add(self, notes: ChainNotes) -> None:
        self.heard += notes.heard_s
        self.work_s += notes.speech_ms / 1000.0
        self.lapses.extend(
            f"{lapse.t_start:.1f}-{lapse.t_end:.1f} s: {lapse.reason}" for lapse in notes.lapses
        )
        for final in notes.finals:
            self.said.append(" ".join(token.text for token in final.tokens))

    def row(self, path: Path, chain: HearingChain) -> dict[str, Any]:
        row: dict[str, Any] = {
            "kind": "coverage",
            "file": str(path),
            "seconds": round(self.seconds, 3),
            "heard": round(self.heard, 3),
            "rtf": round(self.work_s / self.seconds, 4) if self.seconds else 0.0,
            "engine": "+".join(chain.engines.values()) or None,
            "transcript": " / ".join(self.said),
        }
        if self.lapses:
            row["lapses"] = self.lapses
        return row


Pace = Callable[[Iterable["AudioChunk"]], Iterator["AudioChunk"]]


def unpaced(chunks: Iterable[AudioChunk]) -> Iterator[AudioChunk]:
    """Chunks as fast as they are wanted."""
    yield from chunks


def paced(chunks: Iterable[AudioChunk]) -> Iterator[AudioChunk]:
    """Each chunk when its last sample would have been spoken."""
    began = time.monotonic()
    for chunk in chunks:
        time.sleep(max(0.0, began + chunk.t + chunk.seconds - time.monotonic()))
        yield chunk


def rows_of(path: Path, chain: HearingChain, pace: Pace) -> Iterator[dict[str, Any]]:
    """Violation rows as they come and the coverage row at the end. MediaError."""
    from guardian.speech.audio import chunks_of

    coverage = _Coverage()
    for chunk in pace(_with_progress(path, chunks_of(path))):
        notes = chain.hear(chunk)
        coverage.seconds += chunk.seconds
        coverage.add(notes)
        yield from _violations(path, notes)
    notes = chain.finish()
    coverage.add(notes)
    yield from _violations(path, notes)
    yield coverage.row(path, chain)


def _violations(path: Path, notes: ChainNotes) -> Iterator[dict[str, Any]]:
    for change in notes.changes:
        row = change.as_dict()
        for key in ("t_start", "t_end", "t_emitted", "score"):
            row[key] = round(row[key], 3)
        yield {"kind": "violation", "id": row.pop("id"), "file": str(path), **row}


def _with_progress(path: Path, chunks: Iterator[AudioChunk]) -> Iterator[AudioChunk]:
    from rich.console import Console
    from rich.progress import Progress

    from guardian.speech.audio import duration_of

    seconds = duration_of(path)
    console = Console(stderr=True)
    if seconds is None or seconds < LONG_FILE_S or not console.is_terminal:
        yield from chunks
        return
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(path.name, total=seconds)
        for chunk in chunks:
            progress.update(task, completed=chunk.t)
            yield chunk


def _line(row: dict[str, Any]) -> str:
    if row["kind"] == "coverage":
        engine = row["engine"] or "nothing"
        return (
            f"{row['file']}: heard {row['heard']:.1f} of {row['seconds']:.1f} s with {engine} "
            f"(real-time factor {row['rtf']:.3f}): {row['transcript'] or 'silence'}"
        )
    return (
        f"{row['file']} {row['t_start']:7.2f}-{row['t_end']:.2f} s  {row['status']:<9} {row['level']:<6} "
        f"{row['rule']} ({row['language']}, {row['score']:.2f}): {row['heard']}"
    )
