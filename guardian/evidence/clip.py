"""Writes clips: what was kept of a span, put into files in memory and sealed as it leaves it.

A clip has these parts. `media`: the protected picture and both voices. `merchant`: the merchant's video,
by itself, as browsers play one picture of a file. `media2`, `merchant2` and so on: where a video went
on with another codec. `notes`: JSON (`guardian.evidence.notes`). All begin at the same moment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from guardian.core.evidence import SealedClip, SealedPart
from guardian.core.evidence_ports import ClipMaker, ClipWriter
from guardian.core.recording import ClipOrder, Recording
from guardian.core.violations import Role
from guardian.evidence import notes
from guardian.evidence.container import Film, OpenDecoder, file_of, films_of
from guardian.evidence.stills import stills_of
from guardian.evidence.voices import SIDES, Voices, voices_of

_MAIN, _NOTES = "media", "notes"
_NAMES = {Role.SHOPPER: _MAIN, Role.MERCHANT: "merchant"}
_SLICE = 1 << 16
_ONLY_VOICES = "audio/webm"
_JSON = "application/json"
_MOST_MOMENTS = 4
"""Causes of which there is a picture of the moment."""

_Films = Mapping[str, tuple[Role, Film]]


class ClipCutter:
    """`guardian.core.evidence_ports.ClipCutter`, for one thread."""

    def __init__(self, maker: ClipMaker, open_decoder: OpenDecoder) -> None:
        self._maker = maker
        self._open_decoder = open_decoder

    def cut(self, order: ClipOrder, recording: Recording, go_on: Callable[[], None]) -> SealedClip:
        """Writes a clip. go_on: called every few milliseconds of work; what it raises ends it, and nothing
        is left of the clip then. Unavailable; av.FFmpegError."""
        films = self._films(recording)
        voices = voices_of(recording, go_on)
        with ExitStack() as undo:
            writers: list[ClipWriter] = []

            def write(name: str, media_type: str, data: bytes) -> None:
                writer = self._maker.begin(order.evidence_id, name, media_type)
                undo.callback(writer.abandon)
                for at in range(0, len(data), _SLICE):
                    go_on()
                    writer.write(data[at : at + _SLICE])
                writers.append(writer)

            main = films.get(_MAIN, (Role.SHOPPER, None))[1]
            write(_MAIN, main.media_type if main else _ONLY_VOICES, file_of(main, voices, go_on))
            for name, (_, film) in films.items():
                if name != _MAIN:
                    write(name, film.media_type, file_of(film, None, go_on))
            write(_NOTES, _JSON, self._notes(order, recording, films, voices, go_on))
            parts = []
            for writer in writers:
                go_on()
                parts.append(writer.seal())
            go_on()  # A disk may have taken long: what was withdrawn meanwhile goes.
            undo.pop_all()
        return _clip(order, recording, tuple(parts))

    def _films(self, recording: Recording) -> _Films:
        """By the names of their parts; the longest of the protected ones is the one with the voices."""
        found: dict[str, tuple[Role, Film]] = {}
        for role, name in _NAMES.items():
            films = films_of(recording.pictures.get(role, ()), recording.t_start, self._open_decoder)
            for number, film in enumerate(films, 1):
                found[name if number == 1 else f"{name}{number}"] = (role, film)
        return found

    def _notes(
        self,
        order: ClipOrder,
        recording: Recording,
        films: _Films,
        voices: Voices,
        go_on: Callable[[], None],
    ) -> bytes:
        heading = notes.heading(order, recording)
        moments = [cause["end_ms"] for cause in heading["causes"]][:_MOST_MOMENTS]
        stills: list[dict[str, Any]] = []
        for role, film in films.values():
            if role is Role.SHOPPER:  # Of protected pictures only: they are decoded here.
                stills += stills_of(film, moments, self._open_decoder, go_on)
        told = {
            **heading,
            "media": notes.media(films, _MAIN),
            "transcript": notes.transcript(recording),
            "peaks": notes.loudness(voices),
            "thumbnails": stills,
            "coverage": notes.coverage(recording, voices),
        }
        return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _clip(order: ClipOrder, recording: Recording, parts: tuple[SealedPart, ...]) -> SealedClip:
    first, last = (f([c.t_start for c in order.causes]) for f in (min, max))
    ends = max(cause.t_end for cause in order.causes)
    about = {
        "complete": not order.cut_short,
        "cut_short": order.cut_short,
        "pre_roll_ms": max(0, round((first - recording.t_start) * 1000)),
        "post_roll_ms": max(0, round((recording.t_end - max(last, ends)) * 1000)),
        "voices": [str(side) for side in SIDES],
        "lapses": len(order.lapses),
    }
    kinds = {cause.kind for cause in order.causes}
    return SealedClip(
        evidence_id=order.evidence_id,
        cause="violation" if "violation" in kinds else "complaint",
        causes=tuple(cause.id for cause in order.causes),
        t_start=round(recording.t_start, 3),
        t_end=round(recording.t_end, 3),
        parts=parts,
        about=about,
    )
