"""A clip as a page shows it: lines of a transcript, waveforms, and what was not seen or heard.

What stands in notes was said by strangers and kept for long: whatever has another shape is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LANES = ("merchant", "shopper")
WIDTH, LANE, GAP = 1000, 64, 10
"""Of a waveform, in units of its picture."""
HEIGHT = 2 * LANE + GAP
_COLUMNS = 500
_UNSURE = 0.6
_MOST_WORDS = 20_000


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a transcript, seconds from the beginning of the clip. hit: whether it is what was flagged."""

    text: str
    start: float
    end: float
    unsure: bool = False
    hit: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """What one engine heard of somebody at one time. gap: what stands between words."""

    role: str
    engine: str
    final: bool
    gap: str
    words: tuple[Word, ...]

    @property
    def start(self) -> float:
        """When it begins."""
        return self.words[0].start


@dataclass(frozen=True, slots=True)
class Hit:
    """Why the clip is kept, seconds of it. own: whether the case is about it."""

    start: float
    end: float
    own: bool


@dataclass(frozen=True, slots=True)
class Lapse:
    """A span that was not seen or heard. part, leg: of what and of whom; reason: as the worker told it."""

    part: str
    leg: str
    start: float
    end: float
    reason: str


@dataclass(frozen=True, slots=True)
class Still:
    """A small picture: JPEG in base64."""

    at: float
    width: int
    height: int
    jpeg: str


@dataclass(frozen=True, slots=True)
class ClipView:
    """Everything of a clip that a page shows. seconds: how long it is; bars: by role, an SVG path."""

    id: str
    seconds: float
    parts: tuple[tuple[str, str], ...] = ()
    lines: tuple[Line, ...] = ()
    hits: tuple[Hit, ...] = ()
    lapses: tuple[Lapse, ...] = ()
    stills: tuple[Still, ...] = ()
    bars: Mapping[str, str] = field(default_factory=dict)
    engines: int = 0
    heard: Mapping[str, float] = field(default_factory=dict)
    seen: Mapping[str, float] = field(default_factory=dict)
    cut_short: str = ""

    def x(self, at: float) -> float:
        """Where a moment stands in the waveform."""
        return round(min(max(at / self.seconds, 0.0), 1.0) * WIDTH, 1) if self.seconds else 0.0


def view_of(clip: Mapping[str, Any], cause: str, role: str) -> ClipView | None:
    """The clip as its page shows it, None where its notes cannot be had. cause, role: of the case."""
    notes = clip.get("notes")
    if not isinstance(notes, Mapping):
        return None
    coverage = _mapping(notes.get("coverage"))
    seconds = _number(coverage.get("seconds")) or _number(notes.get("t_end")) - _number(notes.get("t_start"))
    hits = tuple(_hits(notes, cause))
    lines = tuple(_lines(notes, hits, role))
    return ClipView(
        id=str(clip["evidence_id"]),
        seconds=max(seconds, 0.0),
        parts=tuple(_parts(notes)),
        lines=lines,
        hits=hits,
        lapses=tuple(_lapses(notes)),
        stills=tuple(_stills(notes)),
        bars={lane: _bars(_mapping(notes.get("peaks")).get(lane), lane) for lane in LANES},
        engines=len({line.engine for line in lines}),
        heard=_seconds(coverage.get("sound_s")),
        seen=_seconds(coverage.get("protected_s")),
        cut_short=str(notes.get("cut_short") or ""),
    )


def _parts(notes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(part, whose picture it has) of the files that can be played; empty for voices alone."""
    for row in _rows(notes.get("media")):
        if isinstance(row.get("part"), str):
            yield row["part"], str(row.get("picture_of") or "")


def _hits(notes: Mapping[str, Any], cause: str) -> Iterator[Hit]:
    for row in _rows(notes.get("causes")):
        start, end = _number(row.get("start_ms")) / 1000, _number(row.get("end_ms")) / 1000
        yield Hit(start, max(start, end), row.get("id") == cause)


def _lines(notes: Mapping[str, Any], hits: Sequence[Hit], role: str) -> Iterator[Line]:
    left = _MOST_WORDS
    for row in _rows(notes.get("transcript")):
        said = [_word(word) for word in _rows(row.get("words"))][:left]
        left -= len(said)
        if said:
            ours = [hit for hit in hits if hit.own] if row.get("role") == role else []
            yield Line(
                role=str(row.get("role", "")),
                engine=str(row.get("engine", "")),
                final=bool(row.get("final")),
                gap="" if str(row.get("language", "")).startswith("zh") else " ",
                words=tuple(_marked(word, ours) for word in said),
            )


def _word(row: Mapping[str, Any]) -> Word:
    start = _number(row.get("start_ms")) / 1000
    sure = row.get("p")
    unsure = isinstance(sure, int | float) and sure < _UNSURE
    return Word(str(row.get("w", "")), start, max(start, _number(row.get("end_ms")) / 1000), unsure)


def _marked(word: Word, hits: Sequence[Hit]) -> Word:
    if any(word.start < hit.end and word.end > hit.start for hit in hits):
        return Word(word.text, word.start, word.end, word.unsure, hit=True)
    return word


def _lapses(notes: Mapping[str, Any]) -> Iterator[Lapse]:
    for row in _rows(notes.get("lapses")):
        start, end = _number(row.get("start_ms")) / 1000, _number(row.get("end_ms")) / 1000
        yield Lapse(
            part=str(row.get("part", "")),
            leg=str(row.get("leg", "")),
            start=max(start, 0.0),
            end=max(start, end, 0.0),
            reason=str(row.get("reason", "")),
        )


def _stills(notes: Mapping[str, Any]) -> Iterator[Still]:
    found = [
        Still(
            _number(row.get("at_ms")) / 1000,
            int(_number(row["width"])),
            int(_number(row["height"])),
            row["jpeg"],
        )
        for row in _rows(notes.get("thumbnails"))
        if isinstance(row.get("jpeg"), str) and {"width", "height"} <= row.keys()
    ]
    yield from sorted(found, key=lambda still: still.at)


def _bars(peaks: Any, lane: str) -> str:
    """One upright line for each column of a lane, as loud as its loudest value (0..100)."""
    values = [min(max(_number(one), 0.0), 100.0) for one in peaks] if isinstance(peaks, list) else []
    if not values:
        return ""
    columns = min(len(values), _COLUMNS)
    middle = LANE / 2 + LANES.index(lane) * (LANE + GAP)
    drawn = []
    for column in range(columns):
        some = values[column * len(values) // columns : (column + 1) * len(values) // columns]
        half = max(0.75, max(some) / 100 * (LANE / 2 - 2))
        x = (column + 0.5) * WIDTH / columns
        drawn.append(f"M{x:.1f} {middle - half:.1f}V{middle + half:.1f}")
    return "".join(drawn)


def _seconds(value: Any) -> dict[str, float]:
    return {str(key): _number(one) for key, one in _mapping(value).items()}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _rows(value: Any) -> list[Mapping[str, Any]]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def _number(value: Any) -> float:
    good = isinstance(value, int | float) and value == value and abs(value) < 1e12
    return float(value) if good else 0.0
