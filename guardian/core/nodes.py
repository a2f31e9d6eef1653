"""What a node of a fleet knows of the others, and when it may take one for dead. Pure: times are given.

A node renews its entry again and again. How old an entry is, is measured by the clock of whoever looks at
it, from the moment they saw it change: clocks of machines are never compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

MARGIN = 1.25
"""How much longer than a lease an entry stays unchanged before its node is taken for dead."""


class NodeState(StrEnum):
    """What a node says of itself, but for `lost`, which others say of it."""

    READY = "ready"
    UNREADY = "unready"
    DRAINING = "draining"
    LEFT = "left"
    """It has ended as it should: nobody has to be told anything."""
    LOST = "lost"
    """It was fenced: what it still does counts for nothing."""


@dataclass(frozen=True, slots=True)
class Node:
    """One entry. incarnation: of this start of the node, empty when the entry cannot be read.

    slots, taken: of calls at once.
    """

    name: str
    incarnation: str
    state: NodeState
    slots: int = 0
    taken: int = 0
    version: str = ""

    @property
    def lives(self) -> bool:
        """Whether it may hold calls."""
        return self.state not in (NodeState.LEFT, NodeState.LOST)

    def holds(self, incarnation: str) -> bool:
        """Whether that start of it may hold calls: one that cannot be told from others may be any."""
        return self.lives and self.incarnation in ("", incarnation)

    @property
    def free(self) -> int:
        """Calls it would take now."""
        return max(0, self.slots - self.taken) if self.state is NodeState.READY else 0


@dataclass(frozen=True, slots=True)
class Sighting:
    """An entry as it was seen. revision: changes with each renewal. at: monotonic seconds of the change."""

    node: Node
    revision: int
    at: float


class Sightings:
    """The entries of a fleet as one node sees them. lease_s: how long a renewal holds."""

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self.patience_s = lease_s * MARGIN
        """How long an entry stays unchanged before its node is taken for dead."""
        self._seen: dict[str, Sighting] = {}
        self._looked: float | None = None

    def see(self, node: Node, revision: int, now: float) -> bool:
        """An entry is there; True when it is news."""
        known = self._seen.get(node.name)
        if known is not None and known.revision >= revision:
            return False
        self._seen[node.name] = Sighting(node, revision, now)
        return True

    def forget(self, name: str) -> None:
        """An entry is there no more."""
        self._seen.pop(name, None)

    def clear(self) -> None:
        """Nothing that was seen counts any more."""
        self._seen.clear()

    def look(self, now: float) -> None:
        """To be called all the time: who has not looked for long knows of nobody how old they are."""
        if self._looked is None or now - self._looked > self._lease_s / 2:
            self.renew(now)
        self._looked = now

    def renew(self, now: float) -> None:
        """Entries could not be seen until now: all are taken to have changed."""
        self._seen = {
            name: Sighting(one.node, one.revision, max(one.at, now)) for name, one in self._seen.items()
        }

    def renew_one(self, name: str, now: float) -> None:
        """A node lives, as is known from elsewhere."""
        one = self._seen.get(name)
        if one is not None:
            self._seen[name] = Sighting(one.node, one.revision, now)

    def stale(self, now: float) -> tuple[Sighting, ...]:
        """Those that have not changed for longer than any lease may hold, and claim to live."""
        old = (one for one in self._seen.values() if now - one.at >= self.patience_s)
        return tuple(one for one in old if one.node.lives)

    def alive(self, name: str, incarnation: str) -> bool:
        """Whether this start of a node holds its calls still, as far as is known here."""
        one = self._seen.get(name)
        return one is not None and one.node.holds(incarnation)

    def get(self, name: str) -> Sighting | None:
        """The entry of a node."""
        return self._seen.get(name)

    def nodes(self) -> Iterator[Node]:
        """All of them."""
        # The copy is one step of the interpreter; metrics are gathered beside the event loop.
        return iter([one.node for one in list(self._seen.values())])

    def anybody_free(self, now: float) -> bool:
        """Whether some node that is heard of would take a call."""
        fresh = [one.node for one in self._seen.values() if now - one.at < self._lease_s]
        return any(node.free > 0 for node in fresh)


class LeaseBook(Protocol):
    """Where leases are renewed while the broker of the fleet is away. Waits for a database; Unavailable."""

    def renew(self, node: str, incarnation: str, lease_s: float) -> bool:
        """False: this start of the node was fenced."""
        ...

    def fence(self, node: str, incarnation: str, lease_s: float) -> bool:
        """Whether this start of a node is fenced now; False: it has renewed its lease here lately."""
        ...
