"""What is kept of a call in memory, and what of it becomes a clip. Times are media seconds of the call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from guardian.core.frames import Showing
from guardian.core.tokens import Hypothesis
from guardian.core.violations import Role


@dataclass(frozen=True, slots=True)
class KeptPiece:
    """An encoded picture or piece of sound.

    codec: `VP8`, `H264` (Annex B) or `opus`. came: when it was whole. clock: the same moment by the clock of
    its source, of which only differences mean anything; source: whose clock that is, growing with each new
    one. key: needs no other piece. seconds: how long sound lasts. showing: what a protected picture shows.
    """

    codec: str
    data: bytes = field(repr=False)
    came: float
    clock: float
    source: int = 0
    key: bool = True
    seconds: float = 0.0
    showing: Showing | None = None


@dataclass(frozen=True, slots=True)
class SentPicture:
    """A protected picture as it was encoded for the merchant. source: whose stream it is, growing."""

    codec: str
    data: bytes = field(repr=False)
    key: bool
    source: int


@dataclass(frozen=True, slots=True)
class Spoken:
    """What an engine holds to have been said in one utterance, so far or finally."""

    role: Role
    engine: str
    said: Hypothesis

    @property
    def t_start(self) -> float:
        """When the first word began."""
        return self.said.tokens[0].t_start

    @property
    def t_end(self) -> float:
        """When the last word ended."""
        return self.said.tokens[-1].t_end


@dataclass(frozen=True, slots=True)
class Recording:
    """A span cut out of what is kept. The shopper's pictures are the protected ones; no others are kept.

    pictures: in order, those of a role beginning with a key frame. sounds: those that reach into the span.
    """

    t_start: float
    t_end: float
    pictures: Mapping[Role, tuple[KeptPiece, ...]]
    sounds: Mapping[Role, tuple[KeptPiece, ...]]
    spoken: tuple[Spoken, ...] = ()


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a clip is kept: a violation (its id), or a complaint (the id of its event), and its span."""

    kind: str
    id: str
    t_start: float
    t_end: float


@dataclass(frozen=True, slots=True)
class ClipOrder:
    """A clip to be written.

    cut_short: why it holds less than it should, or empty. lapses: those that touch the span, JSON-ready.
    """

    evidence_id: str
    call_id: str
    causes: tuple[Cause, ...]
    cut_short: str = ""
    lapses: tuple[Mapping[str, Any], ...] = ()
