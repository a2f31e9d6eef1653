"""What those who look after events may ask for; the API and the console stand on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from guardian.core.delivery import DeadFilter, DeadLetter, EndpointState


@dataclass(frozen=True, slots=True)
class DeadPage:
    """Some of the dead letters, and how many there are in all."""

    letters: Sequence[DeadLetter]
    total: int


class EventDesk(Protocol):
    """Waits for the store, so not on the event loop. Raises Unavailable, NoSuchEvent, NoSuchEndpoint."""

    def dead(self, which: DeadFilter, limit: int, offset: int) -> DeadPage:
        """Dead letters, those that died first first."""
        ...

    def body(self, which: DeadFilter) -> bytes:
        """A dead letter as it is sent. NoSuchEvent."""
        ...

    def replay(self, which: DeadFilter) -> int:
        """Has dead letters delivered anew; returns how many. NoSuchEndpoint."""
        ...

    def discard(self, which: DeadFilter, most: int | None = None) -> int:
        """Gives up dead letters for good, `most` of them at most; returns how many. NoSuchEndpoint."""
        ...

    def endpoints(self, tenant: str | None) -> Sequence[EndpointState]:
        """The endpoints of a tenant; of all when it is None."""
        ...

    def enable(self, tenant: str | None, name: str) -> None:
        """Tells a disabled endpoint what waits for it. NoSuchEndpoint."""
        ...
