"""What to do about packets that did not come: ask again, wait a little, give up, ask for a key frame.

Stock aiortc (1.16) asks for a missing packet once, then waits until hundreds of others have come, and only
then asks for a key frame: up to 17 s in a still scene. Nothing here waits or sends; times are monotonic
seconds, given by the caller.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_TRIES = 4
_AGAIN_S = 0.04
_WAIT_S = 0.07
"""Shortest wait for an answer to the first request, which leaves no later than the gap is seen."""
_SINCE_DUE_S = 0.1
_LONGEST_WAIT_S = 0.4
_REMEMBERED = 256
"""Packets given up that may still come and then tell the round-trip time."""
MAX_GAP = 128
"""Packets missing at once that are worth asking for: senders keep no more (aiortc: RTP_HISTORY_SIZE)."""


@dataclass(slots=True)
class _Missing:
    give_up: float
    again: float
    asked: float = math.inf
    tries: int = 0


class LossWatch:
    """Which packets of one stream are missing. Numbers are sequence numbers without wraps."""

    def __init__(self) -> None:
        self.highest: int | None = None
        """The newest packet that has come."""
        self.rtt: float | None = None
        """Round-trip time, learned from packets that were sent again; None before the first."""
        self._last = 0.0
        self._missing: dict[int, _Missing] = {}
        self._given_up: dict[int, float] = {}

    def __len__(self) -> int:
        """How many packets are missed."""
        return len(self._missing)

    def arrived(self, number: int, now: float) -> None:
        """A packet has come. What is between it and the newest one before it is missed from now on."""
        highest = self.highest
        if highest is None or number > highest:
            if highest is not None and number > highest + 1:
                self._miss(highest, number, now)
            self.highest, self._last = number, now
        if self._missing:
            self._missing.pop(number, None)

    def resent(self, number: int, now: float) -> bool:
        """A packet was sent again. Whether it was still waited for."""
        entry = self._missing.pop(number, None)
        asked = self._given_up.pop(number, math.inf) if entry is None else entry.asked
        if math.isfinite(asked):
            sample = now - asked
            self.rtt = sample if self.rtt is None else self.rtt + (sample - self.rtt) / 4
        return entry is not None

    def suspect(self, now: float) -> None:
        """The packet after the newest one should have come by now: asks for it, but gives nothing up."""
        if self.highest is not None and self.highest + 1 not in self._missing:
            self._missing[self.highest + 1] = _Missing(now + self._patience(), now)

    def skip(self, number: int, now: float) -> int:
        """Everything before `number`, the newest packet, is given up at once. Returns how many were."""
        assert self.highest is not None
        lost = len(self._missing) + max(0, number - self.highest - 1)
        self._missing.clear()
        self.highest, self._last = number, now
        return lost

    def forget(self, number: int) -> int:
        """Nothing before `number` is of use any more. Returns how many were missed."""
        gone = [missing for missing in self._missing if missing < number]
        for missing in gone:
            self._given_up[missing] = self._missing.pop(missing).asked
        while len(self._given_up) > _REMEMBERED:
            del self._given_up[next(iter(self._given_up))]
        return len(gone)

    def due(self) -> float:
        """When `to_ask` or `to_give_up` have something next; infinite when nothing is missing."""
        times = [m.again for m in self._missing.values() if m.tries < _TRIES]
        times += [m.give_up for n, m in self._missing.items() if n <= (self.highest or 0)]
        return min(times, default=math.inf)

    def to_ask(self, now: float) -> list[int]:
        """Packets to be asked for now (NACK, RFC 4585 6.2.1): at first at once, then again a few times."""
        asked = []
        for number, entry in self._missing.items():
            if entry.tries < _TRIES and entry.again <= now:
                entry.tries += 1
                entry.asked = min(entry.asked, now)
                entry.again = now + max(_AGAIN_S, self.rtt or 0.0)
                asked.append(number)
        return asked

    def to_give_up(self, now: float) -> tuple[int, int] | None:
        """(the last packet that is not waited for any longer, how many are given up with it)."""
        highest = self.highest or 0
        late = [n for n, m in self._missing.items() if n <= highest and m.give_up <= now]
        if not late:
            return None
        last = max(late)
        return last, self.forget(last + 1)

    def _miss(self, highest: int, number: int, now: float) -> None:
        """When the lost ones were due is not known; most likely evenly between those that came."""
        step = (now - self._last) / (number - highest)
        patience = self._patience()
        for missing in range(highest + 1, number):
            if missing not in self._missing:
                expected = self._last + step * (missing - highest)
                give_up = min(max(now + patience, expected + _SINCE_DUE_S), now + _LONGEST_WAIT_S)
                self._missing[missing] = _Missing(give_up, now)

    def _patience(self) -> float:
        """How long an answer may take: short while nothing is known, as a key frame heals everything."""
        wait = 0.0 if self.rtt is None else 1.5 * self.rtt + _AGAIN_S
        return min(max(wait, _WAIT_S), _LONGEST_WAIT_S)


class KeyFrameWish:
    """A key frame that is wanted: asked for (PLI, RFC 4585 6.3.1) again and again until it came."""

    _AGAIN_S = 0.3
    _APART_S = 0.2

    def __init__(self) -> None:
        self.pending = False
        self._next = 0.0
        self._last = -math.inf

    def want(self, now: float) -> None:
        """A key frame is needed. Changes nothing while one is asked for."""
        if not self.pending:
            self.want_anew(now)

    def want_anew(self, now: float) -> None:
        """Something else was lost: what was asked for before may be lost too."""
        soonest = max(now, self._last + self._APART_S)
        self._next = min(self._next, soonest) if self.pending else soonest
        self.pending = True

    def coming(self, now: float) -> None:
        """The beginning of a key frame is here; another one would only slow it down."""
        if self.pending:
            self._next = max(self._next, now + self._AGAIN_S)

    def granted(self) -> None:
        """A key frame came."""
        self.pending = False

    def due(self) -> float:
        """When to ask next; infinite when none is wanted."""
        return self._next if self.pending else math.inf

    def asks(self, now: float, rtt: float | None) -> bool:
        """Whether to ask now. An answer takes at least the round-trip time."""
        if not self.pending or now < self._next:
            return False
        self._last = now
        self._next = now + max(self._AGAIN_S, 1.5 * (rtt or 0.0))
        return True
