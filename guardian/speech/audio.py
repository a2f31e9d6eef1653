"""Sound files as the chunks a call would bring."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from guardian.core.errors import MediaError
from guardian.core.frames import I16, SPEECH_RATE, AudioChunk

CHUNK = SPEECH_RATE // 50
"""Samples in 20 ms."""


def duration_of(path: Path) -> float | None:
    """Seconds as the container says, or None where it does not. MediaError as in `chunks_of`."""
    with _opened(path) as container:
        return container.duration / av.time_base if container.duration else None


def chunks_of(path: Path) -> Iterator[AudioChunk]:
    """The first sound track as 20 ms of 16 kHz mono; the last chunk may be shorter.

    MediaError with one sentence: no such file, no sound in it, or broken.
    """
    t = 0
    waiting: list[I16] = []
    size = 0
    for samples in _samples_of(path):
        waiting.append(samples)
        size += len(samples)
        if size < CHUNK:
            continue
        joined = np.concatenate(waiting)
        whole = size - size % CHUNK
        for start in range(0, whole, CHUNK):
            yield AudioChunk(joined[start : start + CHUNK], t / SPEECH_RATE)
            t += CHUNK
        waiting, size = [joined[whole:]], size - whole
    if size:
        yield AudioChunk(np.concatenate(waiting), t / SPEECH_RATE)


def _samples_of(path: Path) -> Iterator[I16]:
    resampler = av.AudioResampler("s16", "mono", SPEECH_RATE)
    heard = False
    with _opened(path) as container:
        try:
            for frame in container.decode(audio=0):
                frame.pts = None  # the resampler counts samples; broken time stamps must not stop it
                for made in resampler.resample(frame):
                    heard = True
                    yield made.to_ndarray().reshape(-1).astype(np.int16, copy=False)
            for made in resampler.resample(None) if heard else ():
                yield made.to_ndarray().reshape(-1).astype(np.int16, copy=False)
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(
                f"{path} is broken ({type(error).__name__}); make it again or convert it to wav."
            ) from None
    if not heard:
        raise MediaError(f"{path} has a sound track but no sound in it; use another recording.")


def _opened(path: Path) -> av.container.InputContainer:
    if not path.exists():
        raise MediaError(f"There is no file {path}; check the name.")
    if path.is_dir():
        raise MediaError(f"{path} is a folder; name the sound files in it.")
    try:
        # Absolute: FFmpeg takes a name with a colon for an address.
        container = av.open(str(path.absolute()))
    except (av.FFmpegError, OSError, ValueError):
        raise MediaError(f"{path} is no media file that can be read; use wav, ogg, mp3 or mp4.") from None
    if not container.streams.audio:
        container.close()
        raise MediaError(f"{path} has no sound track; use a file with sound.")
    return container
