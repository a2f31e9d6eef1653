"""Decodes a streaming zipformer transducer greedily: small pieces with times, utterance by utterance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from guardian.core.frames import SPEECH_RATE, AudioChunk
from guardian.core.tokens import Hypothesis, Token
from guardian.speech.fbank import BINS, F32, FilterBanks
from guardian.speech.zipformer import BLANK, UNKNOWN, Memory, zipformer

TAIL_S = 0.5
"""Silence fed at the end so that the last word leaves the encoder (chunk 16 frames + look-ahead)."""
FRAME_S = 0.04
"""Seconds of one frame of what the encoder gives."""
LEAST_SHARE = 0.02
"""How likely another piece has to be against the one that was taken, to be kept."""
MOST_OTHERS = 6
"""Other pieces that are kept of one moment."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One token of the model; t: media seconds of its onset; confidence 0..1.

    others: what else it may have been, and how likely against it (0..1), likeliest first.
    """

    text: str
    t: float
    confidence: float
    others: tuple[tuple[str, float], ...] = ()


class Transducer:
    """Decodes one speaker greedily, one piece in a frame at most. Pieces are never taken back, only added to.

    Raises what the engine raises. Each instance has an utterance of its own and belongs to one thread.
    """

    def __init__(self, files: Mapping[str, Path], most_others: int = MOST_OTHERS) -> None:
        """most_others: other pieces that are kept of one moment."""
        self._network = zipformer(files)
        self._most_others = most_others
        texts = self._network.texts
        self._silent = frozenset((texts.index(BLANK), texts.index(UNKNOWN)))
        self._begin(None)

    def hear(self, chunk: AudioChunk) -> bool:
        """Takes sound; the first chunk of an utterance sets its time. True when a step was decoded."""
        if self._origin is None:
            self._begin(chunk.t)
        return self._take(chunk)

    def flush(self) -> tuple[Piece, ...]:
        """Ends the utterance and gives all its pieces."""
        if self._origin is None:
            return ()
        self._take(AudioChunk(np.zeros(int(TAIL_S * SPEECH_RATE), np.int16), 0.0))
        pieces = self.pieces()
        self._begin(None)
        return pieces

    def pieces(self) -> tuple[Piece, ...]:
        """The pieces of the utterance so far."""
        return tuple(self._pieces)

    def _begin(self, origin: float | None) -> None:
        network = self._network
        self._origin = origin
        self._banks = FilterBanks()
        self._frames: F32 = np.zeros((0, BINS), np.float32)
        self._memory: Memory = network.begin()
        self._context = [-1] * (network.context - 1) + [0]
        self._expected: F32 | None = None
        self._decoded = 0
        self._pieces: list[Piece] = []

    def _take(self, chunk: AudioChunk) -> bool:
        self._frames = np.concatenate((self._frames, self._banks.take(chunk.samples)))
        window, step = self._network.window, self._network.step
        stepped = False
        while len(self._frames) >= window:
            encoded, self._memory = self._network.encode(self._frames[:window], self._memory)
            self._frames = self._frames[step:]
            self._decode(encoded)
            self._decoded += len(encoded)
            stepped = True
        return stepped

    def _decode(self, encoded: F32) -> None:
        at = 0
        while at < len(encoded):
            if self._expected is None:
                self._expected = self._network.predict(self._context)
            # All frames that are left at once: until the next piece the context stays as it is.
            logits = self._network.judge(encoded[at:], self._expected)
            best = logits.argmax(axis=1)
            spoken = next((n for n, piece in enumerate(best) if piece not in self._silent), None)
            if spoken is None:
                return
            piece = int(best[spoken])
            self._pieces.append(self._piece(piece, logits[spoken], self._decoded + at + spoken))
            self._context = [*self._context[1:], piece]
            self._expected = None
            at += spoken + 1

    def _piece(self, piece: int, logits: F32, frame: int) -> Piece:
        texts = self._network.texts
        weights = np.exp(logits - logits[piece])
        others: list[tuple[str, float]] = []
        if self._most_others:
            likely = np.flatnonzero(weights >= LEAST_SHARE)
            heard = ((texts[n], float(weights[n])) for n in likely if n != piece and n not in self._silent)
            others = sorted(heard, key=lambda one: -one[1])[: self._most_others]
        # Networks are surer than they are right: the root of each weight is what confidence is made of.
        confidence = float(1.0 / np.sqrt(weights).sum())
        t = (self._origin or 0.0) + frame * FRAME_S
        return Piece(texts[piece], t, confidence, tuple(others))


@dataclass(frozen=True, slots=True)
class Tongue:
    """What a network speaks: the engine's name, its language, how its pieces become tokens, and how many
    other pieces that takes."""

    name: str
    language: str
    join: Callable[[Sequence[Piece]], tuple[Token, ...]]
    most_others: int


class TransducerRecogniser:
    """A transducer as a plain recogniser; see `guardian.core.ports.Recogniser`."""

    def __init__(self, files: Mapping[str, Path], tongue: Tongue) -> None:
        self._engine = Transducer(files, tongue.most_others)
        self._tongue = tongue
        self._count = 0
        self.name, self.language = tongue.name, tongue.language

    def hear(self, chunk: AudioChunk) -> Hypothesis | None:
        """Takes sound; answers when tokens were added or grew."""
        if not self._engine.hear(chunk):
            return None
        pieces = self._engine.pieces()
        if len(pieces) == self._count:
            return None
        self._count = len(pieces)
        return Hypothesis(self._tongue.join(pieces), False, self.language)

    def finish(self) -> Hypothesis | None:
        """Ends the utterance."""
        pieces = self._engine.flush()
        self._count = 0
        return Hypothesis(self._tongue.join(pieces), True, self.language) if pieces else None
