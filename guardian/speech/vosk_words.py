"""Vosk as a recogniser of Mandarin (`vosk-zh`) or English (`vosk-en`): words with times and confidence.

Partial results come without times: a word that is new in one is taken to have just been said. The final
result has them. Mandarin words become toned syllables, which share the time of their word.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from guardian.core.frames import I16, SPEECH_RATE, AudioChunk
from guardian.core.tokens import Hypothesis, Token
from guardian.speech.vosk_host import HOST

LOOK_EVERY_S = 0.2
"""Sound between two partial results. The decoder's own step: a shorter one brings nothing."""
ANEW_S = 600.0
"""Sound after which the recogniser is made anew, at the end of an utterance: its memory grows."""
SYLLABLE_S = 0.25
"""How long a syllable, or a word of English, is taken to last while nobody says."""
LARGEST_PIECE = SPEECH_RATE
"""Samples given at once."""


class VoskRecogniser:
    """See `guardian.core.ports.Recogniser`. Raises `guardian.speech.vosk_host.VoskLost`."""

    def __init__(self, model: Path, language: str) -> None:
        self.name, self.language = f"vosk-{language}", language
        self._texts = _texts_of(language)
        self._session = HOST.open(model)
        weakref.finalize(self, self._session.close)
        self._waiting: list[I16] = []
        self._waiting_s = 0.0
        self._given = 0
        """Samples given since the recogniser was made: its own clock."""
        self._zero: float | None = None
        """Media time at which that clock stood at 0, None between utterances."""
        self._said: tuple[Token, ...] = ()

    def hear(self, chunk: AudioChunk) -> Hypothesis | None:
        """Takes sound; answers when the words changed."""
        if self._zero is None:
            self._zero = chunk.t - self._given / SPEECH_RATE
        self._waiting.append(chunk.samples)
        self._waiting_s += chunk.seconds
        if self._waiting_s < LOOK_EVERY_S:
            return None
        found = tuple(self._give().split())
        said = self._timed(found)
        if said == self._said:
            return None
        self._said = said
        return Hypothesis(said, False, self.language)

    def finish(self) -> Hypothesis | None:
        """Ends the utterance."""
        if self._zero is None:
            return None
        if self._waiting:
            self._give()
        tokens = self._final(self._session.end().get("result", ()), self._zero)
        self._said, self._zero = (), None
        if self._given >= ANEW_S * SPEECH_RATE:
            self._session.anew()
            self._given = 0
        return Hypothesis(tokens, True, self.language) if tokens else None

    def _give(self) -> str:
        samples = np.concatenate(self._waiting)
        self._waiting, self._waiting_s = [], 0.0
        self._given += len(samples)
        partial = ""
        for start in range(0, len(samples), LARGEST_PIECE):
            piece = samples[start : start + LARGEST_PIECE]
            partial = self._session.sound(piece.astype("<i2", copy=False).tobytes()).get("partial", "")
        return partial

    def _timed(self, words: Sequence[str]) -> tuple[Token, ...]:
        """Tokens of a partial result: those that were there keep their times, the others end now."""
        texts = [text for word in words for text in self._texts(word)]
        kept: list[Token] = []
        for token, text in zip(self._said, texts, strict=False):
            if token.text != text:
                break
            kept.append(token)
        new = texts[len(kept) :]
        if not new:
            return tuple(kept)
        end = (self._zero or 0.0) + self._given / SPEECH_RATE
        start = max(end - SYLLABLE_S * len(new), kept[-1].t_end if kept else 0.0)
        return (*kept, *_spread(new, min(start, end), end, 1.0))

    def _final(self, words: Sequence[Mapping[str, Any]], zero: float) -> tuple[Token, ...]:
        return tuple(
            token
            for word in words
            for token in _spread(
                self._texts(str(word["word"])),
                zero + float(word["start"]),
                zero + float(word["end"]),
                min(1.0, max(0.0, float(word.get("conf", 1.0)))),
            )
        )


def _texts_of(language: str) -> Callable[[str], tuple[str, ...]]:
    """What a word's tokens say; nothing for a sound that is no word (`[unk]`)."""
    said: Callable[[str], tuple[str, ...]] = _as_it_is
    if language == "zh":
        # Here, because the dictionaries cost 30 MB in each call.
        from guardian.speech.text import spoken

        said = spoken
    return lambda word: () if word.startswith(("[", "<")) else said(word)


def _as_it_is(word: str) -> tuple[str, ...]:
    return (word.lower(),)


def _spread(texts: Sequence[str], start: float, end: float, confidence: float) -> tuple[Token, ...]:
    """Tokens that share a span evenly."""
    each = (end - start) / len(texts) if texts else 0.0
    return tuple(
        Token(text, start + i * each, start + (i + 1) * each, confidence) for i, text in enumerate(texts)
    )
