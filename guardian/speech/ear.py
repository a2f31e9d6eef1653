"""One recogniser of one leg, kept alive: what it throws becomes a fault, and it is started again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from guardian.core.frames import AudioChunk
from guardian.core.ports import Recogniser
from guardian.core.rules import TOGETHER_S
from guardian.core.tokens import Hypothesis, Token
from guardian.core.units import Unit, units_of

RESTARTS = 3
"""Starts that may be repeated within `RESTART_S` before the engine is given up."""
RESTART_S = 60.0


class Fault(Exception):
    """The engine threw; the sentence names the engine and the kind of error, nothing that was said."""


class Ear:
    """Turns sound into units: those of the last seconds and of the utterance that goes on."""

    def __init__(self, factory: Callable[[], Recogniser]) -> None:
        self._factory = factory
        self._engine: Recogniser | None = None
        self._tail: tuple[Token, ...] = ()
        self._tokens: tuple[Token, ...] = ()
        self._starts: deque[float] = deque(maxlen=RESTARTS + 1)
        self.name = "no engine"
        self.language = ""
        self.given_up = False
        self._not_before = float("-inf")

    @property
    def listening(self) -> bool:
        """Whether an engine is there."""
        return self._engine is not None

    def start(self, now: float) -> None:
        """Makes the engine. Fault when it cannot be made; gives up when that happens too often."""
        if self.given_up or self._engine is not None or now < self._not_before:
            return
        self._starts.append(now)
        # The first restart is immediate, then after 2 s, 4 s, ...
        self._not_before = now + len(self._starts) * 2.0 - 2.0
        if len(self._starts) > RESTARTS and now - self._starts[0] <= RESTART_S:
            self.given_up = True
            raise Fault(f"{self.name} failed {RESTARTS} times within {RESTART_S:.0f} s and is given up")
        try:
            self._engine = self._factory()
        except Exception as error:
            raise Fault(f"{self.name} could not be started ({type(error).__name__})") from error
        self.name, self.language = self._engine.name, self._engine.language

    def hear(self, chunk: AudioChunk) -> bool:
        """Takes sound; True when the words changed. Fault when the engine threw."""
        if self._engine is None:
            return False
        try:
            found = self._engine.hear(chunk)
        except Exception as error:  # noqa: BLE001 - an engine may raise anything; the call goes on
            self._fail(error)
        if found is None:
            return False
        self._tokens = found.tokens
        return True

    def finish(self) -> Hypothesis | None:
        """Ends the utterance; its final words. Fault when the engine threw."""
        if self._engine is None:
            return None
        try:
            found = self._engine.finish()
        except Exception as error:  # noqa: BLE001 - an engine may raise anything; the call goes on
            self._fail(error)
        self._tokens = found.tokens if found is not None else ()
        return found

    def close(self) -> None:
        """Moves the ended utterance to what is remembered."""
        self._tail = (*self._tail, *self._tokens)
        self._tokens = ()
        if self._tail:
            least = self._tail[-1].t_end - TOGETHER_S
            self._tail = tuple(token for token in self._tail if token.t_end >= least)

    def units(self) -> tuple[Unit, ...]:
        """Units of the last seconds and of this utterance."""
        tail = self._tail
        if self._tokens:
            least = self._tokens[0].t_start - TOGETHER_S
            tail = tuple(token for token in tail if token.t_end >= least)
        return units_of((*tail, *self._tokens), self.language)

    def _fail(self, error: Exception) -> None:
        self._engine = None
        self._tokens = ()
        raise Fault(f"{self.name} failed ({type(error).__name__})") from error
