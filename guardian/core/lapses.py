"""Bookkeeping of spans in which something was not seen or not heard. Pure; times are given."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from guardian.core.notes import Lapse, Part

_JOIN_S = 1.0
_KEEP = 200


class LapseBook:
    """Lapses of one part of one leg. Spans closer than a second are one; the last 200 are kept."""

    def __init__(self, part: Part, leg: str) -> None:
        self.part = part
        self._leg = leg
        self._spans: deque[Lapse] = deque(maxlen=_KEEP)
        self.seconds = 0.0
        """Seconds lost in all."""
        self.count = 0
        """Lapses in all, forgotten ones included."""

    def add(self, t_start: float, t_end: float, reason: str) -> bool:
        """Counts a span of media seconds. True when a new lapse began with it."""
        # Hearing that is behind tells of what was before later than what is refused now.
        for index in reversed(range(len(self._spans))):
            span = self._spans[index]
            if t_start - span.t_end <= _JOIN_S and span.t_start - t_end <= _JOIN_S:
                start, end = min(span.t_start, t_start), max(span.t_end, t_end)
                self.seconds += end - start - (span.t_end - span.t_start)
                self._spans[index] = replace(span, t_start=start, t_end=end)
                return False
        self._spans.append(Lapse(self.part, self._leg, t_start, t_end, reason))
        self.seconds += t_end - t_start
        self.count += 1
        return True

    @property
    def spans(self) -> tuple[Lapse, ...]:
        """The lapses kept, in the order they were told."""
        return tuple(self._spans)
