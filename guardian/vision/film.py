"""Video files as planes: reading whatever FFmpeg reads, writing H.264 in MP4.

Pictures are handed out upright and of even size; `FilmWriter` undoes both, so that what is written has the
size, the rotation mark and the times of what was read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from guardian.core.errors import MediaError
from guardian.core.frames import U8, Planes

LIMITED, FULL = 1, 2
"""AVColorRange: 16..235 and 0..255."""
_UNKNOWN_COLOUR = 2


@dataclass(frozen=True, slots=True)
class FilmShape:
    """What is to stay the same. size: (w, h) as stored; rotation: degrees as FFmpeg marks it."""

    size: tuple[int, int]
    rotation: int
    rate: Fraction
    time_base: Fraction
    aspect: Fraction | None
    colour: tuple[int, int, int]
    """Colour space, primaries and transfer, as FFmpeg numbers them."""


@dataclass(frozen=True, slots=True)
class FilmPicture:
    """One picture of a film: even-sized upright planes, pts in the film's time base.

    doubtful: the decoder says that the picture is damaged.
    """

    planes: Planes
    pts: int
    doubtful: bool


class FilmReader:
    """Reads the first video stream of a file. Raises MediaError only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if path.is_dir():
            raise MediaError(f"{path} is a folder; name a video file.")
        if not path.exists():
            raise MediaError(f"{path} does not exist; name a video file.")
        try:
            # Absolute: FFmpeg takes a name with a colon for an address.
            self._container = av.open(str(path.absolute()))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise MediaError(
                f"{path} cannot be read as a video ({_why(error)}); use one that plays."
            ) from error
        streams = [s for s in self._container.streams.video if not _is_cover_art(s)]
        if not streams:
            self._container.close()
            raise MediaError(f"{path} has no video in it; name a video file.")
        self._stream: VideoStream = streams[0]
        self._stream.thread_count = 1
        # Only here does the header count pictures; AVI, for one, counts ticks.
        self.expected = self._stream.frames or None if "mp4" in self._container.format.name else None
        """Number of pictures the file says it has, if it does."""
        self.shape: FilmShape | None = None
        """Known from the first picture on."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[FilmPicture]:
        packets = count = 0
        last = -1
        try:
            for packet in self._container.demux(self._stream):
                packets += bool(packet.size)
                for frame in packet.decode():
                    assert isinstance(frame, VideoFrame)
                    if self.shape is None:
                        self.shape = self._shape_of(frame)
                    picture = self._picture(frame, self.shape, last)
                    last = picture.pts
                    count += 1
                    yield picture
        except (av.FFmpegError, OSError, ValueError) as error:
            raise MediaError(f"{self._path} is damaged after picture {count} ({_why(error)}).") from error
        if not count:
            raise MediaError(f"{self._path} has no picture in it that can be decoded.")
        if self._is_cut_off(packets, last):
            raise MediaError(f"{self._path} is cut off after picture {count}; its header promises more.")

    def _is_cut_off(self, packets: int, last: int) -> bool:
        if self.expected is not None:
            return packets < self.expected
        length = self._container.duration
        if length is None or len(self._container.streams) > 1 or self.shape is None:
            return False
        start = (self._container.start_time or 0) / av.time_base
        missing = start + length / av.time_base - float(last * self.shape.time_base)
        return missing > max(1.0, 0.05 * length / av.time_base)

    def _shape_of(self, frame: VideoFrame) -> FilmShape:
        stream = self._stream
        return FilmShape(
            size=(frame.width, frame.height),
            rotation=round(frame.rotation / 90) * 90,
            rate=Fraction(stream.average_rate or stream.guessed_rate or 25),
            time_base=Fraction(stream.time_base or Fraction(1, 90_000)),
            aspect=stream.sample_aspect_ratio,
            colour=(_known(frame.colorspace), _known(frame.color_primaries), _known(frame.color_trc)),
        )

    def _picture(self, frame: VideoFrame, shape: FilmShape, last: int) -> FilmPicture:
        step = max(round(1 / (shape.rate * shape.time_base)), 1)
        pts = last + (step if last >= 0 else 1) if frame.pts is None else int(frame.pts)
        # The file format knows no two pictures of one time.
        pts = max(pts, last + 1) if last >= 0 else pts
        planes = _turned(_even(_planes(frame, shape.size)), _quarters(shape.rotation))
        return FilmPicture(planes, pts, bool(frame.is_corrupt))


class FilmWriter:
    """Writes H.264 in MP4, 4:2:0, or 4:4:4 where an odd size needs it. Raises MediaError only."""

    def __init__(self, path: Path, shape: FilmShape) -> None:
        self._path, self._shape = path, shape
        w, h = shape.size
        self._odd = bool(w % 2 or h % 2)
        try:
            self._container = av.open(
                str(path.absolute()), "w", format="mp4", options={"movflags": "+faststart"}
            )
            stream = self._container.add_stream("libx264", rate=shape.rate)
            assert isinstance(stream, VideoStream)
            stream.width, stream.height = w, h
            stream.pix_fmt = "yuv444p" if self._odd else "yuv420p"
            stream.options = {"preset": "veryfast", "crf": "20"}
            stream.codec_context.time_base = stream.time_base = shape.time_base
            stream.codec_context.color_range = LIMITED
            colour = shape.colour
            stream.codec_context.colorspace, stream.codec_context.color_primaries = colour[0], colour[1]
            stream.codec_context.color_trc = colour[2]
            if shape.aspect:
                stream.codec_context.sample_aspect_ratio = shape.aspect
            if shape.rotation:
                stream.set_display_rotation(shape.rotation)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise MediaError(f"{path.parent} cannot be written to ({_why(error)}).") from error
        self._stream = stream

    def write(self, planes: Planes, pts: int) -> None:
        """Adds one picture of the shape `FilmReader` hands out."""
        frame = self._frame(_turned(planes, -_quarters(self._shape.rotation)))
        frame.pts, frame.time_base = pts, self._shape.time_base
        self._mux(frame)

    def finish(self) -> None:
        """Writes what is left and closes the file; without it the file is not whole."""
        self._mux(None)
        self.close()

    def close(self) -> None:
        """Closes the file as it is."""
        try:
            self._container.close()
        except (av.FFmpegError, OSError) as error:
            raise MediaError(f"{self._path.parent} cannot be written to ({_why(error)}).") from error

    def _mux(self, frame: VideoFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise MediaError(f"{self._path.parent} cannot be written to ({_why(error)}).") from error

    def _frame(self, planes: Planes) -> VideoFrame:
        w, h = self._shape.size
        if not self._odd:
            flat = np.concatenate([planes.y.ravel(), planes.u.ravel(), planes.v.ravel()])
            return VideoFrame.from_ndarray(flat.reshape(h * 3 // 2, w), format="yuv420p")
        full = planes.y.shape[::-1]
        chroma = [cv2.resize(np.ascontiguousarray(p), full)[:h, :w] for p in (planes.u, planes.v)]
        stack = np.stack([planes.y[:h, :w], *chroma])
        return VideoFrame.from_ndarray(np.ascontiguousarray(stack), format="yuv444p")


def _planes(frame: VideoFrame, size: tuple[int, int]) -> Planes:
    """Limited-range 4:2:0 planes of a frame; a view where it is that already."""
    fits = (
        frame.format.name == "yuv420p" and frame.color_range != FULL and (frame.width, frame.height) == size
    )
    if not fits:
        full = frame.color_range == FULL or frame.format.name.startswith("yuvj")
        frame = frame.reformat(
            width=size[0],
            height=size[1],
            format="yuv420p",
            src_color_range=FULL if full or frame.format.is_rgb else LIMITED,
            dst_color_range=LIMITED,
        )
    # PyAV's planes are buffers, which its types do not say.
    planes: list[Any] = list(frame.planes)
    y, u, v = (
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in planes
    )
    return Planes(y, u, v)


def _even(planes: Planes) -> Planes:
    """The picture with its last row and column doubled where their number is odd."""
    w, h = planes.size
    if not (w % 2 or h % 2):
        return planes
    return Planes(np.pad(planes.y, ((0, h % 2), (0, w % 2)), mode="edge"), planes.u, planes.v)


def _quarters(rotation: int) -> int:
    """Quarter turns against the clock that make a picture with this mark upright."""
    return rotation // 90 % 4


def _turned(planes: Planes, quarters: int) -> Planes:
    if not quarters % 4:
        return planes

    def turn(plane: U8) -> U8:
        return np.ascontiguousarray(np.rot90(plane, quarters))

    return Planes(turn(planes.y), turn(planes.u), turn(planes.v))


def _known(value: int) -> int:
    """A colour property, with 0 (for RGB) and nonsense as "unknown"."""
    return int(value) if int(value) > 0 else _UNKNOWN_COLOUR


def _is_cover_art(stream: VideoStream) -> bool:
    return "attached_pic" in str(stream.disposition).lower()


def _why(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).rstrip(".").lower()
