"""What is said in the sample call: clips on a time line, and what is expected of each."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler

from guardian.core.errors import MediaError
from guardian.core.frames import I16
from guardian.core.violations import Role

RATE = 48_000
_CLIPS = Path(__file__).parent / "clips"
_FIRST_S, _PAUSE_S, _AFTER_S = 2.5, 1.2, 3.5


@dataclass(frozen=True, slots=True)
class Line:
    """One clip of the time line. samples: int16 mono at 48 kHz; `solicits` is None where unknown."""

    role: Role
    name: str
    language: str
    samples: I16
    t_start: float
    solicits: bool | None

    @property
    def t_end(self) -> float:
        """Seconds after the start of the call's sound."""
        return self.t_start + len(self.samples) / RATE


def read_sound(path: Path) -> I16:
    """A sound file as int16 mono at 48 kHz. MediaError."""
    pieces: list[I16] = []
    resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
    try:
        with av.open(str(path.absolute())) as container:
            if not container.streams.audio:
                raise MediaError(f"{path} has no sound; give a sound file with --audio.")
            for frame in [*container.decode(audio=0), None]:
                pieces.extend(
                    piece.to_ndarray().reshape(-1).astype(np.int16) for piece in resampler.resample(frame)
                )
    except (OSError, av.FFmpegError) as error:
        raise MediaError(f"{path} cannot be read as sound: {error.strerror or 'damaged file'}.") from error
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


def _in_turn(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines of each role one after the other."""
    at = dict.fromkeys(Role, _FIRST_S)
    placed = []
    for line in lines:
        one = Line(line.role, line.name, line.language, line.samples, at[line.role], line.solicits)
        at[line.role] = one.t_end + _PAUSE_S
        placed.append(one)
    return tuple(placed)


def english_lines() -> tuple[Line, ...]:
    """The committed clips (flite, voice rms; clips/README.md has the command)."""

    def line(role: Role, name: str, solicits: bool) -> Line:
        return Line(role, name, "en", read_sound(_CLIPS / f"{name}.ogg"), 0.0, solicits)

    return _in_turn(
        [
            line(Role.MERCHANT, "merchant_innocent", False),
            line(Role.MERCHANT, "merchant_solicitation", True),
            line(Role.SHOPPER, "shopper_innocent", False),
        ]
    )


def mandarin_lines(media: Path) -> tuple[Line, ...]:
    """Recorded Mandarin from the shared media: an innocent sentence and a solicitation."""
    phrases = media / "speech" / "zh" / "phrases"
    with (phrases / "phrases.tsv").open(encoding="utf-8", newline="") as table:
        rows = [
            row
            for row in csv.DictReader(table, delimiter="\t")
            if row["expected"] == "violation"
            and row["category"] == "contact_exchange"
            and "微信" in row["phrase"]
        ]
    sentences = sorted((media / "speech" / "zh" / "sentences").glob("*.flac"))
    if not rows or len(sentences) < 2:
        return ()
    innocent = [
        Line(Role.MERCHANT, "mandarin_innocent", "zh", read_sound(sentences[0]), 0.0, False),
        Line(Role.SHOPPER, "mandarin_innocent", "zh", read_sound(sentences[1]), 0.0, False),
    ]
    solicitation = read_sound(phrases / rows[0]["file"])
    return (*innocent, Line(Role.MERCHANT, "mandarin_solicitation", "zh", solicitation, 0.0, True))


def script(media: Path | None, own: Path | None) -> tuple[Line, ...]:
    """The whole time line: one's own sound for the merchant, or the samples."""
    if own is not None:
        return _in_turn([Line(Role.MERCHANT, own.name, "", read_sound(own), 0.0, None)])
    mandarin = mandarin_lines(media) if media is not None else ()
    return _in_turn([*mandarin, *english_lines()])


def length_s(lines: Sequence[Line]) -> float:
    """Seconds a call has to last for all lines to be said and judged."""
    return max((line.t_end for line in lines), default=0.0) + _AFTER_S
