"""The ladder that keeps the frame budget: less work at each step, never less protection.

The first two steps cost nothing that is noticed and are taken when pictures exceed the budget. The others
cost picture, and are taken when pictures cannot be kept up with. What is slower still comes too late to be
shown, and the curtain falls by itself. Pure bookkeeping; one thread only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ease:
    """What is done less at a step of the ladder."""

    segment_times: int = 1
    """A person mask is made this many times less often while nobody moves fast."""
    whole_share: float = 1.0
    """Area of the copy on which faces are looked for in every picture, as a share of the usual one."""
    hands: bool = True
    """In *product* hands are looked for; else the centre alone shows."""
    print_times: int = 1
    """In *install* text and codes are looked for this many times less often."""
    keep_every: int = 1
    """One of so many pictures is protected and sent."""
    shrink: int = 1
    """Width and height of what is sent are divided by this."""


STEPS = (
    Ease(),
    Ease(segment_times=2),
    Ease(segment_times=2, whole_share=0.6, print_times=2),
    Ease(segment_times=2, whole_share=0.6, print_times=2, hands=False, keep_every=2),
    Ease(segment_times=2, whole_share=0.6, print_times=2, hands=False, keep_every=2, shrink=2),
)
UNNOTICED = 2
"""Steps up to this one take nothing from the picture."""
WINDOW_S = 1.0
FEWEST = 5
"""Pictures, protected or lost, a window is judged by: the first after a pause says nothing."""
STRAINED = 0.25
"""Share of a window's pictures over the budget above which a step down is taken, unnoticed ones only."""
BEHIND = 0.15
"""Share of a window's pictures that are lost or far too late above which any step down is taken."""
CALM = 0.1
"""Share of a window's pictures over the budget below which it counts as calm."""
PATIENCE_S, MOST_PATIENCE_S = 5.0, 60.0
"""Calm seconds before a step up. Doubled each time that proves to have been too early."""


class Ladder:
    """Which step one stream is on: down within a second, up after a calm while."""

    def __init__(self, budget_ms: float, late_ms: float) -> None:
        """late_ms: age at which a picture is not shown any more; half of it is far too late."""
        self._budget_ms, self._behind_ms = budget_ms, late_ms / 2
        self._began: float | None = None
        self._calm_since: float | None = None
        self._up_at: float | None = None
        self._patience_s = PATIENCE_S
        self._clear()
        self.step = 0

    @property
    def ease(self) -> Ease:
        """What is done less now."""
        return STEPS[self.step]

    def took(self, now: float, age_ms: float, lost: int) -> None:
        """A picture is through at `now` (monotonic seconds), `age_ms` after it came; `lost` pictures had to
        make way for it."""
        if self._began is None or now < self._began:
            self._began = now
        self._pictures += 1
        self._lost += max(lost, 0)
        # Written so that NaN is too much.
        self._over += not age_ms <= self._budget_ms
        self._late += not age_ms <= self._behind_ms
        if now - self._began >= WINDOW_S:
            if self._pictures + self._lost >= FEWEST:
                self._judge(now)
            self._began = now
            self._clear()

    def _judge(self, now: float) -> None:
        behind = (self._late + self._lost) / (self._pictures + self._lost) > BEHIND
        over = self._over / self._pictures
        if behind or (over > STRAINED and self.step < UNNOTICED):
            self._calm_since = None
            self._down(now)
        elif (self._lost or over > CALM) and self.step <= UNNOTICED:
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = now
        elif now - self._calm_since >= self._patience_s:
            self._calm_since = now
            self._up(now)

    def _down(self, now: float) -> None:
        if self.step == len(STEPS) - 1:
            return
        too_early = self._up_at is not None and now - self._up_at < 2 * self._patience_s
        self._patience_s = min(self._patience_s * 2, MOST_PATIENCE_S) if too_early else PATIENCE_S
        self._up_at = None
        self.step += 1

    def _up(self, now: float) -> None:
        if self.step:
            self.step -= 1
            self._up_at = now

    def _clear(self) -> None:
        self._pictures = self._lost = self._over = self._late = 0
