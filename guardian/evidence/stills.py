"""Small pictures out of a film of protected pictures, to be seen at a glance."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

import av

from guardian.evidence.container import Film, OpenDecoder, decoded

_WIDTH = 240
_MOST = 12


def stills_of(
    film: Film, moments_ms: Sequence[int], open_decoder: OpenDecoder, go_on: Callable[[], None]
) -> list[dict[str, Any]]:
    """The film's pictures at some moments, and its key frames: `{at_ms, width, height, jpeg}`, base64.

    go_on: called for each picture; what it raises ends the work.
    """
    wanted = _wanted(film, moments_ms)
    decoder = open_decoder(film.codec)
    stills: list[dict[str, Any]] = []
    for index in _needed(film, wanted):
        go_on()
        picture = decoded(decoder, film.pieces[index])
        if picture is not None and index in wanted:
            stills.append(_still(picture, film.times_ms[index]))
    return stills


def _wanted(film: Film, moments_ms: Sequence[int]) -> frozenset[int]:
    keys = [index for index, piece in enumerate(film.pieces) if piece.key]
    at = [sum(time_ms <= moment for time_ms in film.times_ms) - 1 for moment in moments_ms]
    return frozenset([*[index for index in at if index >= 0], *keys][:_MOST])


def _needed(film: Film, wanted: frozenset[int]) -> list[int]:
    """Every picture from a key frame to the last one wanted before the next."""
    needed: list[int] = []
    group: list[int] = []
    for index, piece in enumerate(film.pieces):
        if piece.key:
            group = []
        group.append(index)
        if index in wanted:
            needed += group
            group = []
    return needed


def _still(picture: av.VideoFrame, at_ms: int) -> dict[str, Any]:
    width = min(_WIDTH, picture.width) & ~1
    height = max(2, round(picture.height * width / picture.width) & ~1)
    small = picture.reformat(width, height, "yuvj420p")
    small.pts = None
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = small.time_base or 1  # type: ignore[assignment]  # the stub knows no whole number
    encoder.options = {"q": "5"}
    data = b"".join(bytes(packet) for packet in [*encoder.encode(small), *encoder.encode(None)])
    return {"at_ms": at_ms, "width": width, "height": height, "jpeg": base64.b64encode(data).decode()}
