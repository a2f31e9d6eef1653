"""One recogniser of one leg, kept alive: what it throws, and a silence of its own, become a fault.

An ear is waited for as long as it keeps pace. One that does not falls behind by itself, while the others
of its leg go on; one that does not answer at all is left and started anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from guardian.core.frames import AudioChunk
from guardian.core.ports import Recogniser
from guardian.core.rules import TOGETHER_S
from guardian.core.tokens import Hypothesis, Token
from guardian.core.units import Unit, units_of
from guardian.speech.worker import Answer, Moment, Worker

RESTARTS = 3
"""Starts that may be repeated within `RESTART_S` before the engine is given up."""
RESTART_S = 60.0
STALLS = 3
"""Stalls after which it is given up however far apart: each leaves a thread behind."""
FIRST_S = 10.0
"""Longest time that others wait for an engine to be made for the first time."""
START_S = 60.0
"""Longest time an engine may take to be made."""
STALL_S = 3.0
"""An engine that has not answered for this long is left."""
PATIENCE_S = 0.5
"""Longest time that others wait for an ear once it has fallen out of pace."""
PACE = 0.8
"""Work for a second of sound, in seconds, above which an engine cannot keep up with a call."""
PACE_OVER_S = 5.0
"""Sound over which that is measured."""
BEHIND_S = 5.0
"""Sound that may wait for a late ear before all wait for it."""


class Fault(Exception):
    """The engine threw or stalled; the sentence names the engine and the kind of error, nothing said."""


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """Marks a recogniser that is done without first where there is not time for all."""

    make: Callable[[], Recogniser]

    def __call__(self) -> Recogniser:
        """The recogniser."""
        return self.make()


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of a piece of sound, or of the end of an utterance (`ends`), handed in at `moment`."""

    moment: Moment
    ends: bool
    changed: bool
    found: Hypothesis | None


class Ear:
    """Turns sound into units: those of the last seconds and of the utterance that goes on."""

    def __init__(self, make: Callable[[], Recogniser]) -> None:
        self._make = make
        self.second = isinstance(make, SecondOpinion)
        """Whether it is done without first."""
        self._worker: Worker | None = None
        self._tail: tuple[Token, ...] = ()
        self._tokens: tuple[Token, ...] = ()
        self._starts: deque[float] = deque(maxlen=RESTARTS + 1)
        self._stalls = 0
        self._patience_s = PATIENCE_S
        self._work: deque[tuple[float, float]] = deque()
        """(seconds of sound, seconds of work), the last `PACE_OVER_S` of sound; then what they come to."""
        self._sound_s = self._work_s = 0.0
        self.name = "an engine"
        self.language = ""
        self.listening = False
        """Whether an engine is there and takes sound."""
        self.given_up = False
        self._not_before = float("-inf")

    @property
    def factor(self) -> float:
        """Seconds of work in the last `PACE_OVER_S` of sound, as a part of them."""
        return self._work_s / PACE_OVER_S

    def start(self, now: float) -> None:
        """Has the engine made, and waits for it as long as others can. Fault when it cannot be made;
        gives up when that happens too often. now: media seconds."""
        if self.listening or self.given_up:
            return
        if self._worker is None:
            if now < self._not_before:
                return
            self._starts.append(now)
            # The first restart is immediate, then after 2 s, 4 s, ...
            self._not_before = now + len(self._starts) * 2.0 - 2.0
            if len(self._starts) > RESTARTS and now - self._starts[0] <= RESTART_S:
                self.given_up = True
                raise Fault(f"{self.name} failed {RESTARTS} times within {RESTART_S:.0f} s and is given up")
            self._worker = Worker(self._make, Moment(now, now, perf_counter()))
            first = not self.language and len(self._starts) == 1 and not self._stalls
            self._made(self._worker, FIRST_S if first else PATIENCE_S)
        else:
            self._made(self._worker, self._held_up_s(self._worker))

    def give(self, chunk: AudioChunk, moment: Moment) -> None:
        """Hands in sound. What comes while the engine is being made waits for it, as far as it may."""
        if self._worker is not None and (self.listening or self._worker.behind_s <= BEHIND_S):
            self._patience_s = min(PATIENCE_S, self._patience_s + PACE * chunk.seconds)
            self._worker.hear(chunk, moment)

    def end(self, moment: Moment) -> None:
        """Hands in the end of the utterance."""
        if self._worker is not None:
            self._worker.finish(moment)

    def take(self) -> Heard | None:
        """What came of the next piece that was handed in; None when there is nothing to wait for, or it is
        late. Fault when the engine threw or does not answer."""
        worker = self._worker
        if worker is None:
            return None
        began = perf_counter()
        wait_s = self._patience_s if worker.silent_s < PATIENCE_S else 0.0
        heard = self._next(worker, max(wait_s, self._held_up_s(worker)))
        self._patience_s = max(0.0, self._patience_s - (perf_counter() - began))
        return heard

    def settle(self) -> Heard | None:
        """As `take`, and waits for what is due until it is there or the engine has stalled."""
        if self._worker is not None and not self.listening:
            self._made(self._worker, STALL_S)
        return self._next(self._worker, STALL_S) if self._worker is not None else None

    def close(self) -> None:
        """Moves the ended utterance to what is remembered."""
        self._tail = (*self._tail, *self._tokens)
        self._tokens = ()
        if self._tail:
            least = self._tail[-1].t_end - TOGETHER_S
            self._tail = tuple(token for token in self._tail if token.t_end >= least)

    def rest(self, until: float) -> None:
        """Lets the engine go; it is not made anew before `until` (media seconds)."""
        self._let_go()
        self._starts.clear()
        self._not_before = until

    def units(self) -> tuple[Unit, ...]:
        """Units of the last seconds and of this utterance."""
        tail = self._tail
        if self._tokens:
            least = self._tokens[0].t_start - TOGETHER_S
            tail = tuple(token for token in tail if token.t_end >= least)
        return units_of((*tail, *self._tokens), self.language)

    def _held_up_s(self, worker: Worker) -> float:
        """How long others have to wait, as so much sound waits for this engine."""
        return max(0.0, STALL_S - worker.silent_s) if worker.behind_s > BEHIND_S else 0.0

    def _made(self, worker: Worker, wait_s: float) -> None:
        answer = worker.answer(wait_s)
        if answer is None:
            if worker.silent_s >= START_S:
                self._stall(f"could not be made within {START_S:.0f} s")
            return
        if answer.error is not None:
            self._let_go()
            why = type(answer.error).__name__
            raise Fault(f"{self.name} could not be started ({why})") from answer.error
        assert worker.engine is not None
        self.name, self.language = worker.engine.name, worker.engine.language
        self._patience_s = PATIENCE_S
        self.listening = True

    def _next(self, worker: Worker, wait_s: float) -> Heard | None:
        if not self.listening or not worker.pending:
            return None
        answer = worker.answer(wait_s)
        if answer is not None:
            return self._heard(answer)
        if worker.silent_s >= STALL_S:
            self._stall(f"has not answered for {STALL_S:.0f} s")
        return None

    def _heard(self, answer: Answer) -> Heard:
        if answer.error is not None:
            self._let_go()
            raise Fault(f"{self.name} failed ({type(answer.error).__name__})") from answer.error
        self._count(answer.seconds, answer.work_s)
        found = answer.found
        if answer.ends:
            self._tokens = found.tokens if found is not None else ()
        elif found is not None:
            self._tokens = found.tokens
        return Heard(answer.moment, answer.ends, found is not None, found)

    def _count(self, seconds: float, work_s: float) -> None:
        self._work.append((seconds, work_s))
        self._sound_s += seconds
        self._work_s += work_s
        while self._sound_s > PACE_OVER_S:
            oldest = self._work.popleft()
            self._sound_s -= oldest[0]
            self._work_s -= oldest[1]

    def _stall(self, what: str) -> None:
        self._let_go()
        self._stalls += 1
        if self._stalls >= STALLS:
            self.given_up = True
            what += " again and is given up"
        raise Fault(f"{self.name} {what}")

    def _let_go(self) -> None:
        if self._worker is not None:
            self._worker.leave()
        self._worker = None
        self.listening = False
        self._tokens = ()
        self._work.clear()
        self._sound_s = self._work_s = 0.0
