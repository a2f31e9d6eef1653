"""English by PocketSphinx and the model inside its wheel: what works where nothing can be downloaded."""

from __future__ import annotations

import re

from pocketsphinx import Decoder

from guardian.core.frames import AudioChunk
from guardian.core.tokens import Hypothesis, Token

NAME = "pocketsphinx"
LOOK_EVERY_S = 0.3
"""Seconds of sound between two looks at the partial result; each look costs a trace back."""
_FRAME_S = 0.01
_VARIANT = re.compile(r"\(\d+\)$")


class PocketSphinxEn:
    """See `guardian.core.ports.Recogniser`. Raises what the engine raises."""

    name = NAME
    language = "en"

    def __init__(self) -> None:
        # One pass and a bounded search: 0.15 of a core instead of 0.25, and no second pass that delays
        # the end of an utterance and rewrites what the partial results said.
        self._decoder = Decoder(
            loglevel="FATAL", samprate=16000, bestpath=False, fwdflat=False, maxhmmpf=3000, maxwpf=10
        )
        self._open = False
        self._origin = 0.0
        self._since_look_s = 0.0
        self._last: tuple[Token, ...] = ()

    def hear(self, chunk: AudioChunk) -> Hypothesis | None:
        """Takes sound; answers when the words changed."""
        if not self._open:
            self._decoder.start_utt()
            self._open = True
            self._origin = chunk.t
            self._since_look_s = 0.0
            self._last = ()
        self._decoder.process_raw(chunk.samples.tobytes(), False, False)
        self._since_look_s += chunk.seconds
        if self._since_look_s < LOOK_EVERY_S:
            return None
        self._since_look_s = 0.0
        tokens = self._tokens()
        if tokens == self._last:
            return None
        self._last = tokens
        return Hypothesis(tokens, False, self.language)

    def finish(self) -> Hypothesis | None:
        """Ends the utterance."""
        if not self._open:
            return None
        self._open = False
        self._decoder.end_utt()
        tokens = self._tokens()
        return Hypothesis(tokens, True, self.language) if tokens else None

    def _tokens(self) -> tuple[Token, ...]:
        if self._decoder.hyp() is None:
            return ()
        return tuple(
            Token(
                _VARIANT.sub("", segment.word),
                self._origin + segment.start_frame * _FRAME_S,
                self._origin + (segment.end_frame + 1) * _FRAME_S,
            )
            for segment in self._decoder.seg()
            if not segment.word.startswith(("<", "[", "+"))
        )
