"""English as timed words (`words-en`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from guardian.core.frames import AudioChunk
from guardian.core.tokens import Hypothesis, Token
from guardian.speech.transducer import Piece, Transducer

NAME = "words-en"
LAST_S = 0.3
"""How long the last piece of a word is taken to last when nothing follows it closely."""

_BEGIN = ("▁", " ")
"""What a piece that begins a word starts with: the model's sign, or what sherpa-onnx makes of it."""


class WordsEn:
    """The gigaspeech zipformer as a plain recogniser; see `guardian.core.ports.Recogniser`."""

    name = NAME
    language = "en"

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._engine = Transducer(files)
        self._count = 0

    def hear(self, chunk: AudioChunk) -> Hypothesis | None:
        """Takes sound; answers when words were added or grew."""
        if not self._engine.hear(chunk):
            return None
        pieces = self._engine.pieces()
        if len(pieces) == self._count:
            return None
        self._count = len(pieces)
        return Hypothesis(words(pieces), False, self.language)

    def finish(self) -> Hypothesis | None:
        """Ends the utterance."""
        pieces = self._engine.flush()
        self._count = 0
        return Hypothesis(words(pieces), True, self.language) if pieces else None


def words(pieces: Sequence[Piece]) -> tuple[Token, ...]:
    """Joins byte-pair pieces to lower-case words."""
    groups: list[list[Piece]] = []
    for piece in pieces:
        if piece.text.startswith(_BEGIN) or not groups:
            groups.append([])
        groups[-1].append(piece)
    tokens: list[Token] = []
    for at, group in enumerate(groups):
        text = "".join(piece.text.lstrip("▁ ") for piece in group).lower()
        if not text:
            continue
        end = group[-1].t + LAST_S
        if at + 1 < len(groups):
            end = min(end, groups[at + 1][0].t)
        confidence = sum(piece.confidence for piece in group) / len(group)
        tokens.append(Token(text, group[0].t, max(end, group[0].t), confidence))
    return tuple(tokens)
