"""Sound as a call would bring it: in noise, in a room, or coded and with packets lost, all by a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from guardian.bench.moderation.coded import Line, over_line
from guardian.bench.privacy.takes import media
from guardian.core.frames import I16, SPEECH_RATE, AudioChunk
from guardian.speech.audio import CHUNK, chunks_of

AFTER_S = 1.5
"""Silence after what is said: a line stays open."""
SNRS_DB = (20, 10, 5)
_LOUDEST = 32_000

Floats = npt.NDArray[np.float64]
Span = tuple[float, float]
"""First and last sound of what is said, seconds."""


@dataclass(frozen=True, slots=True)
class Condition:
    """name: in tables. change: makes chunks of a phrase's samples, given its span and its number."""

    name: str
    change: Callable[[I16, Span, int], list[AudioChunk]]


def conditions() -> list[Condition]:
    """Clean, noises, rooms, bit rates and losses. Unavailable without the recorded noises."""
    noises = [samples_of(path) for path in sorted((media("noise") / "noise").glob("*.wav"))]
    events = [samples_of(path) for path in sorted((media("noise") / "esc10").rglob("*.ogg"))]
    rooms = [samples_of(path) for path in sorted((media("noise") / "room").glob("*.wav"))]
    found = [CLEAN]
    found += [Condition(f"white noise {snr} dB", _noisy([], snr)) for snr in SNRS_DB]
    found += [Condition(f"recorded noise {snr} dB", _noisy(noises, snr)) for snr in SNRS_DB]
    found.append(Condition("rain or dogs 10 dB", _noisy(events, 10)))
    found.append(Condition("rooms", _roomy(rooms)))
    found += [Condition(f"Opus {kbps} kbit/s", _sent(Line(kbps, 0.0))) for kbps in (32, 16, 12)]
    found += [
        Condition(f"Opus 32 kbit/s, {loss:.0%} lost", _sent(Line(32, loss))) for loss in (0.01, 0.05, 0.1)
    ]
    return found


def samples_of(path: Path) -> I16:
    """A whole file as 16 kHz mono. MediaError."""
    return np.concatenate([chunk.samples for chunk in chunks_of(path)])


def chunked(samples: I16) -> list[AudioChunk]:
    """20 ms each; the last may be shorter."""
    return [AudioChunk(samples[at : at + CHUNK], at / SPEECH_RATE) for at in range(0, len(samples), CHUNK)]


def followed(samples: I16) -> I16:
    """With silence after it."""
    return np.concatenate((samples, np.zeros(int(AFTER_S * SPEECH_RATE), np.int16)))


def mixed(speech: I16, noise: Floats, snr_db: float, span: Span) -> I16:
    """Speech in noise that is `snr_db` below it over the span in which somebody speaks; as loud as before,
    or quieter where it would not fit. noise: as long as the speech, at any level."""
    said = slice(int(span[0] * SPEECH_RATE), max(int(span[1] * SPEECH_RATE), 1))
    level, other = _rms(speech[said].astype(np.float64)), _rms(noise[said])
    if not level or not other:
        return speech
    return _fitted(speech + noise * (level / other * 10 ** (-snr_db / 20)))


def in_room(speech: I16, response: I16) -> I16:
    """As it sounds in a room, at the loudness it had; what arrives first stays where it was."""
    first = int(np.argmax(np.abs(response.astype(np.float64))))
    size = len(speech) + len(response)
    bins = np.fft.rfft(speech.astype(np.float64), size) * np.fft.rfft(response.astype(np.float64), size)
    wet = np.fft.irfft(bins, size)[first : first + len(speech)]
    loud = _rms(wet)
    return _fitted(wet * (_rms(speech.astype(np.float64)) / loud)) if loud else speech


def _clean(speech: I16, _span: Span, _number: int) -> list[AudioChunk]:
    return chunked(followed(speech))


CLEAN = Condition("clean", _clean)


def _noisy(noises: Sequence[I16], snr_db: float) -> Callable[[I16, Span, int], list[AudioChunk]]:
    """White noise where there are no recordings."""

    def change(speech: I16, span: Span, number: int) -> list[AudioChunk]:
        speech, chance = followed(speech), np.random.default_rng(number)
        if not noises:
            return chunked(mixed(speech, chance.standard_normal(len(speech)), snr_db, span))
        recorded = noises[int(chance.integers(len(noises)))]
        begun = np.roll(recorded, -int(chance.integers(len(recorded))))
        return chunked(mixed(speech, np.resize(begun, len(speech)).astype(np.float64), snr_db, span))

    return change


def _roomy(rooms: Sequence[I16]) -> Callable[[I16, Span, int], list[AudioChunk]]:
    def change(speech: I16, _span: Span, number: int) -> list[AudioChunk]:
        return chunked(in_room(followed(speech), rooms[number % len(rooms)]) if rooms else followed(speech))

    return change


def _sent(line: Line) -> Callable[[I16, Span, int], list[AudioChunk]]:
    def change(speech: I16, _span: Span, number: int) -> list[AudioChunk]:
        return over_line(followed(speech), line, number)

    return change


def _rms(samples: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(samples)))) if len(samples) else 0.0


def _fitted(samples: Floats) -> I16:
    loudest = float(np.abs(samples).max(initial=0.0))
    return np.asarray(samples * min(1.0, _LOUDEST / max(loudest, 1.0)), np.int16)
