"""Finds the entries of a word list in a sequence of units, however many entries there are.

Entries that sound the same are found by an Aho-Corasick automaton over sound classes in one pass.
Long Mandarin entries (5 syllables and more) are also found with a syllable or so misheard: half of
them has to be there exactly, which the same pass finds, and a weighted edit distance judges the rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from guardian.core.units import Unit, same_tone, sound_distance

SAME_SOUND_LIMIT = 0.15
"""Greatest mean distance per syllable of an entry found by class: one syllable must be exact."""
WRONG_TONE = 0.05
"""Distance of a wrong tone. A tone breaks ties only, but an entry of one syllable must have its own."""
FUZZY_LIMIT = 0.2
"""Greatest mean distance per syllable of an entry found by edit distance."""
FUZZY_LEAST = 5
"""Syllables an entry needs to be looked for by edit distance."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A way to say a concept. keys, bases and tones as in `Unit`, one per unit."""

    concept: str
    text: str
    keys: tuple[str, ...]
    bases: tuple[str, ...]
    tones: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A concept found in units[start:end]; cost 0..1 is how far it is from the entry."""

    concept: str
    text: str
    start: int
    end: int
    cost: float = 0.0


@dataclass(slots=True)
class _Node:
    next: dict[str, int] = field(default_factory=dict)
    fail: int = 0
    ends: list[tuple[int, int, int]] = field(default_factory=list)
    """(entry, offset of what ended here in the entry, its length)."""


class Lexicon:
    """All entries, ready to be looked for. Immutable once made; may be shared by threads."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = tuple(entry for entry in entries if entry.keys)
        self._nodes = [_Node()]
        for number, entry in enumerate(self.entries):
            size = len(entry.keys)
            self._add(entry.keys, (number, 0, size))
            if size >= FUZZY_LEAST and not any(key.startswith("'") for key in entry.keys):
                half = size // 2
                self._add(entry.keys[:half], (number, 0, half))
                self._add(entry.keys[half:], (number, half, size - half))
        self._link()

    def _add(self, keys: Sequence[str], end: tuple[int, int, int]) -> None:
        node = 0
        for key in keys:
            following = self._nodes[node].next.get(key)
            if following is None:
                following = len(self._nodes)
                self._nodes.append(_Node())
                self._nodes[node].next[key] = following
            node = following
        self._nodes[node].ends.append(end)

    def _link(self) -> None:
        waiting = deque(self._nodes[0].next.values())
        while waiting:
            node = self._nodes[waiting.popleft()]
            for key, number in node.next.items():
                fail = node.fail
                while fail and key not in self._nodes[fail].next:
                    fail = self._nodes[fail].fail
                target = self._nodes[fail].next.get(key, 0)
                child = self._nodes[number]
                child.fail = target if target != number else 0
                child.ends = child.ends + self._nodes[child.fail].ends
                waiting.append(number)

    def find(self, units: Sequence[Unit]) -> list[Occurrence]:
        """Every concept in `units`, ordered by where it starts; the best way of each place."""
        best: dict[tuple[str, int, int], Occurrence] = {}
        node = 0
        for position, unit in enumerate(units):
            while node and unit.key not in self._nodes[node].next:
                node = self._nodes[node].fail
            node = self._nodes[node].next.get(unit.key, 0)
            for number, offset, size in self._nodes[node].ends:
                entry = self.entries[number]
                start = position + 1 - size
                found = (
                    self._by_class(entry, units, start)
                    if size == len(entry.keys)
                    else self._by_distance(entry, units, start - offset)
                )
                if found is not None and self._in_one_breath(found, units):
                    place = (found.concept, found.start, found.end)
                    if place not in best or best[place].cost > found.cost:
                        best[place] = found
        return sorted(best.values(), key=lambda found: (found.start, found.end, found.concept))

    def _in_one_breath(self, found: Occurrence, units: Sequence[Unit]) -> bool:
        return units[found.end - 1].clause - units[found.start].clause <= 1

    def _by_class(self, entry: Entry, units: Sequence[Unit], start: int) -> Occurrence | None:
        size = len(entry.keys)
        cost = 0.0
        wrong_tone = WRONG_TONE if size > 1 else 1.0
        wanted = zip(entry.bases, entry.tones, units[start : start + size], strict=True)
        for base, tone, unit in wanted:
            if not unit.is_word:
                cost += sound_distance(base, unit.base)
                cost += 0.0 if same_tone(tone, unit.tone) else wrong_tone
        if cost / size > SAME_SOUND_LIMIT:
            return None
        return Occurrence(entry.concept, entry.text, start, start + size, cost / size)

    def _by_distance(self, entry: Entry, units: Sequence[Unit], start: int) -> Occurrence | None:
        size = len(entry.bases)
        limit = FUZZY_LIMIT * size
        best: Occurrence | None = None
        for first in range(max(0, start - 1), min(len(units), start + 2)):
            for last in range(first + size - 1, min(len(units), first + size + 1) + 1):
                cost = weighted_distance(entry.bases, [unit.base for unit in units[first:last]])
                if cost <= limit and (best is None or cost / size < best.cost):
                    best = Occurrence(entry.concept, entry.text, first, last, cost / size)
        return best


def weighted_distance(wanted: Sequence[str], heard: Sequence[str]) -> float:
    """Edit distance between two syllable sequences; substitutions cost `sound_distance`."""
    row = [float(j) for j in range(len(heard) + 1)]
    for i, a in enumerate(wanted, 1):
        diagonal, row[0] = row[0], float(i)
        for j, b in enumerate(heard, 1):
            diagonal, row[j] = (
                row[j],
                min(row[j] + 1.0, row[j - 1] + 1.0, diagonal + sound_distance(a, b)),
            )
    return row[-1]
