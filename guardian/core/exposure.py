"""How much of clips somebody has met with today, and when they should pause. Pure; wall clock seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from guardian.core.cases import ReviewTerms


@dataclass(frozen=True, slots=True)
class Play:
    """A file of a clip that somebody opened. seconds: how long the clip is."""

    at: float
    clip: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Exposure:
    """What somebody has played. seconds: how long those clips are; stretch_s: how long they have been at it
    without a pause; pause_s: of the pause they should take now, 0 for none."""

    clips: int
    seconds: float
    stretch_s: float
    pause_s: float = 0.0


def exposure(plays: Sequence[Play], now: float, terms: ReviewTerms) -> Exposure:
    """What these plays, in order, come to. A clip counts once, however many of its files were opened."""
    lengths = {play.clip: play.seconds for play in plays}
    stretch_s = 0.0
    until = now
    for play in reversed(plays):
        if until - (play.at + play.seconds) >= terms.break_s:
            break
        stretch_s, until = max(0.0, now - play.at), play.at
    tired = terms.break_after_s > 0 and stretch_s >= terms.break_after_s
    return Exposure(len(lengths), sum(lengths.values()), stretch_s, terms.break_s if tired else 0.0)
