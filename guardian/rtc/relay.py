"""Encoded video on its way from one leg to the other, undecoded.

A stream without its key frame is of no use, so the relay begins with one, and after anything was lost
it goes on with one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from guardian.rtc.compat import EncodedFrame

_WAITING = 60
_BEHIND_S = 0.4
"""Frames that have waited for longer would be lasting delay; it goes on with a key frame instead."""
_SKIP_S = 0.1
"""A key frame that has come takes the place of what has waited for longer."""
_UNREAD_S = 2.0


class VideoRelay:
    """Bounded place between one leg's receiver and the other's sender. All on one event loop.

    While nobody reads it keeps nothing and asks for nothing. Frames are for the newest reader; should that
    one stop reading, they are for an older one that still does.
    """

    def __init__(self, ask: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.ask = ask
        """Asks the source for a key frame; whoever sends that on limits how often."""
        self.source = 0
        """Counts the sources: the timestamps of one have nothing to do with those of another."""
        self.skipped = 0
        """Frames that came and were not handed out."""
        self.also: Sequence[Callable[[EncodedFrame], None]] = ()
        """Are given every frame that comes, whoever reads."""
        self._clock = clock
        self._reader: object | None = None
        self._read_at = float("-inf")
        self._frames: deque[EncodedFrame] = deque()
        self._ready = asyncio.Event()
        self._codec = ""
        self._needs_key = True
        self._closed = False

    @property
    def waiting(self) -> int:
        """Frames that could be read now."""
        return len(self._frames)

    def put(self, frame: EncodedFrame) -> None:
        """A frame has come in."""
        if self._closed:
            return
        for take in self.also:
            take(frame)
        if not self._is_read():
            return
        waited = frame.arrived - self._frames[0].arrived if self._frames else 0.0
        longest = _SKIP_S if frame.key else _BEHIND_S
        other_codec = frame.codec != self._codec
        if frame.after_loss or other_codec or waited > longest or len(self._frames) >= _WAITING:
            self._skip()
        self._codec = frame.codec
        if self._needs_key and not frame.key:
            self.skipped += 1
            self.ask()
            return
        self._needs_key = False
        self._frames.append(frame)
        self._ready.set()

    async def get(self, reader: object, timeout_s: float) -> EncodedFrame:
        """The next frame to be sent. TimeoutError; also for all but the newest reader that reads."""
        if reader is not self._reader:
            if self._is_read():
                await asyncio.sleep(timeout_s)
                raise TimeoutError
            self.hand_to(reader)
        if not self._is_read():
            self._begin_anew()
        self._read_at = self._clock()
        if not self._frames:
            self._ready.clear()
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        self._read_at = self._clock()
        if not self._frames or reader is not self._reader:
            raise TimeoutError
        return self._frames.popleft()

    def hand_to(self, reader: object) -> None:
        """From now on frames are this reader's, beginning with a key frame."""
        self._reader, self._read_at = reader, self._clock()
        self._begin_anew()

    def restart(self) -> None:
        """The source is a new one: it goes on with a key frame."""
        self.source += 1
        self._begin_anew()

    def close(self) -> None:
        """Takes no more frames."""
        self._closed = True
        self._frames.clear()
        self._ready.set()

    def _begin_anew(self) -> None:
        self._skip()
        self.ask()

    def _skip(self) -> None:
        self.skipped += len(self._frames)
        self._frames.clear()
        self._needs_key = True

    def _is_read(self) -> bool:
        return self._clock() - self._read_at <= _UNREAD_S
