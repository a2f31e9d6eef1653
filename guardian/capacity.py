"""How many calls this machine carries, by its settings, its size and what calls were measured to cost."""

from __future__ import annotations

from dataclasses import dataclass

from guardian.capacity_file import SHIPPED, Measured, read_costs, size_of
from guardian.core.capacity import Budget, Costs, Load
from guardian.settings import Settings
from guardian.telemetry.machine import Machine, machine

_SERVER_MB = 250.0
"""What the server process itself takes."""
_MEMORY_UNKNOWN = float("inf")


@dataclass(frozen=True, slots=True)
class Capacity:
    """A budget and where it comes from. measured: None when the shipped figures stand in."""

    budget: Budget
    machine: Machine
    measured: Measured | None

    @property
    def slots(self) -> int:
        """Calls of the expected size at once; at least one."""
        budget = self.budget
        return max(1, budget.room.holds(budget.costs.of(budget.expected)))


def capacity(settings: Settings, here: Machine | None = None) -> Capacity:
    """What these settings make of a machine; None: of this one. ConfigError: no such costs can be read."""
    limits = settings.limits
    found = here or machine()
    measured = read_costs(settings.data_path)
    if limits.max_calls != "auto":
        return Capacity(Budget.fixed(limits.max_calls), found, measured)
    costs = Costs(measured.cost if measured else SHIPPED)
    expected = size_of(limits.call_size)
    share = 1.0 - limits.headroom
    memory = found.memory.value if found.memory else _MEMORY_UNKNOWN
    spares_mb = limits.spares * costs.of(expected).mb
    room = Load(found.cores.value * share, memory * share).without(Load(0.0, _SERVER_MB + spares_mb))
    return Capacity(Budget(room, costs, expected), found, measured)
