"""The phrases and recordings that hearing is measured with, as their tables describe them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from guardian.bench.privacy.takes import media
from guardian.core.errors import Unavailable
from guardian.resources import checkout

APART = frozenset({"implicit", "needs_video"})
"""Tags of phrases that words alone do not give away."""
LANGUAGES = ("zh", "en")
NATURAL, READ, ISOLATED = "natural", "read", "isolated"
_FOLDERS = {
    ("zh", NATURAL): ("natural",),
    ("zh", READ): ("sentences", "misc"),
    ("zh", ISOLATED): ("words",),
    ("en", NATURAL): ("natural",),
    ("en", READ): ("sentences",),
    ("en", ISOLATED): ("digits",),
}
_SOUND = frozenset({".ogg", ".flac", ".wav", ".mp3"})
_TEXTS = ("text", "word", "digit")


@dataclass(frozen=True, slots=True)
class Written:
    """A written phrase. source: its table; violation: what is expected of it."""

    source: str
    language: str
    category: str
    violation: bool
    phrase: str
    tags: frozenset[str]

    @property
    def apart(self) -> bool:
        """Whether words alone do not give it away."""
        return bool(self.tags & APART)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A written phrase as a sound file; t_start, t_end: its first and last sound in seconds."""

    path: Path
    written: Written
    t_start: float
    t_end: float


@dataclass(frozen=True, slots=True)
class Recording:
    """A sound file in which nobody tries anything. text: what is said, where a table tells."""

    path: Path
    name: str
    text: str


def written() -> list[Written]:
    """All written phrases: the development file's, and those that come with the tests. Unavailable."""
    tables = [_development()]
    root = checkout()
    if root is not None:
        tables += sorted((root / "tests" / "speech" / "phrases").glob("*.tsv"))
    return [phrase for table in tables for phrase in _phrases(table)]


def spoken(language: str) -> list[Spoken]:
    """The development file's phrases that were made into sound. Unavailable."""
    folder = media("speech") / language / "phrases"
    known = {phrase.phrase: phrase for phrase in _phrases(_development())}
    found = []
    for row in _rows(folder / "phrases.tsv"):
        phrase = known.get(row["phrase"]) or Written(
            folder.name, language, row["category"], row["expected"] == "violation", row["phrase"], frozenset()
        )
        found.append(Spoken(folder / row["file"], phrase, float(row["t_start"]), float(row["t_end"])))
    return found


def innocent(language: str, kind: str) -> list[Recording]:
    """Recordings of a kind, in the order of their names. Unavailable."""
    root = media("speech") / language
    return [
        recording
        for name in _FOLDERS[language, kind]
        if (root / name).is_dir()
        for recording in _in(root / name)
    ]


def _in(folder: Path) -> Iterator[Recording]:
    texts: dict[str, str] = {}
    for table in sorted(folder.glob("*.tsv")):
        for row in _rows(table):
            texts[row["file"]] = next((row[key] for key in _TEXTS if row.get(key)), "")
    for path in sorted(folder.rglob("*")):
        if path.suffix in _SOUND:
            name = path.relative_to(folder).as_posix()
            yield Recording(path, f"{folder.name}/{name}", texts.get(name, ""))


def _development() -> Path:
    return media("speech").parent.parent / "phrases" / "offplatform_dev.tsv"


def _phrases(table: Path) -> Iterator[Written]:
    for row in _rows(table):
        yield Written(
            table.stem,
            row["lang"],
            row["category"],
            row["expected"] == "violation",
            row["phrase"],
            frozenset((row.get("note") or "").split(";")),
        )


def _rows(table: Path) -> list[dict[str, str]]:
    if not table.is_file():
        where = "/".join(table.parts[-2:])
        raise Unavailable(f"{where} is not here; set GUARDIAN_SHARED to the folder that holds media.")
    with table.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
