"""Mandarin as timed toned syllables (`syllables-zh`)."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from guardian.core.tokens import Token
from guardian.core.units import INITIALS
from guardian.speech.transducer import Piece, Tongue

LAST_S = 0.24
"""How long a syllable is taken to last when nothing follows it closely."""

_TONES = {"\u0304": "1", "\u0301": "2", "\u030c": "3", "\u0300": "4"}


def numbered(piece: str) -> tuple[str, str]:
    """(`iang`, `3`) of `iǎng`; ü becomes v; the tone is empty where there is none."""
    tone = ""
    letters: list[str] = []
    for char in unicodedata.normalize("NFD", piece):
        if char in _TONES:
            tone = _TONES[char]
        elif char == "\u0308":
            letters[-1] = "v"
        else:
            letters.append(char)
    return "".join(letters), tone


def syllables(pieces: Sequence[Piece]) -> tuple[Token, ...]:
    """Joins initials and finals; an initial that no final follows (yet) is left out."""
    tokens: list[Token] = []
    initial: Piece | None = None
    for at, piece in enumerate(pieces):
        if piece.text in INITIALS:
            initial = piece
            continue
        final, tone = numbered(piece.text)
        first = initial or piece
        end = piece.t + LAST_S
        if at + 1 < len(pieces):
            end = min(end, pieces[at + 1].t)
        text = (initial.text if initial else "") + final
        if text.isupper():
            text = text.lower()
        tokens.append(
            Token(text + tone, first.t, max(end, first.t), (first.confidence + piece.confidence) / 2)
        )
        initial = None
    return tuple(tokens)


SYLLABLES_ZH = Tongue("syllables-zh", "zh", syllables)
"""The wenetspeech zipformer."""
