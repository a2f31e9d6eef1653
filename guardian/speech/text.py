"""Written text as the units that speech would give: for rule phrases and for `guardian rules test`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from pypinyin import Style, lazy_pinyin

from guardian.core.tokens import Token
from guardian.core.units import Unit, syllable_unit, word_unit
from guardian.speech.cantonese import in_mandarin

UNIT_S = 0.25
"""Seconds a written unit is taken to last when spoken."""

_PART = re.compile(
    r"(?P<han>[\u3400-\u9fff〇]+)|(?P<word>[a-z]+(?:['’][a-z]+)?)|(?P<digits>\d+)|(?P<at>@)"
    r"|(?P<other>(?:[^\w@]|_)+|.)"
)
_NO_BREAK = frozenset("-/&'’\"“”*_~+=#·|^")
"""Signs that part no clauses."""
_SPELLED = re.compile(r"(?<![a-z0-9'’])(?:[a-z](?:[ ,.、·\-]{1,2}[a-z]){2,}|[b-z] [b-hj-z])(?![a-z0-9'’])")
"""Letters said one by one. Two of them may as well be `a` and `I`, the words."""


@lru_cache(maxsize=65536)
def _pinyin(text: str) -> tuple[str, ...]:
    return tuple(lazy_pinyin(text, style=Style.TONE3, neutral_tone_with_five=True, errors="ignore"))


def _parts(text: str) -> Iterator[tuple[str, str]]:
    text = in_mandarin(unicodedata.normalize("NFKC", text).lower())
    text = _SPELLED.sub(lambda found: re.sub(r"[^a-z]", "", found[0]), text)
    for found in _PART.finditer(text):
        kind = found.lastgroup or "other"
        yield kind, found[0]


@lru_cache(maxsize=65536)
def spoken(word: str) -> tuple[str, ...]:
    """What saying a word of Mandarin gives: toned syllables (`wei1`, `xin4`), Latin words as they are."""
    found: list[str] = []
    for kind, part in _parts(word):
        if kind == "han":
            found.extend(_pinyin(part))
        elif kind != "other":
            found.append("at" if kind == "at" else part)
    return tuple(found)


def units_of_text(text: str) -> tuple[Unit, ...]:
    """Units of Chinese (by pypinyin), Latin words and digits; punctuation begins a new clause."""
    units: list[Unit] = []
    clause = 0
    t = 0.0
    for kind, part in _parts(text):
        if kind == "other":
            if units and not _NO_BREAK.issuperset("".join(part.split())):
                clause += 1
                t += UNIT_S
            continue
        if kind == "han":
            sounds = [syllable_unit(Token(sound, 0.0, 0.0)) for sound in _pinyin(part)]
            written = list(part) if len(sounds) == len(part) else [sound.base for sound in sounds]
        else:
            sounds = [word_unit(Token("at" if kind == "at" else part, 0.0, 0.0))]
            written = [part]
        for sound, shown in zip(sounds, written, strict=True):
            units.append(Unit(sound.key, sound.base, shown, t, t + UNIT_S, clause, sound.tone))
            t += UNIT_S
    return tuple(units)
