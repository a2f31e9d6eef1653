"""Bounded places between the steps of a call. Each counts what it drops or refuses.

All of it belongs to one event loop: put and get are called on the loop only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SlotStatistics:
    """What went through a slot: put in, taken out, lost (replaced or refused)."""

    put: int
    taken: int
    lost: int
    waiting: int


class Closed(Exception):
    """The slot is closed and empty."""


class Slot(Generic[T]):
    """At most `size` items in order. When full, `Latest` loses the oldest, `Bounded` the newest."""

    def __init__(self, size: int) -> None:
        self._items: deque[T] = deque()
        self._size = size
        self._ready = asyncio.Event()
        self._closed = False
        self._put = self._taken = self._lost = 0

    async def get(self, timeout_s: float) -> T:
        """The oldest item. TimeoutError after `timeout_s`, Closed when nothing more can come."""
        if not self._items and not self._closed:
            async with asyncio.timeout(timeout_s):
                while not self._items and not self._closed:  # What had come may be thrown away again.
                    await self._ready.wait()
        if not self._items:
            raise Closed
        item = self._items.popleft()
        self._taken += 1
        if not self._items and not self._closed:
            self._ready.clear()
        return item

    def close(self) -> None:
        """No more items come; what waits can still be taken."""
        self._closed = True
        self._ready.set()

    def statistics(self) -> SlotStatistics:
        """Counts since the beginning."""
        return SlotStatistics(self._put, self._taken, self._lost, len(self._items))

    def _append(self, item: T) -> None:
        self._items.append(item)
        self._put += 1
        self._ready.set()


class Latest(Slot[T]):
    """The newest wins: for pictures and for live sound, where late is worse than lost."""

    def __init__(self, size: int = 1) -> None:
        super().__init__(size)

    def put(self, item: T) -> None:
        """Adds an item; the oldest makes room."""
        if self._closed:
            return
        if len(self._items) >= self._size:
            self._items.popleft()
            self._lost += 1
        self._append(item)

    def clear(self) -> None:
        """Throws away what waits; it counts as lost."""
        self._lost += len(self._items)
        self._items.clear()
        if not self._closed:
            self._ready.clear()


class Bounded(Slot[T]):
    """The oldest wins: for sound to be heard, where every refusal is accounted for."""

    def offer(self, item: T) -> bool:
        """Adds an item, or refuses it (False) when full."""
        if self._closed:
            return False
        if len(self._items) >= self._size:
            self._lost += 1
            return False
        self._append(item)
        return True
