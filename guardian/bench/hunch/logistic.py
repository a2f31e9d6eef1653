"""Logistic regression on rows of named pieces: sparse, deterministic, with numpy alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
_Loss = Callable[[F64], tuple[float, F64]]

STEPS = 80
"""Steps of the optimiser, at most."""
_REMEMBERED = 8
_GOOD_ENOUGH = 1e-5


@dataclass(frozen=True, slots=True)
class Table:
    """How often columns are in rows, as shares of their length. rows, columns: of each value there is."""

    rows: I64
    columns: I64
    values: F64
    height: int
    width: int

    def times(self, weights: F64) -> F64:
        """The sum of each row; of weights (width, kinds) for each kind."""
        return self._summed(self.rows, weights, self.columns, self.height)

    def back(self, rows: F64) -> F64:
        """The sum of each column of the rows times these, of (height, kinds) for each kind."""
        return self._summed(self.columns, rows, self.rows, self.width)

    def _summed(self, into: I64, numbers: F64, of: I64, size: int) -> F64:
        if numbers.ndim == 1:
            return np.bincount(into, self.values * numbers[of], size).astype(np.float64)
        return np.stack([self._summed(into, one, of, size) for one in numbers.T.copy()], axis=1)


@dataclass(frozen=True, slots=True)
class Task:
    """wanted: 1.0 for rows to be found, else 0.0; of kinds, as `fit_kinds` says. shares: what each row
    counts. ease: how freely weights
    grow."""

    table: Table
    wanted: F64
    shares: F64
    ease: float = 1.0


def fit(task: Task) -> tuple[F64, float]:
    """Weights of the columns, and the bias, with the weights held small by their squares."""
    table, signs = task.table, 2.0 * task.wanted - 1.0

    def loss(point: F64) -> tuple[float, F64]:
        weights, margins = point[1:], signs * (table.times(point[1:]) + point[0])
        pulls = -task.shares * signs / (1.0 + np.exp(np.minimum(margins, 500.0)))
        total = task.ease * float(task.shares @ np.logaddexp(0.0, -margins)) + 0.5 * float(weights @ weights)
        return total, np.concatenate(([task.ease * pulls.sum()], task.ease * table.back(pulls) + weights))

    found = lowest(loss, np.zeros(table.width + 1))
    return found[1:], float(found[0])


def fit_kinds(task: Task) -> tuple[F64, F64]:
    """Weights of the columns for each kind against the first, (width, kinds - 1), and their biases.

    wanted: 1.0 for the kind of each row, (rows, kinds); the first is that of rows that are not to be found.
    """
    table, kinds = task.table, task.wanted.shape[1]

    def loss(point: F64) -> tuple[float, F64]:
        weights = point.reshape(table.width + 1, kinds)
        sums = table.times(weights[1:]) + weights[0]
        sums -= sums.max(axis=1, keepdims=True)
        likely = np.exp(sums)
        likely /= likely.sum(axis=1, keepdims=True)
        missed = -float(task.shares @ np.log((likely * task.wanted).sum(axis=1) + 1e-12))
        off = (likely - task.wanted) * task.shares[:, None]
        slopes = task.ease * np.vstack([off.sum(axis=0)[None], table.back(off)])
        slopes[1:] += weights[1:]
        return task.ease * missed + 0.5 * float((weights[1:] ** 2).sum()), slopes.ravel()

    found = lowest(loss, np.zeros((table.width + 1) * kinds)).reshape(table.width + 1, kinds)
    against = found[:, 1:] - found[:, :1]
    return against[1:], against[0]


def lowest(loss: _Loss, point: F64) -> F64:
    """Where a smooth loss is least, by limited-memory BFGS (Nocedal 1980) with steps cut in half."""
    value, slope = loss(point)
    moves: list[tuple[F64, F64]] = []
    for _ in range(STEPS):
        direction = -_scaled(slope, moves)
        expected, length = float(slope @ direction), 1.0
        while True:
            there = point + length * direction
            new_value, new_slope = loss(there)
            if new_value <= value + 1e-4 * length * expected or length < 1e-9:
                break
            length /= 2
        if float((there - point) @ (new_slope - slope)) > 1e-12:
            moves = [*moves, (there - point, new_slope - slope)][-_REMEMBERED:]
        gained = value - new_value
        point, value, slope = there, new_value, new_slope
        if gained < _GOOD_ENOUGH * max(1.0, abs(value)):
            break
    return point


def _scaled(slope: F64, moves: Sequence[tuple[F64, F64]]) -> F64:
    """The slope times an estimate of the inverse curvature."""
    if not moves:
        return slope / max(1.0, float(np.linalg.norm(slope)))
    scaled, shares = slope.copy(), []
    for step, change in reversed(moves):
        shares.append(float(step @ scaled) / float(change @ step))
        scaled -= shares[-1] * change
    step, change = moves[-1]
    scaled *= float(step @ change) / float(change @ change)
    for (step, change), share in zip(moves, reversed(shares), strict=True):
        scaled += step * (share - float(change @ scaled) / float(change @ step))
    return scaled
