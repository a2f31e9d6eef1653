"""How long a frame takes in the live chain, beside what others need for the same pictures."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from guardian.bench.peers import PlainMediaPipe, deface_ms
from guardian.bench.scene import scene
from guardian.core.config import VisionConfig
from guardian.core.frames import Mode, Planes, RawFrame
from guardian.eyes import open_eyes
from guardian.models import ModelStore

SIZES = ((640, 480), (1280, 720))
DISTINCT = 60
DEFACE_PICTURES = 12
PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Amount:
    """How much to measure: frames per size; the peers get every `peer_every`th."""

    frames: int
    peer_every: int


SHORT, FULL = Amount(240, 4), Amount(1800, 4)


def measure(amount: Amount, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """One row per size; `tell` gets a sentence for whatever could not be measured."""
    store = ModelStore.default()
    with _one_core():
        return [_row(store, size, amount, tell) for size in SIZES]


@contextmanager
def _one_core() -> Iterator[None]:
    """Everything measured on one core: the peers would start threads of their own otherwise."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _row(
    store: ModelStore, size: tuple[int, int], amount: Amount, tell: Callable[[str], None]
) -> dict[str, Any]:
    pictures = scene(size, DISTINCT)
    protect, stages, plain = _side_by_side(store, pictures, amount)
    deface, sentence = deface_ms(pictures[:DEFACE_PICTURES])
    tell(sentence)
    if not plain:
        tell("Plain MediaPipe was not measured: the short-range face weights are not here.")
    median = float(np.median(protect))
    plain_ms = float(np.median(plain)) if plain else None
    return {
        "size": f"{size[0]}x{size[1]}",
        "protect_ms": _quantiles(protect),
        "stages_ms": {name: _quantiles(times) for name, times in stages.items()},
        "deface_ms": _rounded(deface),
        "plain_mediapipe_ms": _rounded(plain_ms),
        "ratio_deface": _rounded(deface / median if deface is not None else None),
        "ratio_plain": _rounded(plain_ms / median if plain_ms is not None else None),
    }


def _side_by_side(
    store: ModelStore, pictures: list[Planes], amount: Amount
) -> tuple[list[float], dict[str, list[float]], list[float]]:
    """Milliseconds of Guardian, of its stages and of plain MediaPipe, taken in turns."""
    config = replace(VisionConfig(), late_s=PATIENCE_S)
    chain = open_eyes(store, config, Mode.SELFIE)
    protect: list[float] = []
    stages: dict[str, list[float]] = {}
    plain: list[float] = []
    with closing(PlainMediaPipe(store)) as peer:
        for i in range(-config.warm_frames, amount.frames):
            planes = pictures[i % len(pictures)]
            began = time.perf_counter()
            _, notes = chain.protect(RawFrame(planes, i / 30, began))
            took = (time.perf_counter() - began) * 1000
            if i < 0:
                continue
            protect.append(took)
            for name, ms in notes.stages_ms.items():
                stages.setdefault(name, []).append(ms)
            if peer.usable and i % amount.peer_every == 0:
                began = time.perf_counter()
                peer.protect(planes)
                plain.append((time.perf_counter() - began) * 1000)
    return protect, stages, plain


def _quantiles(times: list[float]) -> dict[str, float]:
    p50, p95, p99 = (round(float(np.percentile(times, share)), 2) for share in (50, 95, 99))
    return {"p50": p50, "p95": p95, "p99": p99, "max": round(max(times), 2)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
