"""What this process may use of the machine: processors and memory, as control groups and affinity have it.

A container sees all processors and all memory of its machine; what it may use stands in the files of its
control groups, each of which bounds those below (cgroups(7); cpu.max and memory.max of version 2, cfs
quotas and memory.limit_in_bytes of version 1).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MIB = 1 << 20
_UNIFIED = ("", "unified")
"""Where version 2 is: alone, or beside version 1."""
_UNLIMITED = 1 << 60
"""Version 1 writes a number near 2^63 where nothing is limited."""

_ACCOUNTS = (
    ("", ("memory.max", "memory.high"), "memory.current", "inactive_file"),
    ("memory", ("memory.limit_in_bytes",), "memory.usage_in_bytes", "total_inactive_file"),
)
"""Controller, limits, what is taken, and what of it is pages of files nobody uses."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A number and what sets it: cores, or MB (2^20 bytes)."""

    value: float
    by: str


@dataclass(frozen=True, slots=True)
class Machine:
    """What this process may use. memory: None where the system does not say."""

    cores: Bound
    memory: Bound | None


def machine(root: Path = Path("/"), affinity: int | None = None) -> Machine:
    """Reads the files below `root`. affinity: processors this process may run on; None: asks the system."""
    here = Bound(float(affinity or _processors()), "the processors this process may run on")
    cores = min([here, *_quotas(root)], key=lambda bound: bound.value)
    memory = min([*_whole(root), *_limits(root)], key=lambda bound: bound.value, default=None)
    return Machine(cores, memory)


def memory_left(root: Path = Path("/")) -> float | None:
    """MB this process and those beside it may still take; None where the system does not say.

    What a control group keeps of files is given back when room is needed, as MemAvailable has it: it is free.
    """
    words = _text(root / "proc/meminfo").split()
    left = [int(words[words.index("MemAvailable:") + 1]) / 1024] if "MemAvailable:" in words else []
    for controller, limits, used, pages in _ACCOUNTS:
        for group in _groups(root, controller):
            taken = _text(group / used)
            limit = min((_number(group / name) for name in limits), default=_UNLIMITED)
            if taken.isdecimal() and limit < _UNLIMITED:
                left.append((limit - int(taken) + _files(group, pages)) / _MIB)
    return max(0.0, min(left)) if left else None


def _number(path: Path) -> int:
    text = _text(path)
    return int(text) if text.isdecimal() else _UNLIMITED


def _files(group: Path, name: str) -> int:
    words = _text(group / "memory.stat").split()
    return int(words[words.index(name) + 1]) if name in words else 0


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[Bound]:
    for group in _groups(root, ""):
        quota, _, period = _text(group / "cpu.max").partition(" ")
        if quota.isdecimal() and period.isdecimal() and int(period):
            yield Bound(int(quota) / int(period), "cpu.max of its control group")
    for group in _groups(root, "cpu"):
        # -1 is no quota, and no decimal number.
        quota, period = _text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")
        if quota.isdecimal() and period.isdecimal() and int(quota) and int(period):
            yield Bound(int(quota) / int(period), "the cfs quota of its control group")


def _limits(root: Path) -> Iterator[Bound]:
    for controller, limits, _, _ in _ACCOUNTS:
        for name in limits:
            for group in _groups(root, controller):
                limit = _number(group / name)
                if limit < _UNLIMITED:
                    yield Bound(limit / _MIB, f"{name} of its control group")


def _whole(root: Path) -> Iterator[Bound]:
    words = _text(root / "proc/meminfo").split()
    if "MemTotal:" in words:
        yield Bound(int(words[words.index("MemTotal:") + 1]) / 1024, "the memory of the machine")


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folder of this process's group and all above it. controller: of version 1; empty: version 2.

    A container may be shown its own group as the topmost one, under a path that is not there.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if controller not in names.split(","):
            continue
        below = Path(path.lstrip("/"))
        for mount in (names, controller) if controller else _UNIFIED:
            top = root / "sys/fs/cgroup" / mount
            yield from (top / part for part in (below, *below.parents) if ".." not in part.parts)


def _text(path: Path) -> str:
    """A small system file; empty where it is not there."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
