"""What a call was measured to cost on this machine: `capacity.json` in the data folder.

    {"machine": "epyc-2core", "measured_at": "2026-11-23T09:00:00.000Z",
     "cost": {"640x480": {"cores": 0.58, "mb": 350}, "1280x720": {"cores": 0.99, "mb": 360}}}

`guardian bench call --save` writes it, `guardian serve` and `guardian doctor` read it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guardian.core.capacity import Load, Size
from guardian.core.errors import ConfigError

NAME = "capacity.json"
SHIPPED: Mapping[Size, Load] = {(640, 480): Load(0.58, 350.0), (1280, 720): Load(0.99, 350.0)}
"""Of a whole call at 30 pictures a second, where no measurement of this machine is: cores on `epyc-2core`
(benchmarks/README.md, `cost.py`), memory of `guardian bench call` at 640x480 on `xeon-2core`."""
_SIZE = re.compile(r"([1-9]\d{1,4})x([1-9]\d{1,4})")


@dataclass(frozen=True, slots=True)
class Measured:
    """Costs of one call by size, of which machine, and when (UTC RFC 3339)."""

    cost: Mapping[Size, Load]
    machine: str
    measured_at: str


def read_costs(folder: Path) -> Measured | None:
    """What was measured here; None when nothing was. ConfigError when the file cannot be used."""
    path = folder / NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path) from error
    try:
        value = json.loads(text)
        cost = {size_of(size): _load(one) for size, one in value["cost"].items()}
        found = Measured(cost, str(value["machine"]), str(value["measured_at"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unusable(path) from error
    if not cost:
        raise _unusable(path)
    return found


def write_costs(folder: Path, found: Measured) -> Path:
    """Writes it whole or not at all; returns where. OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / NAME
    beside = path.with_suffix(".partial")
    value = {
        "machine": found.machine,
        "measured_at": found.measured_at,
        "cost": {f"{w}x{h}": {"cores": c.cores, "mb": c.mb} for (w, h), c in sorted(found.cost.items())},
    }
    beside.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    os.replace(beside, path)
    return path


def size_of(text: str) -> Size:
    """`640x480` as numbers. ValueError."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError("a size is WIDTHxHEIGHT")
    return int(found[1]), int(found[2])


def _load(one: Mapping[str, Any]) -> Load:
    cores, mb = float(one["cores"]), float(one["mb"])
    if not (0 < cores <= 1024 and 0 < mb <= 1 << 20):
        raise ValueError("a call costs something, and not everything")
    return Load(cores, mb)


def _unusable(path: Path) -> ConfigError:
    return ConfigError(
        f"The file {path} holds no costs of calls; make it anew with `guardian bench call --save`."
    )
