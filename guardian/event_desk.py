"""Looks after the events of one store for the API and the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from guardian.core.delivery import DeadFilter, EndpointState, Route
from guardian.core.errors import NoSuchEndpoint, NoSuchEvent
from guardian.core.event_desk import DeadPage
from guardian.core.ports import Clock
from guardian.store.database import Database
from guardian.store.dead_letters import DeadLetters
from guardian.telemetry.log import logger


class StoreEvents:
    """Implements `guardian.core.event_desk.EventDesk`. wake: called when something became due."""

    def __init__(self, database: Database, routes: Sequence[Route], now: Clock) -> None:
        self._letters = DeadLetters(database, routes)
        self._names = frozenset(route.sink for route in routes)
        self._now = now
        self._log = logger("guardian.events")
        self.wake: Callable[[], None] = lambda: None

    def dead(self, which: DeadFilter, limit: int, offset: int) -> DeadPage:
        """Dead letters, those that died first first."""
        return DeadPage(self._letters.found(which, limit, offset), self._letters.count(which))

    def body(self, which: DeadFilter) -> bytes:
        """A dead letter as it is sent. NoSuchEvent."""
        found = self._letters.body(which)
        if found is None:
            raise NoSuchEvent("There is no such dead letter.")
        return found

    def replay(self, which: DeadFilter) -> int:
        """Has dead letters delivered anew; returns how many. NoSuchEndpoint."""
        if which.endpoint is not None and which.endpoint not in self._names:
            raise NoSuchEndpoint(f"There is no endpoint {which.endpoint} in the settings.")
        count = self._letters.replay(which, self._now())
        self._log.info("dead letters are delivered anew", count=count, endpoint=which.endpoint or "all")
        self.wake()
        return count

    def discard(self, which: DeadFilter, most: int | None = None) -> int:
        """Gives up dead letters for good, `most` of them at most; returns how many. NoSuchEndpoint."""
        count = self._letters.discard(which, most)
        if not count and which.endpoint is not None and which.endpoint not in self._names:
            raise NoSuchEndpoint(f"There is no endpoint {which.endpoint}, and nothing is dead of one.")
        if count:
            self._log.warning("dead letters are given up", count=count, endpoint=which.endpoint or "all")
        return count

    def end(self, before: float) -> int:
        """Gives up some of what nobody takes since `before` (wall clock seconds); returns how many."""
        count = self._letters.end(before, self._now())
        if count:
            self._log.warning("events that nobody took are given up", count=count)
        return count

    def endpoints(self, tenant: str | None) -> Sequence[EndpointState]:
        """The endpoints of a tenant; of all when it is None."""
        return self._letters.endpoints(tenant)

    def enable(self, tenant: str | None, name: str) -> None:
        """Tells a disabled endpoint what waits for it. NoSuchEndpoint."""
        if not self._letters.enable(name, tenant):
            raise NoSuchEndpoint(f"There is no endpoint {name} in the settings.")
        self._log.info("an endpoint was enabled", endpoint=name)
        self.wake()
