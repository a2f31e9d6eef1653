"""The process in which one engine of speech is measured; see `guardian.bench.speech`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from guardian.core.errors import GuardianError
from guardian.core.frames import SPEECH_RATE, AudioChunk
from guardian.core.violations import Role, Status
from guardian.ears import open_ears
from guardian.models import ModelStore
from guardian.settings import load
from guardian.speech.audio import CHUNK, chunks_of
from guardian.speech.chain import HearingChain

AFTER_S = 2.0
"""Silence after a clip, as on a line that stays open."""
APART_S = 60.0
"""Media time between clips: attempts of two of them are never one."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A sound file in which an attempt is said that ends at `t_end` (seconds)."""

    path: str
    t_end: float


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked for: an engine, its language, clips, and seconds after which it hears no more of them.

    engine: `auto` takes the first engine of each language. language: several are joined by `+`.
    """

    engine: str
    language: str
    seconds: float
    clips: tuple[Clip, ...]


def measured(job: Job) -> dict[str, Any]:
    """`rtf`: processor time for a second of sound; `latency_s`: from the end of each clip's attempt until
    it was told; `rss_mb`, `pss_mb`: of this process and Vosk's; `clips`: how many were heard. GuardianError.
    """
    config = replace(load().speech_config(), engine=job.engine)
    if job.engine == "auto":
        config = replace(config, second_opinion="off")  # Vosk is measured by itself.
    chain = open_ears(ModelStore.default(), config, tuple(job.language.split("+")), Role.MERCHANT)
    late: list[float] = []
    sound_s = at = 0.0
    heard = 0
    began, before_s = time.monotonic(), _processor_s()
    for clip in job.clips:
        if time.monotonic() - began > job.seconds:
            break
        seconds, told = _heard(chain, clip, at)
        at += seconds + APART_S
        sound_s += seconds
        heard += 1
        late += told[:1]
    rss = sum(process.memory_info().rss for process in _processes())
    return {
        "rtf": round((_processor_s() - before_s) / sound_s, 4),
        "latency_s": late,
        "rss_mb": round(rss / 2**20, 1),
        "pss_mb": _pss_mb(),
        "clips": heard,
    }


def _processes() -> list[psutil.Process]:
    here = psutil.Process()
    return [here, *here.children(recursive=True)]


def _pss_mb() -> float | None:
    """Memory with what is shared counted in parts; None where the system does not tell."""
    found = [getattr(process.memory_full_info(), "pss", None) for process in _processes()]
    known = [one for one in found if one is not None]
    return round(sum(known) / 2**20, 1) if known else None


def _processor_s() -> float:
    times = [process.cpu_times() for process in _processes()]
    return float(sum(one.user + one.system for one in times))


def _heard(chain: HearingChain, clip: Clip, at: float) -> tuple[float, list[float]]:
    """Seconds of sound, and how late each attempt was told."""
    told: list[float] = []
    seconds = 0.0
    for chunk in _with_silence(clip, at):
        notes = chain.hear(chunk)
        seconds += chunk.seconds
        told += [
            change.t_emitted - at - clip.t_end for change in notes.changes if change.status is Status.DETECTED
        ]
    return seconds, told


def _with_silence(clip: Clip, at: float) -> Iterator[AudioChunk]:
    end = at
    for chunk in chunks_of(Path(clip.path)):
        yield AudioChunk(chunk.samples, at + chunk.t)
        end = at + chunk.t + chunk.seconds
    for i in range(int(AFTER_S * SPEECH_RATE / CHUNK)):
        yield AudioChunk(np.zeros(CHUNK, np.int16), end + i * CHUNK / SPEECH_RATE)


def main() -> int:
    """A job as JSON on standard input, its figures as JSON on standard output."""
    asked = json.load(sys.stdin)
    job = Job(**{**asked, "clips": tuple(Clip(**clip) for clip in asked["clips"])})
    try:
        found = measured(job)
    except GuardianError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
