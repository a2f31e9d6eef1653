"""What engines said of a sound, kept, so that other rules are measured on it without listening anew.

The folder is named by GUARDIAN_BENCH_TAPES; without it nothing is kept. The hearing chain is the same either
way: a played tape stands in for the engine alone, and answers call by call as the engine did.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

from guardian.core.frames import AudioChunk
from guardian.core.ports import Recogniser
from guardian.core.tokens import Hypothesis, Token, UnsureToken

FOLDER = "GUARDIAN_BENCH_TAPES"


class Tape:
    """The answers of one engine to one sound, by the number of the call."""

    def __init__(self, calls: Sequence[int] = (), answers: dict[int, Hypothesis] | None = None) -> None:
        self.calls = list(calls)
        """Samples of each call; -1 ends an utterance."""
        self.answers = answers or {}


class Recorder:
    """An engine whose answers are written down, or a tape in its place. See `Recogniser`."""

    def __init__(self, engine: Recogniser) -> None:
        self._engine = engine
        self.name, self.language = engine.name, engine.language
        self._tape = Tape()
        self._played: Tape | None = None
        self.astray = False
        """Whether the played tape was made of other calls than these."""

    def record(self) -> Tape:
        """Answers go to a new tape from now on."""
        self._played, self._tape = None, Tape()
        return self._tape

    def play(self, tape: Tape) -> None:
        """Answers come from a tape from now on."""
        self._played, self._tape, self.astray = tape, Tape(), False

    def hear(self, chunk: AudioChunk) -> Hypothesis | None:
        """As the engine's."""
        return self._answer(len(chunk.samples), chunk)

    def finish(self) -> Hypothesis | None:
        """As the engine's."""
        return self._answer(-1, None)

    def _answer(self, size: int, chunk: AudioChunk | None) -> Hypothesis | None:
        number = len(self._tape.calls)
        self._tape.calls.append(size)
        if self._played is not None:
            calls = self._played.calls
            self.astray = self.astray or number >= len(calls) or calls[number] != size
            return self._played.answers.get(number)
        found = self._engine.hear(chunk) if chunk is not None else self._engine.finish()
        if found is not None:
            self._tape.answers[number] = found
        return found


class Tapes:
    """A folder of tapes, by engine and sound; one that has no folder keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @classmethod
    def named(cls) -> Tapes:
        """Those of the folder that the environment names."""
        name = os.environ.get(FOLDER)
        return cls(Path(name) if name else None)

    def find(self, engine: str, sound: str) -> Tape | None:
        """The tape of a sound, named by a digest; None when there is none that can be read."""
        path = self._path(engine, sound)
        if path is None or not path.is_file():
            return None
        try:
            body = json.loads(gzip.decompress(path.read_bytes()))
            return Tape(body["calls"], {int(n): _hypothesis(one) for n, one in body["answers"].items()})
        except (OSError, EOFError, ValueError, KeyError, TypeError):
            return None

    def keep(self, engine: str, sound: str, tape: Tape) -> None:
        """Writes a tape whole or not at all."""
        path = self._path(engine, sound)
        if path is None:
            return
        body = {"calls": tape.calls, "answers": {n: _as_row(one) for n, one in tape.answers.items()}}
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        part.write_bytes(gzip.compress(json.dumps(body).encode(), 1))
        part.replace(path)

    def _path(self, engine: str, sound: str) -> Path | None:
        return self._folder / engine / f"{sound}.json.gz" if self._folder is not None else None


def _as_row(found: Hypothesis) -> list[Any]:
    return [found.final, found.language, [list(astuple(token)) for token in found.tokens]]


def _hypothesis(row: Sequence[Any]) -> Hypothesis:
    final, language, tokens = row
    return Hypothesis(tuple(_token(*token) for token in tokens), final, language)


def _token(text: str, t_start: float, t_end: float, confidence: float, *others: Any) -> Token:
    if not others:
        return Token(text, t_start, t_end, confidence)
    return UnsureToken(text, t_start, t_end, confidence, tuple((other, share) for other, share in others[0]))
