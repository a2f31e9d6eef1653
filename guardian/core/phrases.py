"""Finds the entries of a word list in a sequence of units, however many entries there are.

Entries that sound the same are found by an Aho-Corasick automaton over sound classes in one pass.
Long Mandarin entries (5 syllables and more) are also found with a syllable or so misheard: half of
them has to be there exactly, which the same pass finds; which entries go on like what was heard there
is looked up by what both leave when syllables are taken out of them (symmetric deletion, as SymSpell by
Garbe has it), and a weighted edit distance judges those. So no step goes through all entries.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from guardian.core.units import Unit, same_tone, sound_distance

SAME_SOUND_LIMIT = 0.15
"""Greatest mean distance per syllable of an entry found by class: one syllable must be exact."""
WRONG_TONE = 0.05
"""Distance of a wrong tone. A tone breaks ties only, but an entry of one syllable must have its own."""
OTHER_SOUND = 0.3
"""Distance of a syllable that was hardly likely beside what was taken for it."""
LIKELY_SOUND = 0.16
"""The same where it was as likely: too much for an entry of one syllable."""
FUZZY_LIMIT = 0.19
"""Greatest mean distance per syllable of an entry found by edit distance: of five syllables one may sound
half alike, none may be missing."""
FUZZY_LEAST = 5
"""Syllables an entry needs to be looked for by edit distance."""
FUZZY_TWICE = 8
"""Syllables from which on two of them may be other ones; below, one."""
_CHANGING = {"bu": (2, 4), "yi": (1, 2, 4)}
"""Tones of 不 and 一, which follow from what is said next."""
SHORT = 3
"""Units up to which a phrase is said without a pause; longer ones may have one in them."""
_FEW = 3
"""Entries with one half in common that are gone through without looking anything up."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A way to say a concept. keys, bases and tones as in `Unit`, one per unit.

    exact: no sound-alike will do.
    """

    concept: str
    text: str
    keys: tuple[str, ...]
    bases: tuple[str, ...]
    tones: tuple[int, ...]
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A concept found in units[start:end]; cost 0..1 is how far it is from the entry."""

    concept: str
    text: str
    start: int
    end: int
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class _Other:
    """A unit that may have been said at units[at]; node: where the units before it have led to."""

    unit: Unit
    at: int
    node: int

    @property
    def cost(self) -> float:
        return OTHER_SOUND - (OTHER_SOUND - LIKELY_SOUND) * min(1.0, self.unit.confidence)


@dataclass(slots=True)
class _Node:
    next: dict[str, int] = field(default_factory=dict)
    fail: int = 0
    depth: int = 0
    """Keys from the root to here."""
    ends: tuple[int, ...] = ()
    """Entries that end here."""
    halves: tuple[_Half, ...] = ()
    """Halves of entries that end here."""


class _Half:
    """One half of long entries, and how they go on: after it, or, where it is their second, before it."""

    def __init__(self, size: int, *, is_first: bool) -> None:
        self.size = size
        self.is_first = is_first
        self._rests: list[tuple[int, tuple[str, ...], int]] = []
        """(entry, keys of its other half, how many of them may be others)."""
        self._left: dict[tuple[str, ...], list[int]] = {}
        self._kinds: set[tuple[int, int]] = set()
        """(length of the other half, how many may be others)."""

    def add(self, number: int, rest: tuple[str, ...], others: int) -> None:
        """Takes in an entry."""
        self._rests.append((number, rest, others))

    def close(self) -> None:
        """Makes what entries are looked up by; nothing is added afterwards."""
        if len(self._rests) <= _FEW:
            return
        for number, rest, others in self._rests:
            self._kinds.add((len(rest), others))
            for left in _shortened(rest, others):
                self._left.setdefault(left, []).append(number)

    def likely(self, keys: Sequence[str], position: int) -> Iterable[int]:
        """Entries that may go on like `keys` around this half, which ends before `position`."""
        if len(self._rests) <= _FEW:
            return [number for number, _, _ in self._rests]
        found: set[int] = set()
        start = position - self.size
        for length, others in self._kinds:
            for heard in range(length - 1, length + 2):
                first = position if self.is_first else start - heard
                window = keys[max(0, first) : first + heard]
                if len(window) == heard:
                    for left in _shortened(tuple(window), others):
                        found.update(self._left.get(left, ()))
        return found


def _shortened(keys: tuple[str, ...], others: int) -> set[tuple[str, ...]]:
    """What `keys` leave when up to `others` of them are taken out."""
    return {
        left for out in range(min(others, len(keys) - 1) + 1) for left in combinations(keys, len(keys) - out)
    }


class Lexicon:
    """All entries, ready to be looked for. Immutable once made; may be shared by threads."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = tuple(entry for entry in entries if entry.keys)
        self._nodes = [_Node()]
        halves: dict[tuple[tuple[str, ...], bool], _Half] = {}
        for number, entry in enumerate(self.entries):
            node = self._node(entry.keys)
            node.ends = (*node.ends, number)
            size = len(entry.keys)
            if size < FUZZY_LEAST or entry.exact or any(key.startswith("'") for key in entry.keys):
                continue
            others = 1 if size < FUZZY_TWICE else 2
            first, second = entry.keys[: size // 2], entry.keys[size // 2 :]
            for part, rest, is_first in ((first, second, True), (second, first, False)):
                half = halves.get((part, is_first))
                if half is None:
                    half = halves[(part, is_first)] = _Half(len(part), is_first=is_first)
                    node = self._node(part)
                    node.halves = (*node.halves, half)
                half.add(number, rest, others)
        for half in halves.values():
            half.close()
        self._link()

    def _node(self, keys: Sequence[str]) -> _Node:
        """The node at the end of these keys, made if it is not there."""
        node = 0
        for key in keys:
            following = self._nodes[node].next.get(key)
            if following is None:
                following = len(self._nodes)
                self._nodes.append(_Node(depth=self._nodes[node].depth + 1))
                self._nodes[node].next[key] = following
            node = following
        return self._nodes[node]

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
                suffix = self._nodes[child.fail]
                child.ends, child.halves = child.ends + suffix.ends, child.halves + suffix.halves
                waiting.append(number)

    def find(self, units: Sequence[Unit]) -> list[Occurrence]:
        """Every concept in `units`, ordered by where it starts; the best way of each place."""
        best: dict[tuple[str, int, int], Occurrence] = {}
        keys = [unit.key for unit in units]
        node = 0
        for position, key in enumerate(keys, 1):
            for other in units[position - 1].others:
                self._find_other(_Other(other, position - 1, node), units, best)
            node = self._step(node, key)
            here = self._nodes[node]
            for number in here.ends:
                entry = self.entries[number]
                start = position - len(entry.keys)
                self._keep(_by_class(entry, units[start:position], start), units, best)
            for half in here.halves:
                for number in half.likely(keys, position):
                    found = self._by_distance(self.entries[number], half, units, position)
                    self._keep(found, units, best)
        return sorted(best.values(), key=lambda found: (found.start, found.end, found.concept))

    def _step(self, node: int, key: str) -> int:
        while node and key not in self._nodes[node].next:
            node = self._nodes[node].fail
        return self._nodes[node].next.get(key, 0)

    def _find_other(
        self, other: _Other, units: Sequence[Unit], best: dict[tuple[str, int, int], Occurrence]
    ) -> None:
        """Entries with one unit that was not taken for the likeliest."""
        node = self._step(other.node, other.unit.key)
        end = other.at + 1
        # As long as the unit is part of the beginning of an entry.
        while self._nodes[node].depth >= end - other.at:
            for number in self._nodes[node].ends:
                entry = self.entries[number]
                start = end - len(entry.keys)
                if start <= other.at:
                    said = [*units[start : other.at], other.unit, *units[other.at + 1 : end]]
                    self._keep(_by_class(entry, said, start, other.cost), units, best)
            if end == len(units):
                return
            node = self._step(node, units[end].key)
            end += 1

    def _keep(
        self,
        found: Occurrence | None,
        units: Sequence[Unit],
        best: dict[tuple[str, int, int], Occurrence],
    ) -> None:
        if found is not None and self._in_one_breath(found, units):
            place = (found.concept, found.start, found.end)
            if place not in best or best[place].cost > found.cost:
                best[place] = found

    def _in_one_breath(self, found: Occurrence, units: Sequence[Unit]) -> bool:
        boundaries = units[found.end - 1].clause - units[found.start].clause
        return boundaries <= (found.end - found.start > SHORT)

    def _by_distance(
        self, entry: Entry, half: _Half, units: Sequence[Unit], position: int
    ) -> Occurrence | None:
        """The entry around its `half`, which ends before `position`; the other half may be a unit shorter or
        longer."""
        size, begin = len(entry.bases), position - half.size
        if half.is_first:
            there, rest = entry.bases[: half.size], entry.bases[half.size :]
            around = units[position : position + len(rest) + 1]
        else:
            # Backwards, so that both ways begin at the half.
            there, rest = entry.bases[-half.size :], entry.bases[: -half.size][::-1]
            around = units[max(0, begin - len(rest) - 1) : begin][::-1]
        heard = zip(there, units[begin:position], strict=True)
        sounds = sum(sound_distance(wanted, unit.base) for wanted, unit in heard)
        row = _distances(rest, [unit.base for unit in around])
        lengths = range(len(rest) - 1, min(len(rest) + 1, len(around)) + 1)
        if not lengths:
            return None
        # Of two ways that are as near, the one that begins earlier and ends earlier.
        length = min(lengths, key=lambda one: (row[one], one if half.is_first else -one))
        cost = (sounds + row[length]) / size
        if cost > FUZZY_LIMIT:
            return None
        start, end = (begin, position + length) if half.is_first else (begin - length, position)
        return Occurrence(entry.concept, entry.text, start, end, cost)


def _by_class(entry: Entry, said: Sequence[Unit], start: int, doubt: float = 0.0) -> Occurrence | None:
    """The entry in units that begin at `start` and have its keys.

    doubt: what one of them costs that was not taken for the likeliest; the whole is no surer than that.
    """
    size, cost = len(entry.keys), doubt
    wrong_tone = WRONG_TONE if size > 1 else 1.0
    for base, tone, unit in zip(entry.bases, entry.tones, said, strict=True):
        if not unit.is_word:
            cost += sound_distance(base, unit.base)
            changing = _CHANGING.get(base, ()) if base == unit.base else ()
            if not same_tone(tone, unit.tone) and not (tone in changing and unit.tone in changing):
                cost += wrong_tone
        elif entry.exact and base != unit.base:
            return None
    if cost / size > (0.0 if entry.exact else SAME_SOUND_LIMIT):
        return None
    return Occurrence(entry.concept, entry.text, start, start + size, max(doubt, cost / size))


def weighted_distance(wanted: Sequence[str], heard: Sequence[str]) -> float:
    """Edit distance between two syllable sequences; substitutions cost `sound_distance`."""
    return _distances(wanted, heard)[-1]


def _distances(wanted: Sequence[str], heard: Sequence[str]) -> list[float]:
    """`weighted_distance` of `wanted` to the first 0, 1, 2 ... of `heard`."""
    row = [float(j) for j in range(len(heard) + 1)]
    for i, a in enumerate(wanted, 1):
        diagonal, row[0] = row[0], float(i)
        for j, b in enumerate(heard, 1):
            diagonal, row[j] = (
                row[j],
                min(row[j] + 1.0, row[j - 1] + 1.0, diagonal + sound_distance(a, b)),
            )
    return row
