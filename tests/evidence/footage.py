"""Pictures and voices as a call has them, with moments in them that can be found again."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np

from guardian.core.evidence import SealedClip, SealedPart, file_name
from guardian.core.frames import Showing
from guardian.core.recording import Cause, ClipOrder, KeptPiece
from guardian.core.violations import Role
from guardian.evidence.clip import ClipCutter
from guardian.evidence.folder import Folder
from guardian.evidence.keys import new_key_text, ring_of
from guardian.evidence.reading import ClipReader
from guardian.evidence.ring import Ring
from guardian.evidence.sealing import Sealer
from guardian.rtc.encoding import Order, VideoEncoding
from guardian.rtc.transcoding import video_decoder

RATE = 48_000
FLASH_S = 0.2
EVIDENCE_ID = "ev_01J9ZK3M8Q6T4V7X2B5N0C1D2E"
Delay = Callable[[int], float]
"""Seconds that the piece of a number is on its way."""


def at_once(_number: int) -> float:
    """No delay."""
    return 0.0


@dataclass(frozen=True)
class Shot:
    """What a camera sends: codec, seconds, pictures a second, size, and when all is white."""

    codec: str = "VP8"
    seconds: float = 20.0
    fps: int = 15
    size: tuple[int, int] = (320, 240)
    flashes: tuple[float, ...] = ()
    key_every_s: float = 4.5
    source: int = 0


def pictures(shot: Shot, delay: Delay = at_once) -> list[KeptPiece]:
    """Pieces of a camera's video."""
    return [replace(piece, came=piece.came + delay(n)) for n, piece in enumerate(_pictures(shot))]


@lru_cache(maxsize=16)
def _pictures(shot: Shot) -> tuple[KeptPiece, ...]:
    encoding = VideoEncoding(shot.codec)
    width, height = shot.size
    pieces, key_at = [], -100.0
    for number in range(round(shot.seconds * shot.fps)):
        t = number / shot.fps
        planes = np.full((height * 3 // 2, width), 128, np.uint8)
        if any(flash <= t < flash + FLASH_S for flash in shot.flashes):
            planes[:height] = 235
        else:
            planes[:height] = 60
            planes[20:60, number % (width - 40) : number % (width - 40) + 30] = 120
        picture = av.VideoFrame.from_ndarray(planes, "yuv420p")
        picture.pts, picture.time_base = round(t * 90_000), Fraction(1, 90_000)
        encoded = encoding.encode(picture, Order(1_000_000, 1_000_000, t - key_at >= shot.key_every_s))
        if encoded is None:
            continue
        key_at = t if encoded.key else key_at
        pieces.append(
            KeptPiece(shot.codec, encoded.data, t, t, shot.source, encoded.key, showing=Showing.COVERED)
        )
    return tuple(pieces)


Spans = tuple[tuple[float, float], ...]


def voice(seconds: float, hertz: int, loud: Spans, delay: Delay = at_once) -> list[KeptPiece]:
    """Pieces of a voice that sings one tone in some spans and is quiet otherwise."""
    return [
        replace(piece, came=piece.came + delay(n)) for n, piece in enumerate(_voice(seconds, hertz, loud))
    ]


@lru_cache(maxsize=16)
def _voice(seconds: float, hertz: int, loud: Spans) -> tuple[KeptPiece, ...]:
    t = np.arange(round(seconds * RATE)) / RATE
    on = np.zeros(len(t))
    for begin, end in loud:
        on[round(begin * RATE) : round(end * RATE)] = 1
    samples = (9000 * on * np.sin(2 * np.pi * hertz * t)).astype(np.int16)
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE, "mono", "s16"
    encoder.time_base = Fraction(1, RATE)
    pieces = []
    for at in range(0, len(samples) - 959, 960):
        frame = av.AudioFrame.from_ndarray(samples[at : at + 960].reshape(1, -1), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
        for packet in encoder.encode(frame):
            end = (at + 960) / RATE
            pieces.append(KeptPiece("opus", bytes(packet), end, end, seconds=0.02))
    return tuple(pieces)


def filled(ring: Ring, video: dict[Role, list[KeptPiece]], sound: dict[Role, list[KeptPiece]]) -> Ring:
    """The ring after all of it has come, in the order it came."""
    rows = [(piece.came, ring.picture, role, piece) for role, some in video.items() for piece in some]
    rows += [(piece.came, ring.sound, role, piece) for role, some in sound.items() for piece in some]
    for _came, keep, role, piece in sorted(rows, key=lambda row: row[0]):
        keep(role, piece)
    return ring


class Safe:
    """A folder that clips are sealed into, and the key to look at them again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = Folder(path)
        self.keys = ring_of([new_key_text()])
        self.cutter = ClipCutter(Sealer(self.folder, self.keys.sealing), video_decoder)

    def cut(self, ring: Ring, begin: float, end: float, **order) -> SealedClip:
        """A clip of what the ring holds, for a violation in the middle of it."""
        middle = (begin + end) / 2
        causes = (Cause("violation", "vio_1", middle, middle + 0.5),)
        return self.cutter.cut(
            ClipOrder(EVIDENCE_ID, "call-1", causes, **order), ring.cut(begin, end), lambda: None
        )

    def read(self, clip: SealedClip, name: str) -> bytes:
        """A part of a clip in plain."""
        part = next(part for part in clip.parts if part.name == name)
        return self.opened(clip.evidence_id, part)

    def opened(self, evidence_id: str, part: SealedPart) -> bytes:
        """The same, of any clip."""
        file = file_name(evidence_id, part.name)
        key = self.keys.unwrap(part.key_id, part.wrapped_key, file)
        reader = ClipReader(self.folder.open(file), key, file)
        try:
            return b"".join(reader.read(0, reader.size))
        finally:
            reader.close()

    def notes(self, clip: SealedClip) -> dict:
        """What is told beside a clip's media."""
        return json.loads(self.read(clip, "notes"))


def shown(data: bytes) -> list[tuple[float, np.ndarray]]:
    """Every picture of a file that can be decoded: (seconds, luma)."""
    found = []
    with av.open(io.BytesIO(data)) as container:
        for packet in container.demux(video=0):
            with suppress(av.FFmpegError):
                found += [(frame.time, frame.to_ndarray()[: frame.height]) for frame in packet.decode()]
    return found


def heard(data: bytes) -> np.ndarray:
    """The sound of a file from its time 0 on: float (2, n) at 48 kHz."""
    with av.open(io.BytesIO(data)) as container:
        found = np.zeros((2, 0))
        for frame in container.decode(audio=0):
            block = frame.to_ndarray()
            if not frame.format.is_planar:
                block = block.reshape(-1, 2).T
            at = round(frame.time * RATE)
            whole = np.zeros((2, max(found.shape[1], at + block.shape[1])))
            whole[:, : found.shape[1]] = found
            skip = max(0, -at)
            whole[:, at + skip : at + block.shape[1]] = block[:, skip:]
            found = whole
    return found


def power(samples: np.ndarray, hertz: int) -> float:
    """How loud a tone is in some sound."""
    t = np.arange(len(samples)) / RATE
    return float(np.abs(np.mean(samples * np.exp(-2j * np.pi * hertz * t))))
