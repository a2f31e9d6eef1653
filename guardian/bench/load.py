"""Processor time and memory of the box in the middle."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Load:
    """Cores used by all processes while measuring; memory of the largest one at the end (PSS)."""

    cores: float
    pss_mb: float


class Meter:
    """Reads processor time of processes before and after."""

    def __init__(self, processes: Sequence[psutil.Process]) -> None:
        self._began = time.monotonic()
        self._before = {process: _cpu_s(process) for process in processes}

    def read(self) -> Load:
        """Cores used since the beginning, and memory now."""
        used = sum(_cpu_s(process) - before for process, before in self._before.items())
        return Load(
            used / (time.monotonic() - self._began),
            max((pss_mb(process) for process in self._before), default=0.0),
        )


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def pss_mb(process: psutil.Process) -> float:
    """Memory of a process in MiB, its share of what it shares included."""
    return float(process.memory_full_info().pss) / 2**20
