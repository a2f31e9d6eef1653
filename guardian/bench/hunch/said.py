"""What is learned from: written phrases by many authors, garbled copies of them, and natural talk."""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from guardian.bench.moderation.recordings import APART
from guardian.core.digits import Run, digit_runs
from guardian.core.errors import MediaError
from guardian.core.units import Unit, split_syllable, syllable_key, word_key
from guardian.speech.text import units_of_text

ORDINARY = "natural"
"""The category of talk in which nobody tries anything."""
_ONE_AUTHOR = re.compile(r"set_[abc]")
"""Tables by one author; every other table has its own."""
_PAIRS = (
    "z zh, c ch, s sh, n l, f h, b p, d t, g k, j q, "
    "an ang, en eng, in ing, ian an, uo ou, ei ui, ai ei, e uo"
)
_ALIKE = {one: other for pair in _PAIRS.split(", ") for one, other in (pair.split(), reversed(pair.split()))}
"""Parts of syllables that recognisers take for each other."""


@dataclass(frozen=True, slots=True)
class Said:
    """One phrase or stretch of talk. share: what it counts in learning; bare: brings no pieces of its own."""

    author: str
    language: str
    category: str
    violation: bool
    units: tuple[Unit, ...]
    runs: tuple[Run, ...]
    share: float = 1.0
    bare: bool = False


def phrases(tables: Iterable[Path]) -> list[Said]:
    """The phrases of tables, but for attempts that words alone do not give away. MediaError."""
    return [said for table in tables for said in _of_table(table)]


def _of_table(table: Path) -> Iterator[Said]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    except OSError as error:
        raise MediaError(f"{table} cannot be read ({(error.strerror or 'failed').lower()}).") from error
    author = "set_abc" if _ONE_AUTHOR.fullmatch(table.stem) else table.stem
    for row in rows:
        violation = row["expected"] == "violation"
        units = units_of_text(row["phrase"] or "")
        if units and not (violation and APART & set((row["note"] or "").split(";"))):
            yield replace(said_of(author, row["lang"], row["category"], units), violation=violation)


def said_of(author: str, language: str, category: str, units: Sequence[Unit]) -> Said:
    """What is no attempt, as it is learned from."""
    return Said(author, language, category, False, tuple(units), tuple(digit_runs(units)))


def classes_of(path: Path) -> dict[str, str]:
    """Name of the class of each word by its sounds, of a file of lines `name: word, word`; words of two
    classes are a class of their own. MediaError."""
    found: dict[str, list[str]] = {}
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise MediaError(f"{path} cannot be read ({(error.strerror or 'failed').lower()}).") from error
    for line in text.splitlines():
        name, colon, words = line.partition(":")
        if line.startswith("#") or not colon:
            continue
        for word in words.split(","):
            units = units_of_text(word)
            sounds = " ".join(unit.key if unit.is_word else f"{unit.base}{unit.tone}" for unit in units)
            if sounds and name not in found.setdefault(sounds, []):
                found[sounds].append(name)
    return {sounds: "/".join(names) for sounds, names in found.items()}


def garbled(said: Said, chance: random.Random) -> Said:
    """As a recogniser may hear it: tones and sounds mistaken, a unit lost, clauses run together."""
    clauses = chance.random() < 0.5
    units = [
        _mistaken(replace(unit, clause=0) if clauses else unit, chance)
        for unit in said.units
        if chance.random() > 0.04
    ]
    return replace(said, units=tuple(units), runs=tuple(digit_runs(units)))


def _mistaken(unit: Unit, chance: random.Random) -> Unit:
    if unit.is_word:
        if chance.random() > 0.03 or len(unit.base) < 3:
            return unit
        cut = unit.base[:-1]
        return replace(unit, base=cut, key=word_key(cut))
    tone, base = unit.tone, unit.base
    if chance.random() < 0.08:
        tone = chance.randint(1, 4)
    if chance.random() < 0.12:
        initial, final = split_syllable(base)
        if chance.random() < 0.5:
            initial = _ALIKE.get(initial, initial)
        else:
            final = _ALIKE.get(final, final)
        base = initial + final
    return replace(unit, base=base, tone=tone, key=syllable_key(base))


def stretches_of(said: Said, longest: int) -> Iterator[Said]:
    """A long talk cut into pieces of so many units; what is left over is dropped where it is short."""
    for start in range(0, len(said.units), longest):
        units = said.units[start : start + longest]
        if len(units) >= longest // 4:
            yield replace(said, units=units, runs=tuple(digit_runs(units)))
