"""Encoded pictures and sound put into a file in memory that browsers play and seek in.

Pictures are not encoded anew. VP8 goes into WebM, H.264 into fragmented MP4; both with Opus.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import merge
from itertools import groupby
from typing import Any

import av
from av.container import OutputContainer
from av.stream import Stream

from guardian.core.frames import MOST_PIXELS
from guardian.core.recording import KeptPiece
from guardian.evidence.timeline import steadied
from guardian.evidence.voices import RATE, Voices

OpenDecoder = Callable[[str], av.VideoCodecContext]
"""A decoder of `VP8` or `H264` that refuses giants."""

_MS = Fraction(1, 1000)
_MOST_FILMS = 4
"""More than a call that is what it seems to be has within a minute."""
_BITS_PER_S = 96_000
"""Enough that the encoder keeps the sides apart."""
_FORMATS = {"VP8": "webm", "H264": "mp4", "": "webm"}
_OPTIONS = {
    "webm": {},
    "mp4": {"movflags": "frag_keyframe+delay_moov+default_base_moof"},
}
_MEDIA_TYPES = {"VP8": "video/webm", "H264": "video/mp4", "": "audio/webm"}


@dataclass(frozen=True, slots=True)
class Film:
    """Pictures of one codec, the first of them a key frame, and when each is shown, milliseconds of the
    clip. size: (width, height) of the first."""

    codec: str
    pieces: Sequence[KeptPiece]
    times_ms: Sequence[int]
    size: tuple[int, int]

    @property
    def media_type(self) -> str:
        """What a file of it is."""
        return _MEDIA_TYPES[self.codec]


def films_of(pieces: Sequence[KeptPiece], t_start: float, open_decoder: OpenDecoder) -> list[Film]:
    """What a role's pictures make: one film, and another one wherever the codec changes; the longest first.

    Those of which the size cannot be told, or is larger than any that is decoded, are left out, and all but
    the longest few: whoever changes more often only makes files.
    """
    times = [round((t - t_start) * 1000) for t in steadied(pieces)]
    films: list[Film] = []
    for run in sorted(_runs(pieces), key=lambda run: times[run.start] - times[run.stop - 1]):
        first = pieces[run.start]
        size = _size(first, open_decoder)
        if size is not None:
            films.append(Film(first.codec, pieces[run], _rising(times[run]), size))
        if len(films) == _MOST_FILMS:
            break
    return films


def _runs(pieces: Sequence[KeptPiece]) -> Iterator[slice[int, int, None]]:
    """Where the codec stays the same."""
    first = 0
    for _codec, run in groupby(pieces, key=lambda piece: piece.codec):
        stop = first + len(list(run))
        yield slice(first, stop)
        first = stop


def _rising(times_ms: Sequence[int]) -> list[int]:
    rising: list[int] = []
    least = 0
    for time_ms in times_ms:
        rising.append(max(time_ms, least))
        least = rising[-1] + 1
    return rising


def _size(key: KeptPiece, open_decoder: OpenDecoder) -> tuple[int, int] | None:
    """Of a key frame; None where it is none, or a giant. Of H.264 it is known when it is decoded."""
    if not key.key:
        return None
    if key.codec == "VP8":  # RFC 6386, 9.1.
        width, height = (int.from_bytes(key.data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    else:
        picture = decoded(open_decoder(key.codec), key)
        if picture is None:
            return None
        width, height = picture.width, picture.height
    return (width, height) if 0 < width * height <= MOST_PIXELS else None


def decoded(decoder: av.VideoCodecContext, piece: KeptPiece) -> av.VideoFrame | None:
    """A piece's picture; None when there is none."""
    try:
        pictures = decoder.decode(av.Packet(piece.data))
    except av.FFmpegError:
        return None
    return pictures[-1] if pictures else None


def file_of(film: Film | None, voices: Voices | None, go_on: Callable[[], None]) -> bytes:
    """A whole file: a film, voices, or both. go_on: called for each packet; what it raises ends the work.

    av.FFmpegError when it cannot be made.
    """
    buffer = io.BytesIO()
    name = _FORMATS[film.codec if film is not None else ""]
    with av.open(buffer, "w", format=name, container_options=_OPTIONS[name]) as container:
        streams = []
        if film is not None:
            streams.append(_pictures(container, film))
        if voices is not None:
            streams.append(_sound(container, voices))
        for packet in merge(*streams, key=_begins):
            go_on()
            container.mux(packet)
    return buffer.getvalue()


def _begins(packet: av.Packet[Any]) -> float:
    assert packet.pts is not None
    return float(packet.pts * packet.time_base)


def _pictures(container: OutputContainer, film: Film) -> Iterator[av.Packet[Any]]:
    width, height = film.size
    stream: Stream = container.add_mux_stream(film.codec.lower(), width=width, height=height, time_base=_MS)
    return (_packet(stream, *each) for each in zip(film.pieces, film.times_ms, strict=True))


def _packet(stream: Stream, piece: KeptPiece, time_ms: int) -> av.Packet[Any]:
    packet: av.Packet[Any] = av.Packet(piece.data)
    packet.stream, packet.time_base = stream, _MS
    packet.pts = packet.dts = time_ms
    packet.is_keyframe = piece.key
    return packet


def _sound(container: OutputContainer, voices: Voices) -> Iterator[av.Packet[Any]]:
    stream = container.add_stream("libopus", rate=RATE, layout="stereo")
    stream.bit_rate = _BITS_PER_S
    return voices.packets(stream)
