"""English as timed words (`words-en`)."""

from __future__ import annotations

from collections.abc import Sequence

from guardian.core.tokens import Token
from guardian.speech.transducer import Piece, Tongue

LAST_S = 0.3
"""How long the last piece of a word is taken to last when nothing follows it closely."""

_BEGIN = "▁"
"""What a piece that begins a word starts with."""


def words(pieces: Sequence[Piece]) -> tuple[Token, ...]:
    """Joins byte-pair pieces to lower-case words.

    What else a piece may have been is left out: it makes other words of them, as *under* of *on*.
    """
    groups: list[list[Piece]] = []
    for piece in pieces:
        if piece.text.startswith(_BEGIN) or not groups:
            groups.append([])
        groups[-1].append(piece)
    tokens: list[Token] = []
    for at, group in enumerate(groups):
        text = "".join(piece.text.lstrip(_BEGIN) for piece in group).lower()
        if not text:
            continue
        end = group[-1].t + LAST_S
        if at + 1 < len(groups):
            end = min(end, groups[at + 1][0].t)
        confidence = sum(piece.confidence for piece in group) / len(group)
        tokens.append(Token(text, group[0].t, max(end, group[0].t), confidence))
    return tuple(tokens)


WORDS_EN = Tongue("words-en", "en", words, most_others=0)
"""The gigaspeech zipformer."""
