"""What rules are matched on: syllables and words, with the spellings that sound alike made equal.

A Mandarin syllable is compared by the class its initial and final belong to (z/zh, l/n, f/h,
an/ang ... fall together, tones are dropped); a word of a language written in letters by a light
stem. Both kinds may stand in one sequence, so that "加我 WhatsApp" is one phrase.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from guardian.core.tokens import Token, UnsureToken

CLAUSE_PAUSE_S = 0.6
"""A silence between two units that counts as one clause boundary; a longer one as several."""

INITIALS = ("zh", "ch", "sh", *"bpmfdtnlgkhjqxrzcsyw")
_ALIKE_INITIALS = {"zh": "z", "ch": "c", "sh": "s", "n": "l", "h": "f"}
_ALIKE_FINALS = {"ang": "an", "eng": "en", "ing": "in", "iang": "ian", "uang": "uan"}
_SYLLABLE = re.compile(r"((?:[zcs]h|[bpmfdtnlgkhjqxrzcsyw])?(?:[aeiouvüê]{1,3}(?:ng|n|r)?|n|ng|m))([1-5])?")
"""Pinyin, and not much else: Latin words among Mandarin are words."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One syllable or word.

    key: what is compared first (`wei`; words begin with `'`). base: toneless syllable or lower-case
    word as heard. tone: 1..5, or 0 where unknown. text: how to show it. Times in media seconds;
    clause: number of the clause it belongs to; confidence 0..1.
    """

    key: str
    base: str
    text: str
    t_start: float
    t_end: float
    clause: int = 0
    tone: int = 0
    confidence: float = 1.0
    others: tuple[Unit, ...] = ()
    """What it may have been instead; their confidence is how likely they are against this one."""

    @property
    def is_word(self) -> bool:
        """Whether this is a word in letters, not a syllable."""
        return self.key.startswith("'")


@lru_cache(maxsize=4096)
def split_syllable(base: str) -> tuple[str, str]:
    """(initial, final) of a toneless syllable; the initial may be empty."""
    for initial in INITIALS:
        if base.startswith(initial) and len(base) > len(initial):
            return initial, base[len(initial) :]
    return "", base


@lru_cache(maxsize=4096)
def syllable_key(base: str) -> str:
    """The class of a toneless syllable: `zhang` and `zan` are both `zan`."""
    initial, final = split_syllable(base)
    return _ALIKE_INITIALS.get(initial, initial) + _ALIKE_FINALS.get(final, final)


@lru_cache(maxsize=8192)
def word_key(word: str) -> str:
    """The class of a word: lower case, no apostrophe, without the commonest endings."""
    word = word.lower().replace("'", "").replace("’", "")
    for ending, least in (("ing", 6), ("ed", 5), ("es", 6), ("s", 4)):
        if word.endswith(ending) and len(word) >= least and not word.endswith("ss"):
            word = word[: -len(ending)]
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls":
                word = word[:-1]
            break
    return "'" + (word[:-1] if len(word) > 4 and word.endswith("e") else word)


@lru_cache(maxsize=16384)
def sound_distance(a: str, b: str) -> float:
    """0 (the same) to 1 (nothing alike) between two toneless syllables.

    Pairs that Mandarin speakers and recognisers confuse cost 0.25 for each part that differs
    (weights after Cao 2009 as used by weighted pinyin edit distances).
    """
    if a == b:
        return 0.0
    if syllable_key(a) == syllable_key(b):
        (ia, fa), (ib, fb) = split_syllable(a), split_syllable(b)
        return 0.25 * ((ia != ib) + (fa != fb))
    ka, kb = split_syllable(syllable_key(a)), split_syllable(syllable_key(b))
    return 0.6 if ka[0] == kb[0] or ka[1] == kb[1] else 1.0


def same_tone(a: int, b: int) -> bool:
    """Whether two tones can be one: unknown and neutral fit any, a third is often spoken as a second."""
    return a == b or a in (0, 5) or b in (0, 5) or {a, b} == {2, 3}


@lru_cache(maxsize=16384)
def _parsed(text: str) -> tuple[str, int] | None:
    """(`wei`, 1) of `wei1`; None of what is no pinyin."""
    found = _SYLLABLE.fullmatch(text.lower().replace("u:", "v"))
    if found is None or (len(found[1]) == 1 and found[1] not in "aeo"):
        return None
    return found[1].replace("ü", "v"), int(found[2] or 0)


def syllable_unit(token: Token, clause: int = 0) -> Unit:
    """A unit of a toned pinyin token (`wei1`); anything else becomes a word."""
    parsed = _parsed(token.text)
    if parsed is None:
        return word_unit(token, clause)
    base, tone = parsed
    key = syllable_key(base)
    others = _others(token, clause, key)
    return Unit(key, base, token.text, token.t_start, token.t_end, clause, tone, token.confidence, others)


def word_unit(token: Token, clause: int = 0) -> Unit:
    """A unit of a word token."""
    base = token.text.lower()
    return Unit(word_key(base), base, token.text, token.t_start, token.t_end, clause, 0, token.confidence)


def _others(token: Token, clause: int, key: str) -> tuple[Unit, ...]:
    """What a syllable may have been instead, but for what would be compared as the same."""
    if not isinstance(token, UnsureToken):
        return ()
    may_be = (
        syllable_unit(Token(text, token.t_start, token.t_end, share), clause) for text, share in token.others
    )
    return tuple(other for other in may_be if other.key != key)


def units_of(tokens: Sequence[Token], language: str) -> tuple[Unit, ...]:
    """Units of recognised tokens; pauses part clauses, so that patterns do not reach over long ones."""
    make = syllable_unit if language == "zh" else word_unit
    units: list[Unit] = []
    clause = 0
    for token in tokens:
        if units:
            clause += max(0, int((token.t_start - units[-1].t_end) / CLAUSE_PAUSE_S))
        units.append(make(token, clause))
    return tuple(units)
