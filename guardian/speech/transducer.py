"""A streaming zipformer transducer of sherpa-onnx: small pieces with times, utterance by utterance."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import sherpa_onnx

from guardian.core.frames import SPEECH_RATE, AudioChunk
from guardian.core.tokens import Hypothesis, Token

TAIL_S = 0.5
"""Silence fed at the end so that the last word leaves the encoder (chunk 16 frames + look-ahead)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One token of the model; t: media seconds of its onset; confidence 0..1."""

    text: str
    t: float
    confidence: float


@lru_cache(maxsize=4)
def _network(tokens: str, encoder: str, decoder: str, joiner: str) -> Any:
    """The network, loaded once for all legs: what one speaker has said lies in the stream alone."""
    return sherpa_onnx.OnlineRecognizer.from_transducer(
        tokens=tokens,
        encoder=encoder,
        decoder=decoder,
        joiner=joiner,
        num_threads=1,
        decoding_method="greedy_search",
    )


class Transducer:
    """Decodes one speaker greedily. Greedy pieces are never taken back, only added to.

    Raises what the engine raises. Each instance has a stream of its own and belongs to one thread.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._recognizer = _network(*(str(files[key]) for key in ("tokens", "encoder", "decoder", "joiner")))
        self._stream: Any = None
        self._origin = 0.0

    def hear(self, chunk: AudioChunk) -> bool:
        """Takes sound; the first chunk of an utterance sets its time. True when a step was decoded."""
        if self._stream is None:
            self._stream = self._recognizer.create_stream()
            self._origin = chunk.t
        self._stream.accept_waveform(SPEECH_RATE, chunk.samples.astype(np.float32) / 32768.0)
        return self._decode()

    def flush(self) -> tuple[Piece, ...]:
        """Ends the utterance and gives all its pieces."""
        if self._stream is None:
            return ()
        self._stream.accept_waveform(SPEECH_RATE, np.zeros(int(TAIL_S * SPEECH_RATE), np.float32))
        self._decode()
        pieces = self.pieces()
        self._stream = None
        return pieces

    def pieces(self) -> tuple[Piece, ...]:
        """The pieces of the utterance so far."""
        if self._stream is None:
            return ()
        found = json.loads(self._recognizer.get_result_as_json_string(self._stream))
        probabilities = found.get("ys_probs") or [0.0] * len(found["tokens"])
        return tuple(
            Piece(text, self._origin + t, min(1.0, exp(min(0.0, p))))
            for text, t, p in zip(found["tokens"], found["timestamps"], probabilities, strict=False)
        )

    def _decode(self) -> bool:
        stepped = False
        while self._recognizer.is_ready(self._stream):
            self._recognizer.decode_stream(self._stream)
            stepped = True
        return stepped


@dataclass(frozen=True, slots=True)
class Tongue:
    """What a network speaks: the engine's name, its language, and how its pieces become tokens."""

    name: str
    language: str
    join: Callable[[Sequence[Piece]], tuple[Token, ...]]


class TransducerRecogniser:
    """A transducer as a plain recogniser; see `guardian.core.ports.Recogniser`."""

    def __init__(self, files: Mapping[str, Path], tongue: Tongue) -> None:
        self._engine = Transducer(files)
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
