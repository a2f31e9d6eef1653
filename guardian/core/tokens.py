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
class Hypothesis:
    """What a recogniser holds to have been said since its last final answer."""

    tokens: tuple[Token, ...]
    final: bool
    language: str
