"""Encoded video on its way from one leg to the other, undecoded.

A stream without its key frame is of no use, so the relay begins with one, and after anything was lost
it goes on with one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from guardian.rtc.compat import EncodedFrame

_WAITING = 60
"""Frames that may wait to be sent; more would be lasting delay."""


class VideoRelay:
    """Bounded place between one leg's receiver and the other's sender. All on one event loop."""

    def __init__(self, ask: Callable[[], None]) -> None:
        self.ask = ask
        """Asks the source for a key frame."""
        self._frames: deque[EncodedFrame] = deque()
        self._ready = asyncio.Event()
        self._needs_key = True
        self._closed = False

    def put(self, frame: EncodedFrame) -> None:
        """A frame has come in."""
        if self._closed:
            return
        if len(self._frames) >= _WAITING or frame.after_loss:
            self._frames.clear()
            self._needs_key = True
        if self._needs_key and not frame.key:
            self.ask()
            return
        self._needs_key = False
        self._frames.append(frame)
        self._ready.set()

    async def get(self, timeout_s: float) -> EncodedFrame:
        """The next frame to be sent. TimeoutError."""
        if not self._frames:
            self._ready.clear()
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        if not self._frames:
            raise TimeoutError
        return self._frames.popleft()

    def restart(self) -> None:
        """One end is a new one: it goes on with a key frame."""
        self._frames.clear()
        self._needs_key = True
        self.ask()

    def close(self) -> None:
        """Takes no more frames."""
        self._closed = True
        self._frames.clear()
        self._ready.set()
