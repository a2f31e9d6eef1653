"""Mandarin as timed toned syllables (`syllables-zh`)."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import product

from guardian.core.tokens import Token, UnsureToken
from guardian.core.units import INITIALS
from guardian.speech.transducer import LEAST_SHARE, MOST_OTHERS, Piece, Tongue

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
            UnsureToken(
                text + tone,
                first.t,
                max(end, first.t),
                (first.confidence + piece.confidence) / 2,
                _others(initial, piece),
            )
        )
        initial = None
    return tuple(tokens)


@lru_cache(maxsize=1024)
def _others(initial: Piece | None, final: Piece) -> tuple[tuple[str, float], ...]:
    """Other syllables that they may have been: with another initial, another final, or both."""
    said = initial.text if initial else ""
    base, spoken = numbered(final.text)
    initials = {said: ("", 1.0)} | (_shares(initial, is_initial=True) if initial else {})
    finals = {base: (spoken, 1.0)} | _shares(final, is_initial=False)
    found = [
        (first + last + tone, round(min(1.0, share * of_last), 3))
        for (first, (_, share)), (last, (tone, of_last)) in product(initials.items(), finals.items())
        if (first, last) != (said, base) and share * of_last >= LEAST_SHARE
    ]
    return tuple(sorted(found, key=lambda one: -one[1])[:MOST_OTHERS])


def _shares(piece: Piece, *, is_initial: bool) -> dict[str, tuple[str, float]]:
    """Pieces of its kind that it may have been: (likeliest tone, how likely against it) by their letters, all
    tones together."""
    said = numbered(piece.text)[0]
    chances = {said: 1.0}
    tones: dict[str, str] = {}
    for text, chance in piece.others:
        if (text in INITIALS) == is_initial and not text.isupper():
            base, tone = numbered(text)
            tones.setdefault(base, tone)
            chances[base] = chances.get(base, 0.0) + chance
    return {base: (tones[base], chance / chances[said]) for base, chance in chances.items() if base != said}


SYLLABLES_ZH = Tongue("syllables-zh", "zh", syllables, MOST_OTHERS)
"""The wenetspeech zipformer."""
