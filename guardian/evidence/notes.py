"""What is told beside the media of a clip: who said what when, how loud, what could be seen and what not.

JSON, sealed like the media. Times are milliseconds from the beginning of the clip.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from guardian.core.frames import Showing
from guardian.core.recording import ClipOrder, KeptPiece, Recording, Spoken
from guardian.core.violations import Role
from guardian.evidence.container import Film
from guardian.evidence.voices import PEAKS_PER_S, SIDES, Voices

SCHEMA = 1
_LONGEST_GAP_S = 0.5
"""A picture that is followed by none for longer is not taken to have been seen all the time."""


def transcript(recording: Recording) -> list[dict[str, Any]]:
    """Every engine's words in the span, one row for each utterance, in order of time."""
    rows = [_row(spoken, recording) for spoken in sorted(recording.spoken, key=lambda one: one.t_start)]
    return [row for row in rows if row["words"]]


def _row(spoken: Spoken, recording: Recording) -> dict[str, Any]:
    words = [
        {
            "w": token.text,
            "start_ms": _ms(token.t_start, recording),
            "end_ms": _ms(token.t_end, recording),
            "p": round(token.confidence, 3),
        }
        for token in spoken.said.tokens
        if token.t_end > recording.t_start and token.t_start < recording.t_end
    ]
    return {
        "role": str(spoken.role),
        "language": spoken.said.language,
        "engine": spoken.engine,
        "final": spoken.said.final,
        "words": words,
    }


def coverage(recording: Recording, voices: Voices) -> dict[str, Any]:
    """Seconds of the span, and how many of them were seen and heard.

    Of the shopper's picture by what it showed: `covered`, `held` or `curtain`.
    """
    return {
        "seconds": round(recording.t_end - recording.t_start, 2),
        "protected_s": {
            str(showing): round(seconds, 2)
            for showing, seconds in _shown(recording.pictures.get(Role.SHOPPER, ()), recording).items()
        },
        "merchant_s": round(_shown(recording.pictures.get(Role.MERCHANT, ()), recording).total(), 2),
        "sound_s": {str(role): round(seconds, 2) for role, seconds in voices.heard_s.items()},
    }


def _shown(pieces: Sequence[KeptPiece], recording: Recording) -> Counter[Showing | None]:
    shown: Counter[Showing | None] = Counter()
    for piece, after in zip_longest(pieces, pieces[1:]):
        end = recording.t_end if after is None else after.came
        shown[piece.showing] += min(max(end - piece.came, 0.0), _LONGEST_GAP_S)  # type: ignore[assignment]  # seconds
    return shown


def media(films: Mapping[str, tuple[Role, Film]], main: str) -> list[dict[str, Any]]:
    """The files of the clip and what is in them. main: the one with the voices."""
    rows = [
        {
            "part": name,
            "picture_of": str(role),
            "codec": film.codec,
            "width": film.size[0],
            "height": film.size[1],
            "start_ms": film.times_ms[0],
            "end_ms": film.times_ms[-1],
            "pictures": len(film.pieces),
            "voices": [str(side) for side in SIDES] if name == main else [],
        }
        for name, (role, film) in films.items()
    ]
    if main not in films:
        rows.insert(0, {"part": main, "picture_of": None, "voices": [str(side) for side in SIDES]})
    return rows


def heading(order: ClipOrder, recording: Recording) -> dict[str, Any]:
    """Which clip this is, why it is kept and where in the call it was."""
    return {
        "schema": SCHEMA,
        "evidence_id": order.evidence_id,
        "call_id": order.call_id,
        "t_start": round(recording.t_start, 3),
        "t_end": round(recording.t_end, 3),
        "cut_short": order.cut_short,
        "causes": [
            {
                "kind": cause.kind,
                "id": cause.id,
                "start_ms": _ms(cause.t_start, recording),
                "end_ms": _ms(cause.t_end, recording),
            }
            for cause in order.causes
        ],
        "lapses": [
            {
                **lapse,
                "start_ms": _ms(lapse["t_start"], recording),
                "end_ms": _ms(lapse["t_end"], recording),
            }
            for lapse in order.lapses
        ],
    }


def loudness(voices: Voices) -> dict[str, Any]:
    """For a waveform: `per_s` values of 0..100 for each role."""
    return {"per_s": PEAKS_PER_S, **voices.peaks()}


def _ms(t: float, recording: Recording) -> int:
    return round((t - recording.t_start) * 1000)
