"""When a failed delivery is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass

QUICK_S = (1.0, 5.0, 30.0, 120.0)
"""Moderation is pressing: the first tries come fast."""
TAIL_S = (300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
"""The schedule of the Standard Webhooks specification, about three days."""

PERMANENT_TRIES = 3
_LONGEST_S = 86400.0


class DeliveryFailed(Exception):
    """A sink did not take an event.

    permanent: the receiver refuses this event and will go on doing so. gone: it wants no events any more.
    retry_after: seconds it asked for.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: str | None = None,
        gone: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.gone = gone
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Schedule:
    """waits: seconds after each failed try; after one more failure the event is dead."""

    waits: tuple[float, ...] = QUICK_S + TAIL_S

    def wait_before(self, attempts: int, failure: DeliveryFailed | None = None) -> float | None:
        """Seconds until the next try after `attempts` failed ones; None when there is to be none."""
        if attempts > len(self.waits):
            return None
        if failure is not None and failure.permanent and attempts >= PERMANENT_TRIES:
            return None
        wait = self.waits[attempts - 1] * random.uniform(0.9, 1.1)  # jitter, no secret
        asked = failure.retry_after if failure is not None else None
        return max(wait, min(asked, _LONGEST_S)) if asked is not None else wait
