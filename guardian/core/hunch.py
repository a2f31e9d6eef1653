"""What sounds like an attempt though no rule has its words: weights of small pieces of what was said.

Pieces are sounds and words, two of them in a row or a little apart, and the same with words put into
classes (`@chat @pay`, whatever app and however paid). Each has a weight for or against an attempt of each
category, learned by logistic regression from written phrases (`benchmarks/hunch.py`); the greatest of the
sums over a stretch of talk, as a part of its length, is compared with a limit. So it can be told which pieces
weighed most, and what is found goes the way of rules: as concepts `?contact_exchange` ... and, where it is
surely none, `?innocent`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import exp
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from guardian.core.digits import Run
from guardian.core.phrases import Occurrence
from guardian.core.units import Unit, syllable_key

F64 = NDArray[np.float64]

FELT = "?"
"""What concepts begin with that are felt, not found by their words."""
INNOCENT = "?innocent"
LONGEST = 36
"""Units of the longest stretch that is looked at as one."""
BLOCK = 12
"""Units after which a clause that goes on is parted, so that stretches may begin and end there."""
SHORTEST = 8
"""Units of the shortest stretch, where there are so many: of few words, any two weigh too much."""
FEW = 4
"""Units below which a stretch is weighed as if it had so many."""
STEEP = 2.0
"""How fast a stretch becomes likely as its sum passes the limit."""
LEAST = 0.3
"""How likely a stretch has to be, to be told of: hints beside it may make it an attempt."""
DOUBT = 4.0
"""How much less a stretch must come to, to be surely innocent, where a recogniser has no confidence at all:
what is heard badly weighs little."""
TOLD = 3
"""Pieces that are named as reasons."""
APART = 4
"""Positions of the second of two sounds that stand apart, at most."""
CLASSES_APART = 4
"""The same for classes, counted in classes."""
_REACH = 8
"""Symbols between two classes that stand apart, at most."""
_BREAK = "|"
_NUMBER = "@#"


@dataclass(frozen=True, slots=True)
class Weights:
    """What was learned. May be shared by threads.

    categories: what attempts are told apart by. bias, pieces: what speaks for each of them, against nothing
    being tried, before anything is said and by each piece. limits: sum from which on a stretch is likely an
    attempt, by language (`zh`, `en`); sure: sum below which it surely is none. classes: name of the class of
    a word by its sounds (`wei1 xin4`, `'pay 'pal`).
    """

    categories: tuple[str, ...]
    bias: tuple[float, ...]
    limits: Mapping[str, float]
    sure: Mapping[str, float]
    pieces: Mapping[str, tuple[float, ...]]
    classes: Mapping[str, str]


class Piece(NamedTuple):
    """A feature of units[start:end]; ` _ ` in its name stands for what is between two sounds or classes. A
    tuple, as a dozen are made of every unit."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Blocks that are weighed together: units[start:end]. value: the greatest sum, as a part of their length;
    kind: the number of its category."""

    start: int
    end: int
    value: float
    kind: int


class _Symbol(NamedTuple):
    name: str
    start: int
    end: int
    toned: str = ""
    """With its tone, where it is a syllable."""


class WordClasses:
    """Finds words of classes in units, the longest first."""

    def __init__(self, classes: Mapping[str, str]) -> None:
        """classes: as in `Weights`. Of several syllables, or in letters, words are also found by their sound
        class, where all that sound so are of one class."""
        self._exact = dict(classes)
        alike: dict[str, set[str]] = defaultdict(set)
        for sounds, name in classes.items():
            split = sounds.split(" ")
            if len(split) > 1:
                alike[" ".join(_key(sound) for sound in split)].add(name)
        self._alike = {keys: names.pop() for keys, names in alike.items() if len(names) == 1}
        self._longest: dict[str, int] = {}
        for listed in (self._exact, self._alike):
            for sounds in listed:
                first, count = sounds.partition(" ")[0], sounds.count(" ") + 1
                self._longest[first] = max(count, self._longest.get(first, 0))

    def at(self, units: Sequence[Unit], toned: Sequence[str], at: int) -> tuple[str, int]:
        """(class, units) of the word that begins at units[at]; `("", 0)` when there is none."""
        key = units[at].key
        most = max(self._longest.get(toned[at], 0), self._longest.get(key, 0))
        for count in range(min(most, len(units) - at), 0, -1):
            end = at + count
            if units[end - 1].clause != units[at].clause:
                continue
            found = self._exact.get(" ".join(toned[at:end]))
            if found is None and count > 1:
                found = self._alike.get(" ".join(unit.key for unit in units[at:end]))
            if found is not None:
                return found, count
        return "", 0


def _key(sound: str) -> str:
    return sound if sound.startswith("'") else syllable_key(sound.rstrip("012345"))


def pieces_of(units: Sequence[Unit], runs: Sequence[Run], classes: WordClasses) -> Iterator[Piece]:
    """Every piece of what was said. runs: numbers said in it, each of which is one symbol of its kind."""
    numbers = {run.start: run for run in runs}
    toned = [unit.key if unit.is_word else f"{unit.base}{unit.tone}" for unit in units]

    def sound(at: int) -> _Symbol:
        return _Symbol(_plain(units[at]), at, at + 1, "" if units[at].is_word else toned[at])

    def classed(at: int) -> _Symbol:
        """Words of classes are one symbol, `@chat`."""
        name, count = classes.at(units, toned, at)
        return _Symbol(f"@{name}", at, at + count) if count else _Symbol(_plain(units[at]), at, at + 1)

    sounds = list(_symbols(units, numbers, sound))
    for at, first in enumerate(sounds):
        if first.name == _BREAK:
            continue
        yield Piece(first.name, first.start, first.end)
        if first.toned:
            yield Piece(first.toned, first.start, first.end)
        for apart, second in enumerate(sounds[at + 1 : at + 1 + APART], 1):
            if apart == 1:
                yield Piece(f"{first.name} {second.name}", first.start, second.end)
                if first.toned or second.toned:
                    said = f"{first.toned or first.name} {second.toned or second.name}"
                    yield Piece(said, first.start, second.end)
            elif second.name != _BREAK:
                yield Piece(f"{first.name} _ {second.name}", first.start, second.end)
    yield from _class_pieces(list(_symbols(units, numbers, classed)))


def _symbols(
    units: Sequence[Unit], numbers: Mapping[int, Run], said: Callable[[int], _Symbol]
) -> Iterator[_Symbol]:
    """What was said, a number and a new clause as one symbol each. said: the symbol of what begins at a
    unit."""
    at = 0
    while at < len(units):
        if at and units[at].clause != units[at - 1].clause:
            yield _Symbol(_BREAK, at, at)
        run = numbers.get(at)
        symbol = said(at) if run is None else _Symbol(_kind(run), at, run.end)
        yield symbol
        at = symbol.end


def _plain(unit: Unit) -> str:
    return "'#" if unit.is_word and unit.base.isdigit() else unit.key


def _kind(run: Run) -> str:
    kinds = run.kinds()
    return f"{_NUMBER}{kinds[0] if kinds else 'few'}"


def _class_pieces(symbols: Sequence[_Symbol]) -> Iterator[Piece]:
    """What has a class in it. `+` joins two symbols in a row, as a blank does two sounds."""
    for first, second in pairwise(symbols):
        if _BREAK not in (first.name, second.name) and "@" in first.name + second.name:
            yield Piece(f"{first.name}+{second.name}", first.start, second.end)
    classes = [(at, symbol) for at, symbol in enumerate(symbols) if symbol.name.startswith("@")]
    for number, (at, first) in enumerate(classes):
        if not first.name.startswith(_NUMBER):
            yield Piece(first.name, first.start, first.end)
        for place, second in classes[number + 1 : number + 1 + CLASSES_APART]:
            if 1 < place - at <= _REACH:
                yield Piece(f"{first.name} _ {second.name}", first.start, second.end)


def sums(units: Sequence[Unit], pieces: Sequence[Piece], weights: F64) -> tuple[list[tuple[int, int]], F64]:
    """All runs of blocks (clauses, or parts of long ones) of `SHORTEST` to `LONGEST` units as (start, end),
    and the sums of the pieces inside each, (runs, categories). weights: (pieces, categories)."""
    bounds = _bounds(units)
    inside = _between_blocks(bounds, pieces, weights)
    places: list[tuple[int, int]] = []
    found: list[F64] = []
    open_sums: list[F64] = []
    """Of the runs that begin at each block and end here."""
    for last, (_, end) in enumerate(bounds):
        ending = np.zeros(weights.shape[1])
        open_sums.append(ending)
        for first in range(last, -1, -1):
            size = end - bounds[first][0]
            if size > LONGEST:
                break
            if last - first < inside.shape[1]:
                ending = ending + inside[first, last - first]
            open_sums[first] = open_sums[first] + ending
            if size >= min(SHORTEST, len(units)):
                places.append((bounds[first][0], end))
                found.append(open_sums[first])
    return places, np.array(found).reshape(len(places), weights.shape[1])


def _between_blocks(bounds: Sequence[tuple[int, int]], pieces: Sequence[Piece], weights: F64) -> F64:
    """The sums of pieces by the block they begin in and how many blocks later they end."""
    block_of = [number for number, (start, end) in enumerate(bounds) for _ in range(start, end)]
    block_of.append(len(bounds) - 1)
    first = [block_of[piece.start] for piece in pieces]
    later = [block_of[max(piece.start, piece.end - 1)] - block_of[piece.start] for piece in pieces]
    found = np.zeros((len(bounds), max(later, default=0) + 1, weights.shape[1]))
    np.add.at(found, (first, later), weights)
    return found


def _bounds(units: Sequence[Unit]) -> list[tuple[int, int]]:
    starts = [0]
    for at in range(1, len(units)):
        if units[at].clause != units[at - 1].clause or at - starts[-1] >= BLOCK:
            starts.append(at)
    return list(zip(starts, [*starts[1:], len(units)], strict=True))


class Hunch:
    """Weighs what is said. May be shared by threads; one pass costs the same whatever the rules hold."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._classes = WordClasses(weights.classes)
        self._rows = {name: row for row, name in enumerate(weights.pieces)}
        self._table = np.array(list(weights.pieces.values()), np.float64).reshape(-1, len(weights.categories))
        self._bias = np.array(weights.bias)

    def feel(self, units: Sequence[Unit], runs: Sequence[Run]) -> list[Occurrence]:
        """Attempts as `?CATEGORY`, the likeliest first, none of them over another, with its reasons as
        text and 1 - its likelihood as cost; and `?innocent` wherever no stretch is anywhere near one."""
        if not units:
            return []
        pieces, weights = self._weighed(units, runs)
        found = self._stretches(units, pieces, weights)
        return [*self._attempts(units, pieces, weights, found), *self._innocent(units, found)]

    def greatest(self, units: Sequence[Unit], runs: Sequence[Run]) -> float:
        """The greatest value of a stretch."""
        found = self._stretches(units, *self._weighed(units, runs)) if units else []
        return max((one.value for one in found), default=float(self._bias.max()))

    def _weighed(self, units: Sequence[Unit], runs: Sequence[Run]) -> tuple[list[Piece], F64]:
        """The pieces that have weights, and those."""
        pieces = [piece for piece in pieces_of(units, runs, self._classes) if piece.name in self._rows]
        return pieces, self._table[[self._rows[piece.name] for piece in pieces]]

    def _stretches(self, units: Sequence[Unit], pieces: Sequence[Piece], weights: F64) -> list[Stretch]:
        places, found = sums(units, pieces, weights)
        sizes = np.array([max(FEW, end - start) for start, end in places], np.float64)
        values = found / np.sqrt(sizes)[:, None] + self._bias
        return [
            Stretch(start, end, value, kind)
            for (start, end), value, kind in zip(
                places, values.max(axis=1).tolist(), values.argmax(axis=1).tolist(), strict=True
            )
        ]

    def _above(self, stretch: Stretch, units: Sequence[Unit]) -> float:
        """By how much a stretch is over the limit of its language."""
        return stretch.value - self._weights.limits[language_of(units[stretch.start : stretch.end])]

    def _sure(self, units: Sequence[Unit]) -> float:
        """Below which sum these units are surely innocent."""
        doubt = 1.0 - sum(unit.confidence for unit in units) / len(units)
        return self._weights.sure[language_of(units)] - DOUBT * doubt

    def _attempts(
        self, units: Sequence[Unit], pieces: Sequence[Piece], weights: F64, found: Sequence[Stretch]
    ) -> Iterator[Occurrence]:
        taken: list[Stretch] = []
        above = [(self._above(stretch, units), stretch) for stretch in found]
        for over, stretch in sorted(above, key=lambda one: (-one[0], one[1].start)):
            likely = 1.0 / (1.0 + exp(-min(STEEP * over, 50.0))) if over > -10.0 else 0.0
            if likely < LEAST:
                return
            if all(stretch.end <= other.start or stretch.start >= other.end for other in taken):
                taken.append(stretch)
                inside = [
                    (piece, weight)
                    for piece, weight in zip(pieces, weights[:, stretch.kind].tolist(), strict=True)
                    if stretch.start <= piece.start and piece.end <= stretch.end
                ]
                yield self._attempt(units, inside, stretch.kind, likely)

    def _attempt(
        self, units: Sequence[Unit], inside: Sequence[tuple[Piece, float]], kind: int, likely: float
    ) -> Occurrence:
        """inside: the pieces, and how each speaks for this kind."""
        strongest = sorted(inside, key=lambda one: (-one[1], one[0].start, one[0].end))
        reasons: list[tuple[Piece, float]] = []
        for piece, weight in strongest:
            new = all(piece.end <= one.start or piece.start >= one.end for one, _ in reasons)
            if weight > 0 and new and len(reasons) < TOLD:
                reasons.append((piece, weight))
        said_so = [piece for piece, weight in inside if weight * 10 >= reasons[0][1]] if reasons else []
        return Occurrence(
            f"{FELT}{self._weights.categories[kind]}",
            ", ".join(f"{_shown(piece, units)} {weight:+.1f}" for piece, weight in reasons),
            min((piece.start for piece in said_so), default=0),
            max((piece.end for piece in said_so), default=len(units)),
            1.0 - likely,
        )

    def _innocent(self, units: Sequence[Unit], found: Sequence[Stretch]) -> Iterator[Occurrence]:
        """Runs of units that are in no stretch above what is surely innocent."""
        clear = [False] * len(units)
        for stretch in found:
            clear[stretch.start : stretch.end] = [True] * (stretch.end - stretch.start)
        for stretch in found:
            if stretch.value >= self._sure(units[stretch.start : stretch.end]):
                clear[stretch.start : stretch.end] = [False] * (stretch.end - stretch.start)
        at = 0
        for is_clear, run in groupby(clear):
            end = at + len(list(run))
            if is_clear:
                yield Occurrence(INNOCENT, "", at, end, 0.0)
            at = end


def language_of(units: Sequence[Unit]) -> str:
    """`en` where most of it is words in letters, else `zh`."""
    return "en" if 2 * sum(unit.is_word for unit in units) > len(units) else "zh"


def _shown(piece: Piece, units: Sequence[Unit]) -> str:
    """A piece as it was heard; a number only by its kind."""
    if _NUMBER in piece.name:
        return piece.name.replace("@", "")
    if " _ " in piece.name:
        return f"{units[piece.start].text} ... {units[piece.end - 1].text}"
    return " ".join(unit.text for unit in units[piece.start : piece.end])
