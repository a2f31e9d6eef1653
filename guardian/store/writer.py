"""One thread that writes events to the outbox, so that nobody who raises one waits for the disk."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice

from guardian.core.errors import StoreFault, Unavailable
from guardian.store.outbox import Entry, Kept, Outbox

_RETRY_S = 0.5
_STALLED_S = 3.0
_BATCH = 32


@dataclass(frozen=True, slots=True)
class _Item:
    """Events that are written together. future: gets the first of them."""

    entries: tuple[Entry, ...]
    future: Future[Kept]


class Writer:
    """Bounded; a full disk is waited out while there is room, and refused after that.

    on_kept: called in the writer's thread after each commit.
    """

    def __init__(self, outbox: Outbox, on_kept: Callable[[tuple[Kept, ...]], None], room: int = 2000) -> None:
        self._outbox = outbox
        self._on_kept = on_kept
        self._room = room
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        # Calls, sweeps and reviewers raise events: no two of them are given the last place.
        self._one_at_a_time = threading.Lock()
        self._at_work_since: float | None = None
        self._unwritten = 0
        self.trouble: str | None = None
        """Why the store takes nothing, in a sentence; None while it does."""
        self._thread = threading.Thread(target=self._run, name="outbox-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Events not yet on the disk."""
        return self._queue.qsize()

    @property
    def crowded(self) -> bool:
        """True when what can be spared should be spared."""
        return self._queue.qsize() > self._room // 2

    @property
    def stalled(self) -> bool:
        """True when nothing can be kept for the time being."""
        since = self._at_work_since
        return not self._thread.is_alive() or (since is not None and time.monotonic() - since > _STALLED_S)

    def submit(self, entry: Entry, *more: Entry) -> Future[Kept]:
        """Takes an event; the future is done when it is on the disk. Unavailable when there is no room.

        more: events that are written with it, or not at all.
        """
        future: Future[Kept] = Future()
        # Whoever stops waiting for it cannot take it back: the event is accepted.
        future.set_running_or_notify_cancel()
        with self._one_at_a_time:
            if self._closing.is_set() or self._queue.qsize() >= self._room:
                raise Unavailable("Events cannot be kept at the moment; free some space on the store's disk.")
            self._queue.put(_Item((entry, *more), future))
        return future

    def close(self, timeout_s: float) -> int:
        """Writes what waits, for `timeout_s` at most; returns how many events were lost."""
        with self._one_at_a_time:
            self._closing.set()
            self._queue.put(None)
        self._thread.join(timeout_s)
        left = []
        with contextlib.suppress(queue.Empty):
            while True:
                left.append(self._queue.get_nowait())
        # The thread may still wait for the disk; it ends after that.
        self._queue.put(None)
        items = [item for item in left if item is not None]
        _fail(items, Unavailable("The server ended before the event could be kept."))
        return self._unwritten + _count(items)

    def _run(self) -> None:
        while True:
            batch = [self._queue.get()]
            while len(batch) < _BATCH and batch[-1] is not None:
                try:
                    batch.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            items = [item for item in batch if item is not None]
            self._unwritten = _count(items)
            if items and not self._write(items):
                return
            if batch[-1] is None:
                return

    def _write(self, items: list[_Item]) -> bool:
        """False when the disk refused while closing."""
        # From before the first try: a server that does not answer refuses nothing.
        self._at_work_since = time.monotonic()
        entries = [entry for item in items for entry in item.entries]
        kept: tuple[Kept, ...] | None = None
        tried = False
        while True:
            try:
                if tried:
                    # A connection may break between the commit and its answer.
                    kept = self._outbox.kept(entries)
                tried = True
                if kept is None:
                    kept = self._outbox.append(entries)
            except Exception as error:  # noqa: BLE001  # one event that cannot be built must not end the thread
                if isinstance(error, Unavailable) and not isinstance(error, StoreFault):
                    self.trouble = str(error)
                    if self._closing.is_set():
                        _fail(items, error)
                        return False
                    time.sleep(_RETRY_S)
                    continue
                self._at_work_since = None
                if len(items) > 1:
                    return all([self._write([item]) for item in items])
                kept = self._told_by_others(entries)
                if kept is None:
                    self._unwritten -= _count(items)
                    _fail(items, error)
                    return True
            self._at_work_since = self.trouble = None
            self._unwritten -= len(kept)
            each = iter(kept)
            for item in items:
                first, *_ = islice(each, len(item.entries))
                item.future.set_result(first)
            self._on_kept(kept)
            return True

    def _told_by_others(self, entries: Sequence[Entry]) -> tuple[Kept, ...] | None:
        """Events whose ids are taken, by others who were to tell the same."""
        try:
            return self._outbox.kept(entries)
        except Unavailable:
            return None


def _fail(items: list[_Item], error: Exception) -> None:
    for item in items:
        item.future.set_exception(error)


def _count(items: list[_Item]) -> int:
    return sum(len(item.entries) for item in items)
