"""The merchant's side of the sample call: keeps what arrives and looks for the canary in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av.video.stream import VideoStream

from guardian.core.canary import Canary
from guardian.core.frames import Planes
from guardian.demo.scene import ScenePicture
from guardian.rtc.convert import VIDEO_TIME_BASE, planes_of

_WAIT_S = 1.0
_FLAT = 4
_MOSTLY = 0.8
_SAMPLE_EVERY = 10


class Recording:
    """An H.264 file of the pictures as they come, times included; others are scaled to `size`."""

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        self._path = path
        self._size = size
        self._container: av.container.OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._last_pts = -1

    def add(self, frame: av.VideoFrame) -> None:
        """Encodes one picture."""
        if self._stream is None:
            self._container = av.open(str(self._path.absolute()), "w")
            self._stream = self._container.add_stream(
                "libx264", rate=30, options={"preset": "ultrafast", "crf": "23"}
            )
            self._stream.width, self._stream.height = self._size
            self._stream.pix_fmt = "yuv420p"
            self._stream.time_base = VIDEO_TIME_BASE
            self._stream.codec_context.time_base = VIDEO_TIME_BASE
            self._stream.codec_context.thread_count = 1
            self._origin = frame.pts or 0
        picture = frame.reformat(*self._size, "yuv420p")
        self._last_pts = max(self._last_pts + 1, (frame.pts or 0) - self._origin)
        picture.pts, picture.time_base = self._last_pts, VIDEO_TIME_BASE
        assert self._container is not None
        self._container.mux(self._stream.encode(picture))

    def close(self) -> None:
        """Finishes the file."""
        if self._container is not None and self._stream is not None:
            self._container.mux(self._stream.encode())
            self._container.close()

    def discard(self) -> None:
        """Removes a file that will not be finished."""
        if self._container is not None:
            self._container.close()
            self._path.unlink(missing_ok=True)


class Witness:
    """Drains the merchant's picture. `shown` gives the pictures the shopper sent of late."""

    def __init__(
        self, canary: Canary | None, shown: Callable[[], list[ScenePicture]], recording: Recording
    ) -> None:
        self._canary = canary
        self._shown = shown
        self._recording = recording
        self.frames = 0
        self.first_at: float | None = None
        self.canary_blocks = 0
        self.searched_blocks = 0
        self.longest_gap_s = 0.0
        self.pair: tuple[Planes, Planes] | None = None
        """A sent picture and the protected one the merchant saw at that moment."""
        self.samples: list[Planes] = []
        """Every tenth picture that was not the curtain."""

    async def watch(self, track: MediaStreamTrack, until: Callable[[], bool]) -> None:
        """Takes pictures until told to stop."""
        last = time.monotonic()
        while not until():
            try:
                async with asyncio.timeout(_WAIT_S):
                    frame = await track.recv()
            except TimeoutError:
                continue
            except MediaStreamError:
                return
            if isinstance(frame, av.VideoFrame):
                now = time.monotonic()
                if self.frames:
                    self.longest_gap_s = max(self.longest_gap_s, now - last)
                last = now
                self.first_at = self.first_at or now
                sent = self._shown()
                await asyncio.to_thread(self._look, frame, sent)

    def _look(self, frame: av.VideoFrame, sent: list[ScenePicture]) -> None:
        self.frames += 1
        planes = planes_of(frame)
        if self._canary is not None and sent:
            where = _everywhere_of(sent)
            self.searched_blocks += int(np.count_nonzero(where))
            self.canary_blocks += self._canary.blocks_seen(planes.y, where)
        if sent and self.frames % _SAMPLE_EVERY == 0 and not is_curtain(planes):
            copy = Planes(planes.y.copy(), planes.u.copy(), planes.v.copy())
            self.samples = [*self.samples[-60:], copy]
            self.pair = (sent[-1].planes, copy)
        self._recording.add(frame)

    def close(self) -> None:
        """Finishes the recording."""
        self._recording.close()

    def discard(self) -> None:
        """Gives the recording up."""
        self._recording.discard()


def _everywhere_of(sent: list[ScenePicture]) -> npt.NDArray[np.bool_]:
    """Blocks in which all of the pictures showed nothing but the room."""
    where = sent[0].searchable.copy()
    for picture in sent[1:]:
        where &= picture.searchable
    return where


def is_curtain(planes: Planes) -> bool:
    """Whether a picture is a card: nearly all of it is of one grey."""
    thin = planes.y[::4, ::4].astype(np.int16)
    return float((np.abs(thin - np.median(thin)) <= _FLAT).mean()) > _MOSTLY
