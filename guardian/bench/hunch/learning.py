"""From what was said to weights: pieces that tell most are kept, and weighed once more for each category."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from guardian.bench.hunch.logistic import F64, Table, Task, fit, fit_kinds
from guardian.bench.hunch.said import Said, garbled
from guardian.core.hunch import FEW, Weights, WordClasses, pieces_of

SEED = 27
_EASE = 4.0
_EASE_OF_KINDS = 8.0
_LEAST_PHRASES = 2
"""Phrases a piece must be in."""


@dataclass(frozen=True, slots=True)
class Effort:
    """pieces: how many are kept. copies: garbled ones of each phrase; together they count `copy_share` of
    it."""

    pieces: int = 15_000
    copies: int = 1
    copy_share: float = 0.25


@dataclass(frozen=True, slots=True)
class Row:
    """What was said, and the names of its pieces."""

    said: Said
    names: tuple[str, ...]


def rows_of(said: Iterable[Said], classes: WordClasses) -> list[Row]:
    """The pieces of each."""
    known: dict[str, str] = {}
    return [
        Row(
            one,
            tuple(
                known.setdefault(piece.name, piece.name) for piece in pieces_of(one.units, one.runs, classes)
            ),
        )
        for one in said
    ]


def copies(said: Sequence[Said], effort: Effort) -> list[Said]:
    """Garbled copies, the same every time."""
    chance = random.Random(SEED)
    share = effort.copy_share / max(1, effort.copies)
    return [
        replace(garbled(one, chance), share=one.share * share) for one in said for _ in range(effort.copies)
    ]


def learned(
    rows: Sequence[Row], categories: Sequence[str], classes: Mapping[str, str], effort: Effort
) -> Weights:
    """Weights without limits yet (0)."""
    in_phrases = Counter(name for row in rows if not row.said.bare for name in set(row.names))
    vocabulary = sorted(name for name, count in in_phrases.items() if count >= _LEAST_PHRASES)
    attempts = np.array([float(row.said.violation) for row in rows])
    weights, _ = fit(_task(rows, vocabulary, attempts, _EASE))
    tells = np.abs(weights) * np.sqrt([in_phrases[name] for name in vocabulary])
    best = np.argsort(-tells, kind="stable")[: effort.pieces]
    kept = sorted(vocabulary[number] for number in best)
    kinds = [1 + categories.index(row.said.category) if row.said.violation else 0 for row in rows]
    found, bias = fit_kinds(_task(rows, kept, np.eye(1 + len(categories))[kinds], _EASE_OF_KINDS))
    nothing = {"zh": 0.0, "en": 0.0}
    pieces = {name: _rounded(said) for name, said in zip(kept, found, strict=True)}
    return Weights(tuple(categories), _rounded(bias), nothing, nothing, pieces, dict(classes))


def _rounded(numbers: F64) -> tuple[float, ...]:
    return tuple(round(float(number), 1) + 0.0 for number in numbers)


def _task(rows: Sequence[Row], vocabulary: Sequence[str], wanted: F64, ease: float) -> Task:
    shares = np.array([row.said.share for row in rows])
    return Task(_table(rows, vocabulary), wanted, shares, ease)


def _table(rows: Sequence[Row], vocabulary: Sequence[str]) -> Table:
    column = {name: number for number, name in enumerate(vocabulary)}
    at: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    for number, row in enumerate(rows):
        share = 1.0 / sqrt(max(FEW, len(row.said.units)))
        for name, count in Counter(name for name in row.names if name in column).items():
            at.append(number)
            columns.append(column[name])
            values.append(count * share)
    return Table(
        np.array(at, np.int64), np.array(columns, np.int64), np.array(values), len(rows), len(vocabulary)
    )
