"""What a fleet keeps of each call, so that any node can answer for it and take it again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from guardian.core.calls import CallSpec
from guardian.core.violations import Role

TAKEN_AT_MOST = 4
"""How often a call is opened in all: once as it is admitted, and three times again."""


class CallState(StrEnum):
    """Where a call stands."""

    OPEN = "open"
    FAILED = "failed"
    """Its process or its node died: it may be taken again."""
    ENDED = "ended"
    """Somebody or something ended it: it stays ended."""


class Turn(StrEnum):
    """Who answers for a call."""

    HERE = "here"
    THERE = "there"
    WAIT = "wait"
    """Whoever has it may have died; that is known soon."""


@dataclass(frozen=True, slots=True)
class LegHash:
    """A leg's token as kept: its hash, and the wall clock seconds until which it may be used to join."""

    sha256: str = field(repr=False)
    expires: float


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call. node, incarnation: who has it. epoch: how often it was opened. reason: why it is over.

    at: wall clock seconds of the last change. joined: legs that have been connected.
    """

    spec: CallSpec
    metadata: Mapping[str, Any]
    legs: Mapping[Role, LegHash]
    node: str
    incarnation: str
    at: float
    epoch: int = 1
    state: CallState = CallState.OPEN
    reason: str = ""
    joined: frozenset[Role] = frozenset()

    def held_by(self, node: str, incarnation: str) -> bool:
        """Whether this start of a node has it."""
        return (self.node, self.incarnation) == (node, incarnation)

    def failed(self, at: float, token_s: float) -> CallRecord:
        """After its process or its node died. Whoever could join then may for `token_s` more."""
        legs = {
            role: replace(leg, expires=at + token_s) if leg.expires > at or role in self.joined else leg
            for role, leg in self.legs.items()
        }
        return replace(self, state=CallState.FAILED, reason="failed", at=at, legs=legs)

    def ended(self, at: float, reason: str) -> CallRecord:
        """After somebody or something ended it."""
        return replace(self, state=CallState.ENDED, reason=reason, at=at)

    def taken(self, node: str, incarnation: str, at: float) -> CallRecord:
        """As a node begins to open it again."""
        return replace(
            self,
            state=CallState.OPEN,
            reason="",
            node=node,
            incarnation=incarnation,
            at=at,
            epoch=self.epoch + 1,
        )

    def turn(self, node: str, incarnation: str, holder_lives: bool) -> Turn:
        """Who answers what is asked of this call at a node, `holder_lives` being what that knows."""
        if self.held_by(node, incarnation):
            return Turn.HERE
        if holder_lives:
            return Turn.THERE
        return Turn.WAIT if self.state is CallState.OPEN else Turn.HERE

    @property
    def poison(self) -> bool:
        """Whether it has failed so often that nobody opens it again."""
        return self.state is CallState.FAILED and self.epoch >= TAKEN_AT_MOST
