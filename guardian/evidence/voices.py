"""Two voices as one stereo sound, each on its side and at its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream

from guardian.core.frames import I16
from guardian.core.recording import KeptPiece, Recording
from guardian.core.violations import Role
from guardian.evidence.timeline import steadied

RATE = 48_000
SIDES = (Role.MERCHANT, Role.SHOPPER)
"""Left, right."""
PEAKS_PER_S = 20
_BLOCK = RATE


@dataclass(frozen=True, slots=True)
class Voices:
    """Mono sound of each role at `RATE`, all of the span's length; silence where nothing came.

    heard_s: seconds that came.
    """

    samples: Mapping[Role, I16]
    heard_s: Mapping[Role, float]

    def peaks(self) -> dict[str, list[int]]:
        """How loud it is, `PEAKS_PER_S` values of 0..100 a second for each role."""
        return {str(role): _peaks(samples) for role, samples in self.samples.items()}

    def packets(self, stream: AudioStream) -> Iterator[av.Packet[Any]]:
        """Stereo, encoded for a stream of a file; a second at a time."""
        left, right = (self.samples[role] for role in SIDES)
        for at in range(0, len(left), _BLOCK):
            both = np.stack((left[at : at + _BLOCK], right[at : at + _BLOCK]), axis=1)
            frame = av.AudioFrame.from_ndarray(both.reshape(1, -1), "s16", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
            yield from stream.encode(frame)
        yield from stream.encode(None)


def voices_of(recording: Recording, go_on: Callable[[], None]) -> Voices:
    """Decodes what was kept of both voices. go_on: called now and then; what it raises ends the work."""
    count = round((recording.t_end - recording.t_start) * RATE)
    samples: dict[Role, I16] = {}
    heard_s: dict[Role, float] = {}
    for role in SIDES:
        samples[role] = np.zeros(count, np.int16)
        heard = 0
        for at, sound in _decoded(recording.sounds.get(role, ()), recording.t_start):
            go_on()
            first, last = max(at, 0), min(at + len(sound), count)
            if first < last:
                samples[role][first:last] = sound[first - at : last - at]
                heard += last - first
        heard_s[role] = heard / RATE
    return Voices(samples, heard_s)


def _decoded(pieces: Sequence[KeptPiece], t_start: float) -> Iterator[tuple[int, I16]]:
    """(first sample, counted from the span's beginning, and samples) of each piece that can be decoded."""
    source = None
    decoder = _decoder()
    for piece, came in zip(pieces, steadied(pieces), strict=True):
        if piece.source != source:
            source, decoder = piece.source, _decoder()
        at = round((came - piece.seconds - t_start) * RATE)
        try:
            frames = decoder.decode(av.Packet(piece.data))
        except av.FFmpegError:
            continue  # Whatever was sent: its place stays silent.
        for frame in frames:
            sound = np.frombuffer(memoryview(frame.planes[0]), np.int16)[: frame.samples]
            yield at, sound
            at += len(sound)


def _decoder() -> av.AudioCodecContext:
    decoder = av.CodecContext.create("libopus", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.format = "s16"
    decoder.layout = "mono"
    decoder.sample_rate = RATE
    return decoder


def _peaks(samples: I16) -> list[int]:
    each = RATE // PEAKS_PER_S
    whole = np.zeros(-(-len(samples) // each) * each, np.int16)
    whole[: len(samples)] = samples
    loudest = np.abs(whole.reshape(-1, each).astype(np.int32)).max(axis=1)
    return [int(value) for value in np.round(loudest * 100 / 32768)]
