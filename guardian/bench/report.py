"""What every benchmark writes: `{"machine", "versions", "results": [...]}`."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from guardian import __version__
from guardian.core.errors import MediaError

PACKAGES = (
    "aiortc",
    "av",
    "numpy",
    "opencv-python-headless",
    "onnxruntime",
    "ai-edge-litert",
    "mediapipe",
    "pocketsphinx",
    "vosk",
)


def machine() -> dict[str, Any]:
    """What the figures were measured on; nothing that names the host."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def busy() -> str | None:
    """A sentence when others keep this machine busy; to be asked before measuring."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    cores = os.cpu_count() or 1
    if load < cores:
        return None
    return (
        f"The machine was busy with other work (load {load:.1f} on {cores} cores): the figures are too high."
    )


def versions() -> dict[str, str]:
    """Versions of Guardian, Python and the libraries that do the work."""
    found = {"guardian": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def write(path: Path, results: Sequence[Mapping[str, Any]]) -> None:
    """Writes the results whole or not at all. MediaError."""
    body = {"machine": machine(), "versions": versions(), "results": list(results)}
    if path.exists() and not path.is_file():
        raise MediaError(f"{path} is not a file; name a file to write.")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise MediaError(f"{path} cannot be written ({(error.strerror or 'failed').lower()}).") from error


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
