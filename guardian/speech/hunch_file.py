"""The file of what hunches have learned (`hunch.tsv` of a rules folder): sorted lines that people can read.

    =categories  contact_exchange offplatform_payment ...
    =bias        -3.1 -2.9 -3.4 ...   what speaks for each of them before anything is said
    =limit       zh 0.85              from which sum on a stretch is likely an attempt
    =sure        zh -1.90             below which it surely is none
    :chat        wei1 xin4, 'whatsapp     words of a class
    @chat        1.3 0.2 -0.4 ...     how a piece speaks for each category

Columns are parted by tabs; what begins with `# ` is for people.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from guardian.core.hunch import Weights
from guardian.core.rulebook import RuleFault, RulesRefused

FILE = "hunch.tsv"
LANGUAGES = ("zh", "en")
_GREATEST = 1000.0


def read_weights(file: str, text: str) -> Weights:
    """What the file says. RulesRefused with every line that says nothing that can be used."""
    reader = _Reader(file)
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.startswith("# "):
            reader.take(number, line.rstrip("\r"))
    return reader.done()


@dataclass(slots=True)
class _Reader:
    file: str
    faults: list[RuleFault] = field(default_factory=list)
    settings: dict[str, float] = field(default_factory=dict)
    categories: tuple[str, ...] = ()
    bias: tuple[float, ...] = ()
    pieces: dict[str, tuple[float, ...]] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)

    def take(self, number: int, line: str) -> None:
        name, *columns = line.split("\t")
        take: Callable[[str, list[str]], None] = self._piece
        if name.startswith("="):
            take = self._setting
        elif name.startswith(":"):
            take = self._class
        try:
            take(name, columns)
        except (ValueError, IndexError):
            self.faults.append(
                RuleFault(self.file, number, "", f"{line[:80]!r} says nothing here; train the weights anew.")
            )

    def done(self) -> Weights:
        wanted = [f"={name} {language}" for name in ("limit", "sure") for language in LANGUAGES]
        lacking = [name for name in wanted if name not in self.settings]
        lacking += [] if self.categories else ["=categories"]
        lacking += [] if self.bias else ["=bias"]
        for name in lacking:
            self.faults.append(RuleFault(self.file, 1, "", f"there is no {name}; train the weights anew."))
        if self.faults:
            raise RulesRefused(tuple(self.faults))
        return Weights(
            self.categories,
            self.bias,
            {language: self.settings[f"=limit {language}"] for language in LANGUAGES},
            {language: self.settings[f"=sure {language}"] for language in LANGUAGES},
            self.pieces,
            self.classes,
        )

    def _setting(self, name: str, columns: list[str]) -> None:
        if name == "=categories":
            self.categories = tuple(columns[0].split())
        elif name == "=bias":
            self.bias = self._numbers(columns[0])
        else:
            language, value = columns[0].split()
            self.settings[f"{name} {language}"] = _number(value)

    def _class(self, name: str, columns: list[str]) -> None:
        for sounds in columns[0].split(", "):
            self.classes[sounds] = name[1:]

    def _piece(self, name: str, columns: list[str]) -> None:
        self.pieces[name] = self._numbers(columns[0])

    def _numbers(self, column: str) -> tuple[float, ...]:
        """One for each category, which are told before."""
        numbers = tuple(_number(text) for text in column.split())
        if not numbers or len(numbers) != len(self.categories):
            raise ValueError
        return numbers


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or abs(value) > _GREATEST:
        raise ValueError
    return value


def written(weights: Weights, notes: Iterable[str]) -> str:
    """The file of these weights. notes: lines for people at its head."""
    lines = [f"# {note}" for note in notes]
    lines.append(f"=categories\t{' '.join(weights.categories)}")
    lines.append(f"=bias\t{_line(weights.bias)}")
    for name, limits in (("limit", weights.limits), ("sure", weights.sure)):
        lines += [f"={name}\t{language} {limits[language]:.2f}" for language in LANGUAGES]
    for name, words in sorted(_by_class(weights.classes).items()):
        lines.append(f":{name}\t{', '.join(sorted(words))}")
    lines += [f"{name}\t{_line(weights.pieces[name])}" for name in sorted(weights.pieces)]
    return "\n".join(lines) + "\n"


def _line(numbers: Iterable[float]) -> str:
    return " ".join(f"{number:g}" for number in numbers)


def _by_class(classes: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for sounds, name in classes.items():
        found.setdefault(name, []).append(sounds)
    return found
