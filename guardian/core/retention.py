"""How long evidence is kept. Pure arithmetic on wall clock seconds."""

from __future__ import annotations

from dataclasses import dataclass

from guardian.core.evidence import ReviewState

_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Retention:
    """How long a clip may be read, by what people have said of it, in seconds.

    unreviewed: since it was made. dismissed, confirmed, appealed: since that was said. records: how long
    what was decided is kept without the clip, since that was erased. hold: the longest one legal hold may be.
    """

    unreviewed_s: float = 30 * _DAY_S
    dismissed_s: float = _DAY_S
    confirmed_s: float = 183 * _DAY_S
    appealed_s: float = 183 * _DAY_S
    records_s: float = 3 * 365 * _DAY_S
    hold_s: float = 366 * _DAY_S

    def until(self, state: ReviewState, since: float) -> float:
        """When a clip that came into a state at `since` is to be erased."""
        match state:
            case ReviewState.UNREVIEWED:
                return since + self.unreviewed_s
            case ReviewState.DISMISSED:
                return since + self.dismissed_s
            case ReviewState.CONFIRMED:
                return since + self.confirmed_s
            case ReviewState.APPEALED:
                return since + self.appealed_s


_NEXT = {
    ReviewState.UNREVIEWED: {ReviewState.DISMISSED, ReviewState.CONFIRMED},
    ReviewState.DISMISSED: {ReviewState.CONFIRMED, ReviewState.APPEALED},
    ReviewState.CONFIRMED: {ReviewState.DISMISSED, ReviewState.APPEALED},
    ReviewState.APPEALED: {ReviewState.DISMISSED, ReviewState.CONFIRMED},
}


def may_follow(before: str, after: ReviewState) -> bool:
    """Whether a clip may go from one state into another; none goes back to being unreviewed."""
    return before in list(ReviewState) and after in _NEXT[ReviewState(before)]


class SeenClock:
    """Wall clock seconds that never go back and never stand still: the latest that anybody here has seen.

    A clock that is set back brings nothing back that has expired, and lets nothing live longer.
    """

    def __init__(self) -> None:
        self._seen = 0.0
        self._steady = 0.0

    def at(self, wall: float, steady: float) -> float:
        """The time it is at least. wall: what the clock says; steady: monotonic seconds."""
        going_on = self._seen + max(0.0, steady - self._steady)
        self._seen, self._steady = max(wall, going_on), steady
        return self._seen
