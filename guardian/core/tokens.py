"""Timed units of recognised speech."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Token:
    """A syllable (toned pinyin such as `wei1`) or a word (`whatsapp`), with media times in seconds.

    confidence is 0..1, or 1.0 where the recogniser gives none.
    """

    text: str
    t_start: float
    t_end: float
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class UnsureToken(Token):
    """A token that may have been another one.

    others: what else, and how likely against the text (0..1), likeliest first.
    """

    others: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What a recogniser holds to have been said since its last final answer."""

    tokens: tuple[Token, ...]
    final: bool
    language: str
