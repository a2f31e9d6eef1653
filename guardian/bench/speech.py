"""How much does each engine of speech cost on one leg, and how late is what it hears told?

Every engine has a process of its own, so that its memory is its own, and hears the same clips through the
live hearing chain, voice activity and rules included, as fast as it can on one thread.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from guardian.bench.one_engine import Clip, Job
from guardian.demo.show import shared_media
from guardian.demo.voices import RATE, english_lines, read_sound
from guardian.resources import resource

PLAN = (
    ("syllables-zh", "zh"),
    ("vosk-zh", "zh"),
    ("words-en", "en"),
    ("vosk-en", "en"),
    ("pocketsphinx", "en"),
)
"""What is measured: engines with their language."""
ENGINE_S = 100.0
"""Longest time one engine may take."""
_LOUD = 300
"""Samples (int16) above this are sound."""


@dataclass(frozen=True, slots=True)
class Amount:
    """Clips for each language, and seconds for each engine; when these are over it hears no more clips."""

    clips: int
    seconds: float


SHORT, FULL = Amount(24, 12.0), Amount(1000, 80.0)


def measure(amount: Amount, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """One row per engine; `tell` gets a sentence for whatever could not be measured. latency_s: 95 of 100
    attempts are told earlier after their end than this (`t_emitted` of `listen`)."""
    found = clips(shared_media(), amount.clips, tell)
    return [
        _row(Job(engine, language, amount.seconds, tuple(found[language])), tell) for engine, language in PLAN
    ]


def clips(media: Path | None, most: int, tell: Callable[[str], None]) -> dict[str, list[Clip]]:
    """Clips by language: of the shared media, else the one that comes with Guardian."""
    found: dict[str, list[Clip]] = {"zh": [], "en": []}
    for language in found:
        if media is not None:
            found[language] = _phrases(media / "speech" / language / "phrases", most)
    if not found["en"]:
        tell("English was measured with one synthetic clip; name recordings with GUARDIAN_SHARED.")
        found["en"] = _own_english()
    if not found["zh"]:
        tell("There is no Mandarin sound here: name the folder of recordings with GUARDIAN_SHARED.")
    return found


def _phrases(folder: Path, most: int) -> list[Clip]:
    table = folder / "phrases.tsv"
    if not table.is_file():
        return []
    with table.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream, delimiter="\t") if row["expected"] == "violation"]
    step = max(1, len(rows) // most)
    return [Clip(str(folder / row["file"]), float(row["t_end"])) for row in rows[::step][:most]]


def _own_english() -> list[Clip]:
    name = next(line.name for line in english_lines() if line.solicits)
    path = resource("guardian", "demo", "clips", f"{name}.ogg")
    loud = np.flatnonzero(np.abs(read_sound(path).astype(np.int32)) > _LOUD)
    return [Clip(str(path), float(loud[-1]) / RATE)] if len(loud) else []


def _row(job: Job, tell: Callable[[str], None]) -> dict[str, Any]:
    row: dict[str, Any] = {"engine": job.engine, "language": job.language}
    found, why = in_its_process(job) if job.clips else ({}, "")
    if why:
        tell(f"{job.engine} was not measured: {why}")
    late: Sequence[float] = found.get("latency_s", ())
    if found and not late:
        tell(f"{job.engine} raised none of its {found['clips']} attempts, so it has no latency.")
    return row | {
        "rtf": found.get("rtf"),
        "latency_s": round(float(np.percentile(late, 95)), 3) if late else None,
        "rss_mb": found.get("rss_mb"),
        "clips": found.get("clips", 0),
        "detected": len(late),
    }


def in_its_process(job: Job) -> tuple[dict[str, Any], str]:
    """What `guardian.bench.one_engine` found, or a sentence on why it found nothing."""
    command = [sys.executable, "-m", "guardian.bench.one_engine"]
    asked = json.dumps(asdict(job)).encode()
    try:
        done = subprocess.run(command, input=asked, capture_output=True, timeout=ENGINE_S, check=False)
    except subprocess.TimeoutExpired:
        return {}, f"it took more than {ENGINE_S:.0f} s."
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return {}, said[-1] if said else "its process ended."
    found: dict[str, Any] = json.loads(done.stdout)
    return found, ""
