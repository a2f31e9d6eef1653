"""How events travel from the outbox to the endpoints that want them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from guardian.core.violations import Level


class Life(StrEnum):
    """What an event says of whether its call goes on."""

    BEGUN = "begun"
    """It goes on, also when it had ended before."""
    GOING = "going"
    """It goes on, if it has not ended."""
    ENDED = "ended"
    LATER = "later"
    """Nothing: it may be told long after the end."""


@dataclass(frozen=True, slots=True)
class About:
    """What an event is about, for those who choose. type: `violation.detected`; level: of a violation."""

    type: str = ""
    tenant: str = ""
    level: Level | None = None
    life: Life = Life.GOING


@dataclass(frozen=True, slots=True)
class Route:
    """A sink and what it wants; empty choices mean all.

    types: names or patterns as `violation.*`. levels: of violations; events that have none pass.
    """

    sink: str
    types: tuple[str, ...] = ()
    levels: tuple[Level, ...] = ()
    tenants: tuple[str, ...] = ()

    def takes(self, about: About) -> bool:
        """True when the event is to be delivered here."""
        return (
            _wanted(about.type, self.types)
            and (not self.levels or about.level is None or about.level in self.levels)
            and (not self.tenants or about.tenant in self.tenants)
        )


def _wanted(name: str, patterns: Iterable[str]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


@dataclass(frozen=True, slots=True)
class Due:
    """An event a sink is to take now; attempts: tries made before."""

    event_id: str
    call_id: str
    sequence: int
    type: str
    body: bytes
    attempts: int


@dataclass(frozen=True, slots=True)
class Look:
    """What a sink is to take now. next_at: when more comes due, wall clock seconds; None: nothing waits."""

    due: tuple[Due, ...]
    next_at: float | None


class Fate(StrEnum):
    """What became of a try."""

    DONE = "done"
    AGAIN = "again"
    """It failed and is made again."""
    DEAD = "dead"
    """It failed, and no more are made until somebody asks for it."""
    GONE = "gone"
    """The sink wants nothing any more; what waits for it stays."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a try ended. at: wall clock seconds; wait: seconds from then to the next try, with AGAIN."""

    sink: str
    event_id: str
    call_id: str
    fate: Fate
    at: float
    error: str = ""
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that an endpoint did not take in all its tries. Times: wall clock seconds."""

    endpoint: str
    event_id: str
    call_id: str
    sequence: int
    type: str
    at: float
    died_at: float
    attempts: int
    error: str


@dataclass(frozen=True, slots=True)
class DeadFilter:
    """Which dead letters are meant; what is empty or None does not choose. since, until: of the event."""

    tenant: str | None = None
    endpoint: str | None = None
    type: str | None = None
    call_id: str | None = None
    event_ids: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class EndpointState:
    """An endpoint and what waits for it. disabled_at: wall clock seconds, or None.

    configured: it is served; what waits for one that is not stays.
    """

    name: str
    pending: int = 0
    dead: int = 0
    disabled_at: float | None = None
    reason: str = ""
    configured: bool = True
