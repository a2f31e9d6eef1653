"""Whether a server can take a call, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """starting: not open yet; full: every slot is taken, which is no fault; draining: it is going to end;
    failing: something it needs is not to be had."""

    STARTING = "starting"
    READY = "ready"
    FULL = "full"
    DRAINING = "draining"
    FAILING = "failing"


_ABLE = frozenset({Status.READY, Status.FULL})


@dataclass(frozen=True, slots=True)
class Readiness:
    """What it is, a sentence where it is not simply ready, and the seconds after which to ask again."""

    status: Status
    reason: str | None = None
    retry_after: int = 5

    @property
    def able(self) -> bool:
        """True while it works as it should, if only for the calls it has."""
        return self.status in _ABLE
