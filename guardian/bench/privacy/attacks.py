"""Who is it? Attacks that name the person in a small picture, and how often they are right.

Each attack learns from pictures of known people and answers for others. They are the linear and kernel
methods that do best on sets of a few hundred pictures: nearest neighbour, eigenfaces (Turk and Pentland,
1991), Fisherfaces (Belhumeur et al., 1997), ridge and Gaussian kernel ridge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
Who = npt.NDArray[np.intp]
Attack = Callable[[F32, Who, F32], Who]
"""Known pictures float32 (n, d), who they show (n,), unknown pictures (m, d) -> who those show (m,)."""

FOLDS = 5
_EIGENFACES = 60
_FISHER = 120
_Z95 = 1.96


@dataclass(frozen=True, slots=True)
class Rank1:
    """Share of the pictures named rightly, with the 95 % interval after Wilson, and by which attack."""

    rate: float
    low: float
    high: float
    attack: str

    @classmethod
    def of(cls, rate: float, pictures: int, attack: str) -> Rank1:
        """rate: over all `pictures`, which count once however often they were asked about."""
        z2 = _Z95**2 / pictures
        middle = (rate + z2 / 2) / (1 + z2)
        half = _Z95 / (1 + z2) * sqrt(rate * (1 - rate) / pictures + z2 / (4 * pictures))
        return cls(rate, max(middle - half, 0.0), min(middle + half, 1.0), attack)

    def as_dict(self) -> dict[str, float | str]:
        """For a row of figures."""
        return {
            "rate": round(self.rate, 4),
            "low": round(self.low, 4),
            "high": round(self.high, 4),
            "attack": self.attack,
        }


def folds(who: Who, seed: int) -> Iterator[tuple[Who, Who]]:
    """(known, unknown) indices: everybody's pictures dealt into FOLDS parts, each unknown once."""
    rng = np.random.default_rng(seed)
    part = np.empty(len(who), np.intp)
    for person in np.unique(who):
        mine = np.flatnonzero(who == person)
        part[rng.permutation(mine)] = np.arange(len(mine)) % FOLDS
    for fold in range(FOLDS):
        yield np.flatnonzero(part != fold), np.flatnonzero(part == fold)


def rate(attack: Attack, known: F32, unknown: F32, who: Who, seeds: int) -> float:
    """Share of right answers over all pictures and `seeds` deals.

    known, unknown: float32 (n, d), row i of both from the same picture of person who[i]; a picture is
    never asked about when the attack knows it in either form.
    """
    right = 0
    for seed in range(seeds):
        for train, test in folds(who, seed):
            right += int((attack(known[train], who[train], unknown[test]) == who[test]).sum())
    return right / (len(who) * seeds)


def best(attacks: Mapping[str, Attack], pairs: Mapping[str, tuple[F32, F32]], who: Who, seeds: int) -> Rank1:
    """The attack that is right most often, over all ways to look at the pictures (`pairs`, by name)."""
    found = [
        (rate(attack, known, unknown, who, seeds), f"{name} on {view}")
        for view, (known, unknown) in pairs.items()
        for name, attack in attacks.items()
    ]
    highest, name = max(found)
    return Rank1.of(highest, len(who), name)


def nearest(known: F32, who: Who, unknown: F32) -> Who:
    """Whose picture is the least squared distance away."""
    distance = (known**2).sum(1)[None, :] - 2 * unknown @ known.T
    return np.asarray(who[distance.argmin(axis=1)], np.intp)


def eigenfaces(known: F32, who: Who, unknown: F32) -> Who:
    """Nearest by angle in the whitened space of the largest principal components."""
    mean, axes, spread = _principal(known, _EIGENFACES)
    a, b = (_unit(_projected(pictures, mean, axes / spread)) for pictures in (known, unknown))
    return np.asarray(who[(b @ a.T).argmax(axis=1)], np.intp)


def fisher(known: F32, who: Who, unknown: F32) -> Who:
    """Nearest mean after whitening by what differs between pictures of one person."""
    mean, axes, spread = _principal(known, _FISHER)
    a, b = (_projected(pictures, mean, axes / spread) for pictures in (known, unknown))
    people = np.unique(who)
    means = np.stack([a[who == person].mean(axis=0) for person in people])
    own = a - means[np.searchsorted(people, who)]
    within = own.T @ own / len(a)
    within += np.eye(len(within), dtype=np.float32) * (0.1 * np.trace(within) / len(within) + 1e-9)
    whiten = np.linalg.cholesky(np.linalg.inv(within)).astype(np.float32)
    middle = means.mean(axis=0)
    return nearest(_projected(means, middle, whiten), people, _projected(b, middle, whiten))


def ridge(share: float) -> Attack:
    """One linear score per person; `share` is the penalty as a part of the mean energy."""

    def attack(known: F32, who: Who, unknown: F32) -> Who:
        mean = known.mean(axis=0)
        a, b = known - mean, unknown - mean
        return _scored(a @ a.T, b @ a.T, who, share)

    return attack


def kernel_ridge(known: F32, who: Who, unknown: F32) -> Who:
    """As ridge, with a Gaussian kernel as wide as pictures are apart."""
    apart = _apart(known, known)
    width = float(np.median(apart)) + 1e-9
    return _scored(np.exp(-2 * apart / width), np.exp(-2 * _apart(unknown, known) / width), who, 1e-2)


NAIVE: Mapping[str, Attack] = {"nearest": nearest, "eigenfaces": eigenfaces, "ridge": ridge(1e-2)}
PARROT: Mapping[str, Attack] = {"nearest": nearest, "eigenfaces": eigenfaces}
LEARNED: Mapping[str, Attack] = {
    "fisher": fisher,
    "ridge, strict": ridge(1e-1),
    "ridge": ridge(1e-3),
    "kernel ridge": kernel_ridge,
}


def _scored(among: F32, across: F32, who: Who, share: float) -> Who:
    people = np.unique(who)
    wanted = (who[:, None] == people[None, :]).astype(np.float64) - 1 / len(people)
    penalty = share * float(np.trace(among)) / len(who) + 1e-9
    weights = np.linalg.solve(among.astype(np.float64) + np.eye(len(who)) * penalty, wanted)
    return np.asarray(people[(across @ weights).argmax(axis=1)], np.intp)


def _principal(known: F32, most: int) -> tuple[F32, F32, F32]:
    """Mean (d,), axes (d, k) and spread (k,) of the largest components, by the small Gram matrix."""
    mean = known.mean(axis=0)
    centred = known - mean
    energy, vectors = np.linalg.eigh(centred @ centred.T)
    kept = np.flatnonzero(energy > max(float(energy[-1]) * 1e-7, 1e-12))[::-1][:most]
    if not len(kept):
        return mean, np.zeros((known.shape[1], 1), np.float32), np.ones(1, np.float32)
    spread = np.sqrt(energy[kept])
    axes = centred.T @ vectors[:, kept] / spread
    return mean, axes.astype(np.float32), (spread / sqrt(len(known))).astype(np.float32)


def _projected(pictures: F32, mean: F32, axes: F32) -> F32:
    return np.asarray((pictures - mean) @ axes, np.float32)


def _apart(a: F32, b: F32) -> F32:
    squares = (a**2).sum(1)[:, None] - 2 * a @ b.T + (b**2).sum(1)[None, :]
    return np.asarray(np.maximum(squares, 0), np.float32)


def _unit(vectors: F32) -> F32:
    return np.asarray(vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9), np.float32)
