"""aiortc's decoder thread, fed through a bounded place where encoded frames can be had as well.

Stock aiortc (1.16) queues without bound in front of the decoder and behind it, keeps the process alive until
the decoder has worked through all of it, and ends the thread on anything but an error of FFmpeg.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import av
from aiortc.codecs import get_decoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from guardian.core.frames import MOST_PIXELS
from guardian.rtc.compat.frames import (
    EncodedFrame,
    SoundFrame,
    Stamp,
    StampedFrame,
    is_key_frame,
    refuse_giant,
)

logger = logging.getLogger(__name__)

_ASK_AGAIN_S = 0.5
_MOST_VIDEO = 60
_OLDEST_VIDEO_S = 0.5
_MOST_SOUND = 100

Task = tuple[RTCRtpCodecParameters, StampedFrame | SoundFrame]


def _nothing() -> None:
    """Nobody asked to be told."""


class DecodeQueue:
    """Between the event loop and the decoder thread; every complete frame passes here, in order.

    A decoder that is behind is never caught up with: video goes on with the next key frame, sound loses its
    oldest pieces. `sink` is called on the event loop with each encoded frame; `decodes` says whether frames
    go on to the decoder; `behind` is called when a key frame is needed.
    """

    def __init__(self, kind: str) -> None:
        self.sink: Callable[[EncodedFrame], None] | None = None
        self.decodes = True
        self.behind: Callable[[], None] = _nothing
        self.dropped = 0
        """Frames that were not decoded as the decoder was behind."""
        self._video = kind == "video"
        self._skipping = False
        self._tasks: deque[Task] = deque()
        self._ended = False
        self._stirred = threading.Condition()

    def __len__(self) -> int:
        """How many frames wait."""
        return len(self._tasks)

    def put(self, task: Task | None) -> None:
        """Takes what the receiver hands over: (codec, frame), or None at the end: nothing is decoded then."""
        if task is None:
            self._end()
            return
        codec, frame = task
        if self.sink is not None:
            self.sink(frame.encoded(codec.name, codec.clockRate))
        if self.decodes and not self._ended and self._makes_room(codec, frame):
            with self._stirred:
                self._tasks.append(task)
                self._stirred.notify()

    def get(self) -> Task | None:
        """Waits for the next frame to be decoded; None at the end. For the decoder thread."""
        with self._stirred:
            # The wait is that of a thread for its work; `_end` ends it whatever happens.
            while not self._tasks and not self._ended:
                self._stirred.wait()
            return None if self._ended else self._tasks.popleft()

    def _end(self) -> None:
        with self._stirred:
            self._ended = True
            self._tasks.clear()
            self._stirred.notify_all()

    def _makes_room(self, codec: RTCRtpCodecParameters, frame: StampedFrame | SoundFrame) -> bool:
        """Whether the frame may be queued."""
        if not self._video:
            with self._stirred:
                while len(self._tasks) >= _MOST_SOUND:
                    self._tasks.popleft()
                    self.dropped += 1
            return True
        if self._is_behind():
            with self._stirred:
                self.dropped += len(self._tasks)
                self._tasks.clear()
            self._skipping = True
            self.behind()
        if self._skipping and not is_key_frame(codec.name, frame.data):
            self.dropped += 1
            return False
        self._skipping = False
        return True

    def _is_behind(self) -> bool:
        try:
            oldest = self._tasks[0][1]
        except IndexError:  # The decoder may just have taken it.
            return False
        if len(self._tasks) >= _MOST_VIDEO:
            return True
        return time.monotonic() - oldest.arrived > _OLDEST_VIDEO_S


def begin_decoding(
    loop: asyncio.AbstractEventLoop,
    input_q: DecodeQueue,
    output_q: asyncio.Queue[Any],
    decode_error: threading.Event,
) -> None:
    """What aiortc runs as its decoder thread: starts one that does not keep the process alive, and ends."""
    threading.Thread(
        target=decode_frames,
        args=(loop, input_q, output_q, decode_error),
        name=f"{threading.current_thread().name}-daemon",
        daemon=True,
    ).start()


def decode_frames(
    loop: asyncio.AbstractEventLoop,
    input_q: DecodeQueue,
    output_q: asyncio.Queue[Any],
    decode_error: threading.Event,
) -> None:
    """Decodes until the end, with stamps on the pictures."""
    decoder: Any = None
    codec_name = None
    wholeness = _Wholeness()
    while (task := input_q.get()) is not None:
        codec, encoded_frame = task
        if decoder is None or codec.name != codec_name:
            decoder, codec_name, wholeness = _decoder(codec), codec.name, _Wholeness()
        wholeness.follow(codec.name, encoded_frame)
        try:
            refuse_giant(codec.name, encoded_frame.data)
            frames = decoder.decode(encoded_frame)
        except Exception as error:  # noqa: BLE001 - whatever the sender made of it: the next key frame heals it
            logger.debug("a frame could not be decoded", extra={"codec": codec.name})
            wholeness.whole = False
            decode_error.set()
            if not isinstance(error, av.InvalidDataError):
                decoder = None
            continue
        if wholeness.asks():
            # Makes the receiver request a key frame.
            decode_error.set()
        for frame in frames:
            if isinstance(encoded_frame, StampedFrame):
                frame.opaque = Stamp(encoded_frame.arrived, wholeness.whole)
            _hand_over(loop, output_q, frame)
    _hand_over(loop, output_q, None)


def _decoder(codec: RTCRtpCodecParameters) -> Any:
    decoder: Any = get_decoder(codec)
    if codec.name == "H264":
        decoder.codec.options = {"max_pixels": str(MOST_PIXELS)}
    return decoder


class _Wholeness:
    """Whether what a decoder gives out can be whole: from a key frame on, until something is missing."""

    def __init__(self) -> None:
        self.whole = False
        self._asked = 0.0

    def follow(self, codec: str, frame: StampedFrame | SoundFrame) -> None:
        """The next frame to be decoded. Sound is always whole."""
        if isinstance(frame, SoundFrame) or is_key_frame(codec, frame.data):
            self.whole = True
        elif frame.after_loss:
            self.whole = False

    def asks(self) -> bool:
        """Whether a key frame is to be requested now: again and again, as requests get lost too."""
        now = time.monotonic()
        if self.whole or now - self._asked < _ASK_AGAIN_S:
            return False
        self._asked = now
        return True


def _hand_over(loop: asyncio.AbstractEventLoop, output_q: asyncio.Queue[Any], item: Any) -> None:
    # The loop may be closed, at any moment, when a process ends while a decoder is still at work.
    try:
        loop.call_soon_threadsafe(output_q.put_nowait, item)
    except RuntimeError:
        logger.debug("a decoder outlived its loop")
