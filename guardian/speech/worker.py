"""One recogniser in a thread of its own, so that one that hangs is left behind and holds up nobody."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import perf_counter

from guardian.core.frames import AudioChunk
from guardian.core.ports import Recogniser
from guardian.core.tokens import Hypothesis


@dataclass(frozen=True, slots=True)
class Moment:
    """When a piece of work was handed in: media seconds taken in by then, media seconds at which the
    utterance began, and the `perf_counter` of the hand-over."""

    now: float
    since: float
    handed: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one piece of work. work_s: how long it took. seconds: of sound in it.

    ends: the work was to end the utterance. error: what the engine threw.
    """

    moment: Moment
    ends: bool
    seconds: float
    work_s: float = 0.0
    found: Hypothesis | None = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class _Work:
    moment: Moment
    chunk: AudioChunk | None

    @property
    def seconds(self) -> float:
        return self.chunk.seconds if self.chunk is not None else 0.0


@dataclass(slots=True)
class _Shared:
    """What the thread holds. Not the worker: a worker that nobody holds ends its thread."""

    make: Callable[[], Recogniser]
    work: SimpleQueue[_Work | None]
    answers: SimpleQueue[Answer]
    left: threading.Event
    engine: Recogniser | None = None


class Worker:
    """Makes an engine and gives it sound. Every piece of work has one answer; answers come in order.

    The first answer is that of making the engine. For one thread besides its own.
    """

    def __init__(self, make: Callable[[], Recogniser], moment: Moment) -> None:
        self._shared = _Shared(make, SimpleQueue(), SimpleQueue(), threading.Event())
        self._open: deque[_Work] = deque([_Work(moment, None)])
        self._progress = perf_counter()
        self._behind_s = 0.0
        # A daemon: one that hangs for good must not keep the process from ending.
        threading.Thread(target=_run, args=(self._shared, moment), name="recogniser", daemon=True).start()
        weakref.finalize(self, _leave, self._shared)

    @property
    def engine(self) -> Recogniser | None:
        """The engine, once it is made. For its names only: it belongs to the thread."""
        return self._shared.engine

    @property
    def pending(self) -> int:
        """Pieces of work without an answer."""
        return len(self._open)

    @property
    def behind_s(self) -> float:
        """Seconds of sound in them."""
        return self._behind_s

    @property
    def silent_s(self) -> float:
        """How long the piece that is due has been waited for; 0 when none is."""
        return perf_counter() - self._progress if self._open else 0.0

    def hear(self, chunk: AudioChunk, moment: Moment) -> None:
        """Hands in sound."""
        self._hand(_Work(moment, chunk))

    def finish(self, moment: Moment) -> None:
        """Hands in the end of the utterance."""
        self._hand(_Work(moment, None))

    def answer(self, wait_s: float) -> Answer | None:
        """The next answer; None when there is none within `wait_s` (0: now) or no work is open."""
        if not self._open:
            return None
        try:
            found = self._shared.answers.get(wait_s > 0, wait_s if wait_s > 0 else None)
        except Empty:
            return None
        self._progress = perf_counter()
        self._behind_s -= self._open.popleft().seconds
        return found

    def leave(self) -> None:
        """Lets the thread end after what it is doing; what waits is not done."""
        _leave(self._shared)

    def _hand(self, work: _Work) -> None:
        if not self._open:
            self._progress = perf_counter()
        self._open.append(work)
        self._behind_s += work.seconds
        self._shared.work.put(work)


def _leave(shared: _Shared) -> None:
    shared.left.set()
    shared.work.put(None)


def _run(shared: _Shared, moment: Moment) -> None:
    began = perf_counter()
    try:
        engine = shared.engine = shared.make()
    except Exception as error:  # noqa: BLE001 - an engine may raise anything; it is told in the answer
        shared.answers.put(Answer(moment, False, 0.0, error=error))
        return
    shared.answers.put(Answer(moment, False, 0.0, perf_counter() - began))
    while (work := shared.work.get()) is not None and not shared.left.is_set():
        began = perf_counter()
        found, failure = None, None
        try:
            found = engine.hear(work.chunk) if work.chunk is not None else engine.finish()
        except Exception as error:  # noqa: BLE001 - the same
            failure = error
        took = perf_counter() - began
        shared.answers.put(Answer(work.moment, work.chunk is None, work.seconds, took, found, failure))
        if failure is not None:
            return
