"""What processes hold over time, and whether it grows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

_PAGES = "smaps_rollup"
_OWN = ("Anonymous", "Swap", "Pss_Shmem")


@dataclass(frozen=True, slots=True)
class Holding:
    """What a process holds at a second. own_mb: memory that is not a file's, MiB; what else runs on the
    machine does not change it, as it changes pss_mb, in which shared pages are shared out.
    """

    at: float
    own_mb: float
    pss_mb: float
    threads: int
    descriptors: int
    cpu_s: float

    @classmethod
    def of(cls, process: psutil.Process) -> Holding:
        """Now. psutil.Error or OSError for a process that is gone."""
        pages = memory_pages(process.pid)
        times = process.cpu_times()
        return cls(
            time.monotonic(),
            own_kb(pages) / 1024,
            pages["Pss"] / 1024,
            process.num_threads(),
            process.num_fds(),
            float(times.user + times.system),
        )


def memory_pages(pid: int) -> dict[str, int]:
    """Kilobytes by name, as Linux counts them for a process. OSError."""
    lines = Path(f"/proc/{pid}/{_PAGES}").read_text(encoding="ascii").splitlines()[1:]
    return {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}


def own_kb(pages: Mapping[str, int]) -> int:
    """Of `memory_pages`: what is no file's."""
    return sum(pages.get(name, 0) for name in _OWN)


@dataclass(slots=True)
class Course:
    """A process from the first look to the last. name: what it is."""

    name: str
    held: list[Holding] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Between the first look and the last."""
        return self.held[-1].at - self.held[0].at if self.held else 0.0

    @property
    def cores(self) -> float:
        """Processor time of the whole course, as a part of one core."""
        return (self.held[-1].cpu_s - self.held[0].cpu_s) / self.seconds if self.seconds else 0.0

    def since(self, at: float) -> Course:
        """What was seen from a monotonic second on."""
        return Course(self.name, [one for one in self.held if one.at >= at])


def slope_per_hour(at: Sequence[float], values: Sequence[float]) -> float | None:
    """The median of the slopes between all pairs of points (Theil and Sen): single peaks do not move it.

    at: seconds. None for fewer than three points.
    """
    if len(at) < 3:
        return None
    t, v = np.asarray(at, np.float64), np.asarray(values, np.float64)
    earlier, later = np.triu_indices(len(t), 1)
    apart = t[later] - t[earlier]
    return float(np.median((v[later] - v[earlier])[apart > 0] / apart[apart > 0])) * 3600


def ends(values: Sequence[float], share: float = 0.2) -> tuple[float, float]:
    """Medians of the first and of the last part, so that one call more or less does not count."""
    part = max(1, round(len(values) * share))
    return float(np.median(values[:part])), float(np.median(values[-part:]))
