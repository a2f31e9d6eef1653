"""How a server is told to end: by and by, or at once."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from guardian.ending import Ending

_AFTER_S = 5.0
"""What may take longer than `server.stop_s`: the store's last words."""


class Departure:
    """`asked` is set when the server is to end, `hurried` when it is not to wait for calls.

    drain_s: how long calls may go on; stop_s: what the end takes after that.
    """

    def __init__(self, drain_s: float, stop_s: float, ending: Ending) -> None:
        self._drain_s = drain_s
        self._stop_s = stop_s
        self._ending = ending
        self._until = 0.0
        self.asked = asyncio.Event()
        self.hurried = asyncio.Event()

    def gently(self) -> None:
        """No more calls, and those there are go on for `drain_s`; said twice, it ends at once."""
        if self.asked.is_set():
            self.at_once()
            return
        self._until = time.monotonic() + self._drain_s
        self._ending.within(self._drain_s + self._stop_s + _AFTER_S)
        self.asked.set()

    def at_once(self) -> None:
        """Calls are hung up."""
        self._ending.within(self._stop_s + _AFTER_S)
        self.hurried.set()
        self.asked.set()

    @property
    def left_s(self) -> float:
        """How long calls may still go on."""
        if self.hurried.is_set() or not self.asked.is_set():
            return 0.0
        return max(0.0, self._until - time.monotonic())

    async def pause(self, seconds: float) -> None:
        """Waits so long, or until there is hurry."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.hurried.wait()
